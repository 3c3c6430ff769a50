"""What the rules of selection say of every adapted detector's epochs, and how far they are right about the target.

An adaptation that is watched leaves a row an epoch: each rule's figure, and the accuracy on the target's test images,
whose labels no rule has seen (``oracle`` has seen others of the target). All of this is a function of these rows. The
detector as it was handed back repeats one of its epochs, or is one with a threshold moved; it counts where a method has
no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.records import Status
from orchestrator.store.tables import ROWS_FILE
from reports.choices import choice_frame
from reports.frames import PLACE, Row, interval_columns
from reports.results import Results
from reports.statistics import Floats
from reports.tables import rows_of
from reports.tasks import ALL, EPOCHS, TASK, over_tasks
from trainables.registry import SELECTIONS

FEWEST_CHECKPOINTS = 3
"""Of which a correlation is taken."""

FEW, CONSTANT = f"fewer than {FEWEST_CHECKPOINTS} checkpoints", "constant figures"
"""Why a correlation is not defined."""

_PLAN = ("plan", "selection")
CHECKPOINTS = (*_PLAN, *PLACE, "cell", "epoch", "kept", "counts", "target_accuracy", "target_auroc")
CORRELATIONS = (
    *("plan", "detector", "among", "rule", "reads_labels", "scope", "adaptation", *TASK, "checkpoints", "left_out"),
    *("undefined", "tasks", "tasks_planned", "rho", "rho_low", "rho_high"),
)
_WHOLE = ("seed", "checkpoints", "left_out", "tasks", "tasks_planned")


@dataclass(frozen=True, slots=True)
class Validation:
    """The rules of a study side by side.

    Attributes:
        rules: by name; the study's own first, ``oracle`` last.
        watched: adaptations that are to be judged; ``done``: those of which the rows are there.
        checkpoints: one row a checkpoint: ``CHECKPOINTS``, then a column a rule. ``counts`` says that a rule may choose
            it: all but the detector as handed back, where there is another.
        correlations: Spearman's rho of a rule's figure with the accuracy on the target, by task and on average.
        choices: what each rule would have chosen, among the epochs of a training and among all checkpoints of a task.
    """

    rules: tuple[str, ...]
    watched: int
    done: int
    checkpoints: pd.DataFrame
    correlations: pd.DataFrame
    choices: pd.DataFrame


def validation_of(results: Results) -> Validation:
    """The rules of all adapted detectors that are watched; the oracles never are."""
    cells = results.of(Stage.VALIDATE)
    rules = _rules(cells, results.selection)
    checkpoints, done = _checkpoints(results, cells, rules)
    return Validation(
        rules=rules,
        watched=len(cells),
        done=done,
        checkpoints=checkpoints,
        correlations=correlation_frame(results, checkpoints, rules),
        choices=choice_frame(results, checkpoints[checkpoints["counts"]], rules),
    )


def reads_labels(rule: str) -> bool:
    """Whether the rule has seen labels of the target: its figures are a bound."""
    return rule in SELECTIONS and "oracle" in SELECTIONS[rule].traits


def correlation_frame(results: Results, checkpoints: pd.DataFrame, rules: Sequence[str]) -> pd.DataFrame:
    """One row a detector, rule and task, and their mean: Spearman's rho of the rule's figure with target accuracy.

    Among ``methods and epochs`` a task's checkpoints are those of all methods; among ``epochs`` they are those of one
    method, and the mean is first over the methods of a task. Figures that are NaN are ``left_out``. The interval of a
    mean is over tasks (``over_tasks``).
    """
    counting = checkpoints[checkpoints["counts"]]
    rows: list[Row] = []
    for detector in results.detectors:
        part = counting[counting["detector"] == detector]
        for among, keys in ((ALL, list(TASK)), (EPOCHS, [*TASK, "adaptation"])) if len(part) else ():
            found = _correlations(part, keys, rules)
            place = {"plan": results.plan, "detector": detector, "among": among}
            rows += [{**place, "scope": "task", **row} for row in rows_of(found)]
            rows += [{**place, "scope": "mean", **row} for row in _mean_rows(results, detector, found, rules)]
    for row in rows:
        row["reads_labels"] = reads_labels(row["rule"])
    return pd.DataFrame(rows, columns=list(CORRELATIONS)).astype(dict.fromkeys(_WHOLE, "Int64"))


def _correlations(checkpoints: pd.DataFrame, keys: list[str], rules: Sequence[str]) -> pd.DataFrame:
    """One row a group of checkpoints and rule."""
    groups = checkpoints.groupby(keys, sort=False)
    codes, places = np.asarray(groups.ngroup(), dtype=np.intp), checkpoints.drop_duplicates(keys)[keys]
    accuracy = checkpoints["target_accuracy"].to_numpy(dtype=np.float64)
    parts = []
    for rule in rules:
        figures = checkpoints[rule].to_numpy(dtype=np.float64)
        parts.append(places.assign(rule=rule, **_spearman(figures, accuracy, codes, len(places))))
    return pd.concat(parts)


def _spearman(figures: Floats, accuracy: Floats, codes: NDArray[np.intp], groups: int) -> dict[str, NDArray[Any]]:
    """Pearson's correlation of the ranks in each group, ties at their mean rank; NaN figures are no checkpoints."""
    known = np.isfinite(figures) & np.isfinite(accuracy)
    of = codes[known]
    count = np.bincount(of, minlength=groups)
    ranks = pd.DataFrame({"x": figures[known], "y": accuracy[known]}).groupby(of).rank()
    x, y = (ranks[name].to_numpy() - (count[of] + 1) / 2 for name in ("x", "y"))  # the mean of n ranks is (n + 1) / 2
    xy, xx, yy = (np.bincount(of, weights=product, minlength=groups) for product in (x * y, x * x, y * y))
    few, constant = count < FEWEST_CHECKPOINTS, (xx == 0) | (yy == 0)
    rho = np.divide(xy, np.sqrt(xx * yy), out=np.full(groups, np.nan), where=~(few | constant))
    return {
        "checkpoints": count,
        "left_out": np.bincount(codes, minlength=groups) - count,
        "undefined": np.where(few, FEW, np.where(constant, CONSTANT, "")),
        "rho": rho,
    }


def _mean_rows(results: Results, detector: str, found: pd.DataFrame, rules: Sequence[str]) -> Iterable[Row]:
    planned = {_task(cell) for cell in results.of(Stage.VALIDATE) if cell.tags.detector == detector}
    by_task = found.pivot_table("rho", list(TASK), "rule", aggfunc="mean", dropna=False)
    by_task = by_task.reindex(columns=list(rules)).dropna(how="all")
    estimates = over_tasks(by_task, results.resampler) if len(by_task) else {}
    for rule in rules:
        ours = found[found["rule"] == rule]
        yield {
            "rule": rule,
            "checkpoints": int(ours["checkpoints"].sum()),
            "left_out": int(ours["left_out"].sum()),
            "tasks": int(by_task[rule].notna().sum()),
            "tasks_planned": len(planned),
            **interval_columns("rho", estimates.get(rule)),
        }


def _task(cell: Cell) -> tuple[str, str, int]:
    return cell.tags.source, cell.tags.target, cell.tags.seed


def _rules(cells: Sequence[Cell], own: str) -> tuple[str, ...]:
    """The rules of all cells: the study's own first, then in the registry's order, those that read labels last."""
    named = {name for cell in cells for name in _named(cell)}
    order = sorted((name for name in SELECTIONS if name in named), key=lambda name: (reads_labels(name), name != own))
    return tuple(order)


def _named(cell: Cell) -> Iterable[str]:
    rules = cell.params["rules"]
    return rules if isinstance(rules, dict) else ()


def _checkpoints(results: Results, cells: Sequence[Cell], rules: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """The rows of all finished cells, and how many cells have any."""
    ended = [cell for cell in cells if results.status(cell) is Status.DONE]
    files = [(cell, results.folders.folder(cell.id) / ROWS_FILE) for cell in ended]
    found = [(cell, _read(path)) for cell, path in files if path.is_file()]
    columns = [*CHECKPOINTS, *rules]
    if not found:
        return pd.DataFrame(columns=columns).astype({"counts": bool}), 0
    rows = pa.concat_tables([table for _, table in found], promote_options="default").to_pandas()
    places = pd.DataFrame([{**{n: getattr(c.tags, n) for n in ("selection", *PLACE)}, "cell": c.id} for c, _ in found])
    places = places.loc[np.repeat(places.index, [len(table) for _, table in found])].reset_index(drop=True)
    frame = pd.concat([places, rows], axis=1).assign(plan=results.plan)
    alone = ~(~frame["kept"]).groupby(frame["cell"], sort=False).transform("any")
    return frame.assign(counts=~frame["kept"] | alone).reindex(columns=columns), len(found)


def _read(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:  # of a thousand small files, three times as fast as `read_table`
        return file.read()
