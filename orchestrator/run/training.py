"""The train stage: what a detector is trained on, and how those learn that are not trained by gradients alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.plan.cells import Cell
from orchestrator.run.bench import Bench, class_count, keep_model, labelled, names, source_of, with_rows
from orchestrator.run.place import preprocess_of
from orchestrator.store.tables import LOOKED_UP
from orchestrator.study.inputs import placed
from orchestrator.study.spaces import OUTSIDE
from trainables.contract import Context, Images, Outcome, Split
from trainables.registry import Entry, find

if TYPE_CHECKING:
    from trainables.detector import Detector


def train(cell: Cell, bench: Bench, context: Context) -> Outcome:
    """A fresh detector, trained on its source.

    Where several workers share the cell, a detector that is solved is solved by each of them alone, from the same
    features: there are no gradients to share, and what the first of them hands back is kept.

    Of a detector that is somebody else's there is no checkpoint, but a table of its scores.
    """
    from trainables.detector import build_detector

    parameters = cell.params["detector"]
    assert isinstance(parameters, dict)
    entry = find("detectors", cell.method)
    config: Any = entry.config.model_validate(placed(parameters, bench.place.inputs))
    if OUTSIDE in entry.traits:
        return _looked_up(entry, config, cell, bench, context)
    reader, generators = bench.place.reader(cell), source_of(cell)
    detector = build_detector(cell.method, config, seed=context.seed, classes=class_count(cell))
    side = preprocess_of(cell).size
    detector.check_size(side, side)  # before any image is decoded
    source = labelled(cell, reader, generators, Split(str(cell.params.get("split", Split.TRAIN))))
    source_val = labelled(cell, reader, generators, Split.VAL)
    parts = [bench.model(part) for part in cell.needs]
    outcome = _learn(entry, config, detector, parts, source, source_val, context)
    outcome = _counted(outcome, detector, trained=not config.ready)
    return keep_model(cell, bench, context, detector, outcome, {"kind": cell.method, "config": parameters})


def _counted(outcome: Outcome, detector: Detector, *, trained: bool) -> Outcome:
    """The outcome with the detector's parameters, and those of them that its training changes; buffers are neither."""
    sizes = [(parameter.numel(), parameter.requires_grad and trained) for parameter in detector.parameters()]
    changed = float(sum(size for size, wanted in sizes if wanted))
    counts = {"parameters": float(sum(size for size, _ in sizes)), "trained_parameters": changed}
    return replace(outcome, metrics={**outcome.metrics, **counts})


def _looked_up(entry: Entry, config: Any, cell: Cell, bench: Bench, context: Context) -> Outcome:
    """The scores of the test images, one row an image."""
    found = entry.load().look_up(config, bench.place.manifest(), names(cell, "images"))
    rows = [{"image": digest, "score": score} for digest, score in found.items()]
    return with_rows(Outcome(rows=rows), context, LOOKED_UP)


def _learn(
    entry: Entry,
    config: Any,
    detector: Detector,
    parts: list[Detector],
    source: Images,
    source_val: Images,
    context: Context,
) -> Outcome:
    from trainables import fit

    member: Any = entry.load()
    if "solved" in entry.traits:
        solved: Outcome = member.solve(config, detector, source, source_val, context)
        return solved
    if "fused" in entry.traits:
        fused: Outcome = member.fuse(config, detector, parts, source, source_val, context)
        return fused
    if "prepared" in entry.traits:
        member.prepare(config, detector, source, context)
    if "objective" in entry.traits:
        objective = member.objective(config)
        return fit.fit(detector, objective, config.recipe, source, source_val, context).outcome()
    return fit.train(config, detector, source, source_val, context)
