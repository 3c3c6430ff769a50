"""The results of a study as they stand: its cells, what the ledger says of them, and an estimate for every score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from orchestrator.plan.cells import Cell, CellId, Stage, combine
from orchestrator.store.records import Record, Status
from orchestrator.store.tables import SCORES_FILE, read_scores
from reports.statistics import METRICS, Estimate, Resampler, Scores, estimate, mean, over_seeds, paired_gain

SOURCE_ONLY, RECALIBRATE = "source_only", "recalibrate"

Progress = Callable[[str], None]


class Folders(Protocol):
    """What a report needs of the artifact store: the folder of a cell."""

    def folder(self, cell_id: CellId, /) -> Path: ...


@dataclass(frozen=True, slots=True)
class Model:
    """A detector of the grid, whatever its seed."""

    detector: str
    adaptation: str
    source: str
    target: str


@dataclass(frozen=True)
class Results:
    """A plan with what is known of it so far; every table and figure is a function of this.

    Attributes:
        cells: of the plan. Their tags name a result: a record may have been made for another study.
        records: by cell id; those of other studies are left out.
        estimates: by id of a scored cell, one estimate a metric.
        scores: by id of a scored cell whose per-image scores are in the store.
        folders: where the cells' files are.
        resampler: of the draws, so that whatever is estimated later is paired with them.
    """

    cells: tuple[Cell, ...]
    records: Mapping[CellId, Record]
    estimates: Mapping[CellId, Mapping[str, Estimate]]
    scores: Mapping[CellId, Scores]
    folders: Folders
    resampler: Resampler

    @cached_property
    def plan(self) -> str:
        """The plan's hash: of the ids of its cells, whatever their order."""
        return combine(cell.id for cell in self.cells)

    @cached_property
    def data(self) -> str:
        """One digest of all images that the plan's cells read."""
        return combine({cell.data for cell in self.cells if cell.data})

    @cached_property
    def detectors(self) -> tuple[str, ...]:
        return _unique(cell.tags.detector for cell in self.cells)

    @cached_property
    def adaptations(self) -> tuple[str, ...]:
        """``source_only`` first, then in the study's order."""
        return _unique([SOURCE_ONLY, *(cell.tags.adaptation for cell in self.cells)])

    @cached_property
    def baselines(self) -> tuple[str, ...]:
        """What a gain is measured over: the source detector, and the one that only moves its threshold."""
        return _unique([SOURCE_ONLY, *(c.tags.adaptation for c in self.of(Stage.ADAPT) if c.method == RECALIBRATE)][:2])

    @cached_property
    def sources(self) -> tuple[str, ...]:
        return _unique(cell.tags.source for cell in self.cells)

    @cached_property
    def tests(self) -> tuple[str, ...]:
        """The sources that are test generators too, so that the diagonal is one, then the others."""
        named = _unique(c.tags.test for c in self.cells if c.stage is Stage.SCORE)
        return (*(s for s in self.sources if s in named), *(t for t in named if t not in self.sources))

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """The corruptions, without the clean images."""
        return _unique(c.tags.variant for c in self.cells if c.stage is Stage.SCORE and c.tags.variant)

    @cached_property
    def selection(self) -> str:
        """The one rule that chose every model.

        Raises:
            MixedSelectionError: the plan's cells were chosen by more than one.
        """
        return one_selection(cell.tags.selection for cell in self.cells)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every (source, test) off the diagonal."""
        return tuple((s, t) for s in self.sources for t in self.tests if s != t)

    @property
    def diagonal(self) -> tuple[tuple[str, str], ...]:
        """Every (source, source) that is tested: in-dataset."""
        return tuple((s, s) for s in self.sources if s in self.tests)

    @cached_property
    def _scored(self) -> Mapping[tuple[Model, str, str], Mapping[int, Cell]]:
        found: dict[tuple[Model, str, str], dict[int, Cell]] = defaultdict(dict)
        for cell in self.of(Stage.SCORE):
            tags = cell.tags
            model = Model(tags.detector, tags.adaptation, tags.source, tags.target)
            found[model, tags.test, tags.variant][tags.seed] = cell
        return found

    def of(self, stage: Stage) -> tuple[Cell, ...]:
        """The cells of a stage, in the plan's order."""
        return tuple(cell for cell in self.cells if cell.stage is stage)

    def status(self, cell: Cell) -> Status | None:
        """How the cell ended; None while it has not."""
        record = self.records.get(cell.id)
        return record.status if record else None

    def entry(self, detector: str, adaptation: str, source: str, test: str) -> Model:
        """The model at (source, test) of a method's matrix.

        Off the diagonal that is the model adapted from source to test. On it, and for ``source_only`` everywhere, it
        is the source detector: nothing is adapted to its own generator.
        """
        if adaptation == SOURCE_ONLY or source == test:
            return Model(detector, SOURCE_ONLY, source, source)
        return Model(detector, adaptation, source, test)

    def scored(self, model: Model, test: str, variant: str = "") -> Mapping[int, Cell]:
        """The cells, by seed, that score a model on a generator's test images."""
        return self._scored.get((model, test, variant), {})

    def by_seed(self, model: Model, test: str, metric: str, variant: str = "") -> dict[int, Estimate]:
        """What is known of a metric, by seed."""
        cells = self.scored(model, test, variant)
        return {seed: self.estimates[cell.id][metric] for seed, cell in cells.items() if cell.id in self.estimates}

    def at(self, model: Model, test: str, metric: str, variant: str = "") -> Estimate | None:
        """The mean over seeds of a metric; None where nothing is scored yet."""
        found = self.by_seed(model, test, metric, variant)
        return over_seeds(found, self.resampler) if found else None

    def average(
        self, detector: str, adaptation: str, pairs: Iterable[tuple[str, str]], metric: str, variant: str = ""
    ) -> tuple[Estimate | None, int]:
        """The macro mean of a matrix over some (source, test), and how many of these are known."""
        entries = [self.at(self.entry(detector, adaptation, s, t), t, metric, variant) for s, t in pairs]
        known = [entry for entry in entries if entry is not None]
        return (mean(known) if known else None), len(known)

    def difference(self, first: tuple[Model, str, str], second: tuple[Model, str, str], metric: str) -> Estimate | None:
        """The first's metric minus the second's: seed by seed, image by image; None where no seed has both.

        Args:
            first, second: a model, a test generator and a variant.
        """
        ours, theirs = self.scored(*first), self.scored(*second)
        both = {s: (ours[s].id, theirs[s].id) for s in ours if s in theirs}
        known = {s: pair for s, pair in both.items() if all(i in self.estimates for i in pair)}
        gains = {seed: self._difference(*pair, metric) for seed, pair in known.items()}
        return over_seeds(gains, self.resampler) if gains else None

    def _difference(self, first: CellId, second: CellId, metric: str) -> Estimate:
        ours, theirs = self.scores.get(first), self.scores.get(second)
        if ours is None or theirs is None or ours.same_images(theirs):
            return self.estimates[first][metric] - self.estimates[second][metric]
        return paired_gain(ours, theirs, self.resampler)[metric]


def in_matrix(score: Cell) -> bool:
    """Whether a score cell is an entry of a matrix: a source detector's, or an adapted one's on its own target."""
    return score.tags.adaptation == SOURCE_ONLY or score.tags.test == score.tags.target


class MixedSelectionError(ValueError):
    """Figures of models that were chosen by different rules were about to share a table."""


def one_selection(selections: Iterable[str]) -> str:
    """The one selection rule of a table.

    Raises:
        MixedSelectionError: there is more than one: a model chosen with the target's labels beside one chosen without.
    """
    found = sorted(set(selections))
    if len(found) > 1:
        raise MixedSelectionError(f"one table cannot hold models chosen by different rules: {', '.join(found)}")
    return found[0] if found else ""


def load_results(
    cells: Sequence[Cell],
    records: Mapping[CellId, Record],
    folders: Folders,
    resampler: Resampler | None = None,
    progress: Progress | None = None,
) -> Results:
    """Read the scores of the matrices' finished cells, and estimate every metric.

    Cells outside every matrix (a model on a generator it was neither trained on nor adapted to), and cells whose
    scores are gone, keep the ledger's figures, without intervals.
    """
    resampler = resampler or Resampler()
    ours = {cell.id: records[cell.id] for cell in cells if cell.id in records}
    done = [c for c in cells if c.stage is Stage.SCORE and c.id in ours and ours[c.id].status is Status.DONE]
    scores = _read_scores([cell for cell in done if in_matrix(cell)], folders)
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


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
