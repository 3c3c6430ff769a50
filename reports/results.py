"""The results of a study as they stand: its cells, what the ledger says of them, and an estimate for every score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from orchestrator.plan.cells import Cell, CellId, Stage, combine
from orchestrator.store.records import Record, Status
from reports.selection import SOURCE_ONLY, split_oracles
from reports.statistics import Estimate, Resampler, Scores, mean, over_seeds, paired_gain
from trainables.contract import Split

RECALIBRATE = "recalibrate"
SOURCE_LONGER = "source_longer"


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


Place = tuple[Model, str, str]
"""A model, the generator it is tested on, and the variant of its images."""


@dataclass(frozen=True)
class Results:
    """A plan with what is known of it so far; every table and figure is a function of this.

    The grid is train generators by test generators by methods. The steps of sequences of generators, and what scores
    them, stand in ``sequential`` and in nothing else here but ``cells``.

    Attributes:
        cells: of the plan. Their tags name a result: a record may have been made for another study.
        records: by cell id; those of other studies are left out.
        estimates: by id of a scored cell, one estimate a metric.
        scores: by id of a scored cell whose per-image scores are in the store.
        folders: where the cells' files are.
        resampler: of the draws, so that whatever is estimated later is paired with them.
        detector: whose cells alone make up the grid; all of them if blank.
    """

    cells: tuple[Cell, ...]
    records: Mapping[CellId, Record]
    estimates: Mapping[CellId, Mapping[str, Estimate]]
    scores: Mapping[CellId, Scores]
    folders: Folders
    resampler: Resampler
    detector: str = ""

    @cached_property
    def alone(self) -> Mapping[str, Results]:
        """Each detector's results: not all of them have the same train generators, methods and corruptions."""
        return {name: replace(self, detector=name) for name in self.detectors}

    @cached_property
    def plan(self) -> str:
        """The plan's hash: of the ids of its cells, whatever their order."""
        return combine(cell.id for cell in self.cells)

    @cached_property
    def data(self) -> str:
        """One digest of all images that the plan's cells read."""
        return combine({cell.data for cell in self.cells if cell.data})

    @cached_property
    def grid(self) -> tuple[Cell, ...]:
        """The cells that make or read a detector of the grid: not the audit's, nor those of sequences."""
        ours = (cell for cell in self.cells if self.detector in ("", cell.tags.detector))
        return tuple(cell for cell in ours if cell.stage is not Stage.AUDIT and not cell.tags.sequence)

    @cached_property
    def sequential(self) -> tuple[Cell, ...]:
        """The cells of detectors that learn generator after generator."""
        return tuple(cell for cell in self.cells if cell.tags.sequence)

    @cached_property
    def detectors(self) -> tuple[str, ...]:
        return _unique(cell.tags.detector for cell in self.grid)

    @cached_property
    def adaptations(self) -> tuple[str, ...]:
        """The methods that are compared: ``source_only`` first, then in the study's order, without the oracles."""
        named = _unique([SOURCE_ONLY, *(cell.tags.adaptation for cell in self.grid)])
        return tuple(name for name in named if name not in self._selection[1])

    @cached_property
    def oracles(self) -> tuple[str, ...]:
        """What was trained on the target's labels: in no mean, rank or comparison of the methods."""
        return tuple(name for name in self._selection[1] if any(name == cell.tags.adaptation for cell in self.grid))

    @cached_property
    def labelled(self) -> frozenset[str]:
        """The methods that read labels of the target, a few or all."""
        unlabelled = {Split.ADAPT.value}
        return frozenset(
            cell.tags.adaptation
            for cell in self.of(Stage.ADAPT)
            if any(read.role == "target" and set(read.splits) - unlabelled for read in cell.reads)
        )

    @property
    def selection(self) -> str:
        """The one rule that chose every method's models; those of source detectors are always ``source_val``'s."""
        return self._selection[0]

    @cached_property
    def _selection(self) -> tuple[str, tuple[str, ...]]:
        return split_oracles(self.cells)

    @cached_property
    def baselines(self) -> tuple[str, ...]:
        """What a gain is measured over: the source detector, and the one that only moves its threshold, unlabelled."""
        moved = (c.tags.adaptation for c in self.of(Stage.ADAPT) if c.method == RECALIBRATE)
        return _unique([SOURCE_ONLY, *(name for name in moved if name not in self.labelled)][:2])

    @cached_property
    def control(self) -> str:
        """The further source training whose BatchNorm sees target images, which no gain should fall short of, or ""."""
        trained = (c for c in self.of(Stage.ADAPT) if c.method == SOURCE_LONGER)
        return next((c.tags.adaptation for c in trained if _sees_target(c)), "")

    @cached_property
    def sources(self) -> tuple[str, ...]:
        return _unique(cell.tags.source for cell in self.grid)

    @cached_property
    def tests(self) -> tuple[str, ...]:
        """The test generators that are trained on, in the sources' order, so that the diagonal is one; the others."""
        named = _unique(c.tags.test for c in self.of(Stage.SCORE))
        learnt = _unique(name for source in self.sources for name in self._learnt.get(source, (source,)))
        return (*(name for name in learnt if name in named), *(test for test in named if test not in learnt))

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """The corruptions, without the clean images."""
        return _unique(c.tags.variant for c in self.of(Stage.SCORE) if c.tags.variant)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every (source, test) off the diagonal."""
        return tuple((s, t) for s in self.sources for t in self.tests if not self.seen(s, t))

    @property
    def diagonal(self) -> tuple[tuple[str, str], ...]:
        """Every (source, test) whose detectors were trained on that generator: in-dataset."""
        return tuple((s, t) for s in self.sources for t in self.tests if self.seen(s, t))

    def seen(self, source: str, test: str) -> bool:
        """Whether a source's detectors were trained on this generator, alone or with others of a group."""
        return test in self._learnt.get(source, (source,))

    def own(self, source: str) -> tuple[str, ...]:
        """The test generators that a source's detectors were trained on."""
        return tuple(test for each, test in self.diagonal if each == source)

    @cached_property
    def _learnt(self) -> Mapping[str, tuple[str, ...]]:
        """The generators of every source that a cell says it was trained on."""
        return {cell.tags.source: tuple(cell.reads[0].fakes) for cell in self.of(Stage.TRAIN) if cell.reads}

    @cached_property
    def _scored(self) -> Mapping[tuple[Model, str, str], Mapping[int, Cell]]:
        found: dict[tuple[Model, str, str], dict[int, Cell]] = defaultdict(dict)
        for cell in self.of(Stage.SCORE):
            tags = cell.tags
            model = Model(tags.detector, tags.adaptation, tags.source, tags.target)
            found[model, tags.test, tags.variant][tags.seed] = cell
        return found

    def of(self, stage: Stage) -> tuple[Cell, ...]:
        """The cells of a stage, in the plan's order; none of sequences."""
        return self._by_stage.get(stage, ())

    @cached_property
    def _by_stage(self) -> Mapping[Stage, tuple[Cell, ...]]:
        found: dict[Stage, list[Cell]] = defaultdict(list)
        for cell in self.cells:
            if not cell.tags.sequence and self.detector in ("", cell.tags.detector):
                found[cell.stage].append(cell)
        return {stage: tuple(cells) for stage, cells in found.items()}

    def status(self, cell: Cell) -> Status | None:
        """How the cell ended; None while it has not."""
        record = self.records.get(cell.id)
        return record.status if record else None

    def entry(self, detector: str, adaptation: str, source: str, test: str) -> Model:
        """The model at (source, test) of a method's matrix.

        Off the diagonal that is the model adapted from source to test. On it, and for ``source_only`` everywhere, it
        is the source detector: nothing is adapted to its own generator.
        """
        if adaptation == SOURCE_ONLY or self.seen(source, test):
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

    def common_seeds(self, *places: Place) -> tuple[int, ...]:
        """The seeds by which every one of these is scored."""
        found = [{seed for seed, cell in self.scored(*place).items() if cell.id in self.estimates} for place in places]
        return tuple(sorted(set.intersection(*found)))

    def difference(
        self, first: Place, second: Place, metric: str, seeds: Sequence[int] | None = None
    ) -> Estimate | None:
        """The first's metric minus the second's: seed by seed, image by image; None where no seed has both.

        Args:
            seeds: those that are averaged over, of ``common_seeds``; all of them if not given.
        """
        ours, theirs = self.scored(*first), self.scored(*second)
        common = self.common_seeds(first, second) if seeds is None else seeds
        gains = {seed: self._difference(ours[seed].id, theirs[seed].id, metric) for seed in common}
        return over_seeds(gains, self.resampler) if gains else None

    def _difference(self, first: CellId, second: CellId, metric: str) -> Estimate:
        ours, theirs = self.scores.get(first), self.scores.get(second)
        if ours is None or theirs is None or ours.same_images(theirs):
            return self.estimates[first][metric] - self.estimates[second][metric]
        return paired_gain(ours, theirs, self.resampler)[metric]


def in_matrix(score: Cell) -> bool:
    """Whether a score cell is an entry of a matrix: a source detector's, or an adapted one's on its own target."""
    tags = score.tags
    return not tags.sequence and (tags.adaptation == SOURCE_ONLY or tags.test == tags.target)


def _sees_target(cell: Cell) -> bool:
    parameters = cell.params.get("adaptation")
    return isinstance(parameters, dict) and parameters.get("sees_target") is True


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
