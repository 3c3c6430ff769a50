"""What was searched for the parameters of tuned methods, and what was found: a row a trial, and a row a tuning."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.tuned import base_parameters, judged_by, settings
from orchestrator.store.records import Record, Status
from orchestrator.store.tables import TRIALS_FILE, read_rows
from reports.frames import PLACE, Row
from reports.results import Results

COMPLETE = "complete"
STATES = (COMPLETE, "stopped", "failed")
PARAMETER, CHOSEN, IMPORTANCE = "parameter/", "chosen/", "importance/"
"""Before a parameter's dotted name: what a trial tried, what a tuning chose, and how much it mattered, 0 to 1."""
DEFAULT, FIRST = "default", "first trial"
"""What the choice is held against: the trial of the study's own parameters or, where none has these, trial 0."""

_TUNING = ("plan", "selection", *PLACE, "tuning")
TRIALS = (*_TUNING, "number", "state", "value", "best", "chosen", "epochs", "seconds", "started", "cell", "reason")
TUNINGS = (
    *(*_TUNING, "status", "objective", "trials", "scheduler", "sampler", *STATES),
    *("best", "trial", "reference", "reference_value", "gain"),
)


@dataclass(frozen=True, slots=True)
class TunedMethod:
    """A method whose parameters are searched for, anew for every source, target and seed.

    Attributes:
        adaptation: its name; ``source_only`` where the detector itself is tuned.
        label: names it among all methods of the page.
        objective: the figure that judges a trial; larger is better.
        trials: of each tuning; scheduler: what stops some of them early, or ``none``.
        space: of each parameter ``low``, ``high``, ``log``, or ``choices``.
        cells: its tunings.
    """

    detector: str
    adaptation: str
    label: str
    objective: str
    trials: int
    scheduler: str
    space: Mapping[str, Mapping[str, Any]]
    cells: tuple[Cell, ...]

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of this method."""
        return frame[(frame["detector"] == self.detector) & (frame["adaptation"] == self.adaptation)]

    def choices(self, parameter: str) -> tuple[str, ...]:
        """The values of a parameter that has no interval, as in the frames; empty where it has one."""
        return tuple(_text(value) for value in self.space[parameter].get("choices") or ())


def tuned_methods(results: Results) -> tuple[TunedMethod, ...]:
    """Every method that the plan tunes, in the study's order."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in results.of(Stage.TUNE):
        groups.setdefault((cell.tags.detector, cell.tags.adaptation), []).append(cell)
    return tuple(_method(results, *names, tuple(cells)) for names, cells in groups.items())


def trial_frame(results: Results) -> pd.DataFrame:
    """One row a trial of every tuning whose table is in the store; ``best`` is the best complete one so far.

    The parameters follow the declared columns, as text: numbers and ``true`` as in JSON, names without quotes.
    """
    rows = [row for cell, record in _recorded(results) for row in _trials(results, cell, record)]
    return _frame(rows, TRIALS)


def tuning_frame(results: Results, trials: pd.DataFrame) -> pd.DataFrame:
    """One row a tuning of the plan, done or not.

    ``gain`` is the best value minus ``reference_value``; the importances and what was chosen follow the declared
    columns.
    """
    return _frame([_tuning_row(results, cell, trials) for cell in results.of(Stage.TUNE)], TUNINGS)


def parameters_in(frame: pd.DataFrame, prefix: str) -> dict[str, str]:
    """The parameters that a frame has columns of, by dotted name, without those that are empty here."""
    names = [str(name) for name in frame.columns if str(name).startswith(prefix) and frame[name].notna().any()]
    return {name.removeprefix(prefix): name for name in names}


def _method(results: Results, detector: str, adaptation: str, cells: tuple[Cell, ...]) -> TunedMethod:
    tuning = settings(cells[0])
    return TunedMethod(
        detector=detector,
        adaptation=adaptation,
        label=f"{detector}: {adaptation}" if len(results.detectors) > 1 else adaptation,
        objective=judged_by(cells[0]),
        trials=int(tuning["trials"]),
        scheduler=str(tuning["scheduler"]),
        space=tuning["space"],
        cells=cells,
    )


def _recorded(results: Results) -> Iterator[tuple[Cell, Record]]:
    return ((cell, results.records[cell.id]) for cell in results.of(Stage.TUNE) if cell.id in results.records)


def _place(results: Results, cell: Cell) -> Row:
    place = {name: getattr(cell.tags, name) for name in PLACE}
    return {"plan": results.plan, "selection": cell.tags.selection, **place, "tuning": cell.id}


def _trials(results: Results, cell: Cell, record: Record) -> Iterator[Row]:
    path = results.folders.folder(cell.id) / TRIALS_FILE
    if not path.is_file():
        return
    table = read_rows(path).sort_values("number")
    best = table["value"].where(table["state"] == COMPLETE).cummax().ffill()
    for row, so_far in zip(table.to_dict("records"), best, strict=True):
        tried = {str(name): _decoded(value) for name, value in row.items() if str(name).startswith(PARAMETER)}
        told = {str(name): value for name, value in row.items() if name not in tried}
        chosen = record.status is Status.DONE and row["number"] == record.metrics["trial"]
        yield {**_place(results, cell), **told, "best": so_far, "chosen": chosen, **tried}


def _tuning_row(results: Results, cell: Cell, trials: pd.DataFrame) -> Row:
    record = results.records.get(cell.id)
    ours = trials[trials["tuning"] == cell.id]
    asked = settings(cell)
    row: Row = {
        **_place(results, cell),
        "status": record.status.value if record else "pending",
        "objective": judged_by(cell),
        **{name: asked[name] for name in ("trials", "scheduler", "sampler")},
        **{state: int((ours["state"] == state).sum()) for state in STATES},
    }
    if record is None or record.status is not Status.DONE:
        return row
    reference, value = _reference(cell, ours)
    best = float(record.metrics["best"])
    row |= {"best": best, "trial": int(record.metrics["trial"]), "reference": reference}
    row |= {"reference_value": value, "gain": best - value}
    return row | _chosen(ours) | {name: v for name, v in record.metrics.items() if name.startswith(IMPORTANCE)}


def _reference(cell: Cell, trials: pd.DataFrame) -> tuple[str, float]:
    """What the choice is held against, and its value; NaN where that trial is not complete."""
    tried = parameters_in(trials, PARAMETER)
    own = {column: _text(_at(base_parameters(cell), name)) for name, column in tried.items()}
    same = trials[[all(row[column] == value for column, value in own.items()) for _, row in trials.iterrows()]]
    found = (same if len(same) else trials).head(1)
    values = found.loc[found["state"] == COMPLETE, "value"]
    return (DEFAULT if len(same) else FIRST), float(values.iloc[0]) if len(values) else math.nan


def _chosen(trials: pd.DataFrame) -> Row:
    won = trials[trials["chosen"].astype(bool)]
    return {CHOSEN + name: won[column].iloc[0] for name, column in parameters_in(won, PARAMETER).items()}


def _at(parameters: Any, name: str) -> Any:
    """A parameter by its dotted name; ``with.0.weight`` is in the first entry of a list."""
    for part in name.split("."):
        parameters = parameters[int(part)] if isinstance(parameters, list) else parameters[part]
    return parameters


def _decoded(value: object) -> str | None:
    return _text(json.loads(value)) if isinstance(value, str) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _frame(rows: list[Row], columns: tuple[str, ...]) -> pd.DataFrame:
    further = {name for row in rows for name in row if name not in columns}
    return pd.DataFrame(rows, columns=[*columns, *sorted(further)])
