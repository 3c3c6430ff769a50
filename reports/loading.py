"""From the store to results: the ledger's figures, and the per-image scores wherever an interval is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from orchestrator.plan.cells import Cell, CellId, Stage
from orchestrator.store.records import Record, Status
from orchestrator.store.tables import SCORES_FILE, read_scores
from reports.results import Folders, Results, in_matrix
from reports.selection import split_oracles
from reports.statistics import METRICS, Estimate, Resampler, Scores, estimate

Progress = Callable[[str], None]


def load_results(
    cells: Sequence[Cell],
    records: Mapping[CellId, Record],
    folders: Folders,
    resampler: Resampler | None = None,
    progress: Progress | None = None,
) -> Results:
    """Read the scores of the finished cells of matrices and of sequences, and estimate every metric.

    Cells outside every matrix (a model on a generator it was neither trained on nor adapted to), and cells whose
    scores are gone, keep the ledger's figures, without intervals.

    Raises:
        MixedSelectionError: the methods' models were chosen by more than one rule.
    """
    split_oracles(cells)  # refused before anything is computed
    resampler = resampler or Resampler()
    ours = {cell.id: records[cell.id] for cell in cells if cell.id in records}
    done = [c for c in cells if c.stage is Stage.SCORE and c.id in ours and ours[c.id].status is Status.DONE]
    scores = _read_scores([cell for cell in done if in_matrix(cell) or cell.tags.sequence], folders)
    if progress:
        progress(f"resampling the test images of {len(scores)} score tables")
    estimates: dict[CellId, Mapping[str, Estimate]] = {}
    for cell in done:
        found = scores.get(cell.id)
        estimates[cell.id] = estimate(found, resampler) if found else _without_interval(ours[cell.id], resampler)
    return Results(tuple(cells), ours, estimates, scores, folders, resampler)


def _read_scores(cells: Iterable[Cell], folders: Folders) -> dict[CellId, Scores]:
    known: dict[str, Scores] = {}
    found: dict[CellId, Scores] = {}
    for cell in cells:
        path = folders.folder(cell.id) / SCORES_FILE
        if not path.is_file():
            continue
        scores = Scores.from_frame(read_scores(path))
        if len(scores):
            # Hundreds of tables hold the same images: keep their names once.
            first = known.setdefault(cell.tags.test, scores)
            found[cell.id] = replace(first, values=scores.values) if first.same_images(scores) else scores
    return found


def _without_interval(record: Record, resampler: Resampler) -> dict[str, Estimate]:
    nothing = np.full(resampler.draws, np.nan)
    return {name: Estimate(float(record.metrics.get(name, np.nan)), nothing) for name in METRICS}
