"""What the cells of one job share, and what the stages do alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from orchestrator.plan.cells import Cell, CellId, Stage
from orchestrator.run.place import Place
from orchestrator.store.tables import ROWS_FILE, Column, write_rows
from trainables.context import LocalContext
from trainables.contract import Context, Images, Outcome, Split

if TYPE_CHECKING:
    from trainables.data.reader import Reader
    from trainables.detector import Detector

ContextFactory: TypeAlias = Callable[[Cell], LocalContext]


@dataclass
class Bench:
    """What the cells of one job share: the model, and the scores of images that several test sets have in common."""

    place: Place
    context_for: ContextFactory
    models: dict[CellId, Detector] = field(default_factory=dict)
    scores: dict[tuple[str, str], dict[str, np.float32]] = field(default_factory=dict)

    def forget(self) -> None:
        """Let go of everything on the device that can be had again."""
        import gc

        import torch

        self.models.clear()
        gc.collect()
        torch.cuda.empty_cache()

    def model(self, cell: CellId) -> Detector:
        """A model made by this job, or by another before it."""
        if cell not in self.models:
            from trainables.checkpoint import load_detector

            self.models[cell], _ = load_detector(self.place.artifacts.folder(cell))
        return self.models[cell]


def keep_model(
    cell: Cell, bench: Bench, context: Context, detector: Detector, outcome: Outcome, card: Mapping[str, Any]
) -> Outcome:
    """Save the detector of a cell, and have it at hand for the cells after it; the outcome with its files."""
    from trainables.checkpoint import CARD, WEIGHTS, save_detector
    from trainables.context import STATE

    if context.rank == 0:
        about = {"cell": cell.id, "image": cell.params["image"], "data": cell.data, "tags": asdict(cell.tags)}
        save_detector(context.folder, detector, {**card, **about})
        (context.folder / STATE).unlink(missing_ok=True)  # of the unfinished fit; the cell is whole now
    bench.models[cell.id] = detector
    return replace(outcome, files=(WEIGHTS, CARD, *outcome.files))


def with_rows(outcome: Outcome, context: Context, columns: Sequence[Column] = ()) -> Outcome:
    """The outcome with its rows as a file in the cell's folder."""
    if not outcome.rows:
        return outcome
    write_rows(context.folder / ROWS_FILE, outcome.rows, columns)
    return replace(outcome, rows=(), files=(*outcome.files, ROWS_FILE))


def names(cell: Cell, key: str) -> list[str]:
    """A parameter of the cell that is a name, or a list of names."""
    listed = cell.params[key]
    return [str(name) for name in listed] if isinstance(listed, list) else [str(listed)]


def source_of(cell: Cell) -> list[str]:
    """The generators that a cell's detector is trained on, or was before it was adapted, after their reals."""
    return [*names(cell, "reals" if cell.stage is Stage.TRAIN else "train_reals"), *names(cell, "source")]


def target_of(cell: Cell) -> list[str]:
    """The generator that the detector of an adapt or validate cell is adapted to, after its reals."""
    return [*names(cell, "test_reals"), str(cell.params["target"])]


def labelled(cell: Cell, reader: Reader, generators: Sequence[str], split: Split) -> Images:
    """Images as a train, adapt or validate cell takes them: as many of each generator, in its detector's classes."""
    taken: Any = cell.params.get("taken", {})
    images, classes = reader.images(generators, split, taken.get(split.value)), _classes(cell)
    if classes is None:
        return images
    return replace(images, labels=np.array([classes[name] for name in images.generators], np.int64))


def class_count(cell: Cell) -> int:
    """Of a train cell's detector."""
    return 1 + max((_classes(cell) or {"fake": 1}).values())


def _classes(cell: Cell) -> Mapping[str, int] | None:
    """The class of every generator and real source, where they are not simply fake and real."""
    given: Mapping[str, int] | None = cast("Any", cell.params.get("classes"))
    return given
