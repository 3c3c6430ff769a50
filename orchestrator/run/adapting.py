"""The adapt stage: what a method is given, and what is kept of each of its epochs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.plan.cells import Cell
from orchestrator.run.bench import Bench, keep_model, labelled, source_of, target_of
from trainables.context import LocalContext
from trainables.contract import AdaptationData, Images, Outcome, Split, Unlabelled
from trainables.registry import find

if TYPE_CHECKING:
    from trainables.data.reader import Reader
    from trainables.selection.trace import Known
    from trainables.selection.watch import Watcher


def adapt(cell: Cell, bench: Bench, context: LocalContext) -> Outcome:
    """Adapt the parent's detector; where the cell is watched, its trace lies beside the weights."""
    from trainables.checkpoint import load_detector

    entry = find("adaptations", cell.method)
    config = entry.config.model_validate(cell.params["adaptation"])
    detector, card = load_detector(bench.place.artifacts.folder(cell.needs[0]))
    reader = bench.place.reader(cell)
    data = adaptation_data(cell, reader, entry.traits | ({"few"} if config.reads_few else frozenset()))
    context.watcher = _watcher(cell, reader, data)
    outcome = entry.load().adapt(config, detector, data, context)
    if context.watcher is not None:
        context.watcher.look(detector, context)
        outcome = _with_trace(context.watcher, outcome, context)
    same = {"kind": card["kind"], "config": card["config"]}
    return keep_model(cell, bench, context, detector, outcome, same)


def adaptation_data(cell: Cell, reader: Reader, traits: frozenset[str]) -> AdaptationData:
    """What the method of an adapt cell may read, by its traits.

    A step of a sequence trains with labels: its target's images are those of the ``train`` split, with and without.
    """
    source, target = source_of(cell), target_of(cell)
    continual = "continual" in traits
    with_labels = continual or "oracle" in traits
    return AdaptationData(
        source_train=labelled(cell, reader, source, Split.TRAIN),
        source_val=labelled(cell, reader, source, Split.VAL),
        target=reader.unlabelled(target, Split.TRAIN if continual else Split.ADAPT),
        few=labelled(cell, reader, target, Split.FEW) if "few" in traits else None,
        oracle_train=labelled(cell, reader, target, Split.TRAIN) if with_labels else None,
        oracle_val=labelled(cell, reader, target, Split.VAL) if with_labels else None,
        earlier=_earlier(cell, reader) if continual else (),
    )


def _earlier(cell: Cell, reader: Reader) -> tuple[Images, ...]:
    """To train on, of every generator that was learnt before, each with its own reals."""
    learnt = cell.params["earlier"]
    assert isinstance(learnt, dict)
    reals = {name: [str(real) for real in against] for name, against in learnt.items() if isinstance(against, list)}
    return tuple(reader.images([*against, name], Split.TRAIN) for name, against in reals.items())


def _watcher(cell: Cell, reader: Reader, data: AdaptationData) -> Watcher | None:
    """Who looks at the cell's detector after every epoch; None where nothing is kept of them."""
    from trainables.score import labels_by_image
    from trainables.selection.trace import ORACLE, SOURCE
    from trainables.selection.watch import Sample, Watcher, most_of

    if cell.params["watched"] is None:
        return None
    rule = str(cell.params["selection"])
    views, top = data.source_val.views, data.source_val.top
    sets = _looked_at(cell, reader, data)
    samples = {name: Sample.of(images, views=views, top=top, most=most_of(name)) for name, images in sets.items()}
    known: Known = {SOURCE: labels_by_image(data.source_val)}
    if ORACLE in find("selections", rule).traits:
        known = {**known, ORACLE: labels_by_image(reader.images(target_of(cell), Split.VAL))}
    return Watcher(rule, samples, known)


def _looked_at(cell: Cell, reader: Reader, data: AdaptationData) -> dict[str, Images | Unlabelled]:
    """By set, each image seen whole, also where training sees a part of it; nothing of the target has labels."""
    from trainables.selection.trace import ORACLE, SOURCE, TARGET, TEST, THIRD

    watched, target = cell.params["watched"], target_of(cell)
    assert isinstance(watched, dict)
    assert isinstance(watched["third"], dict)
    third = {f"{THIRD}{name}": reader.unlabelled([name], Split.VAL) for name in watched["third"]}
    oracle = {ORACLE: reader.unlabelled(target, Split.VAL)} if watched["oracle"] is not None else {}
    return {
        SOURCE: data.source_val,
        TARGET: reader.unlabelled(target, Split.ADAPT, whole=True),
        **third,
        **oracle,
        TEST: reader.unlabelled(target, Split.TEST),
    }


def _with_trace(watcher: Watcher, outcome: Outcome, context: LocalContext) -> Outcome:
    from trainables.selection.trace import EPOCHS

    if context.rank == 0:
        watcher.trace.save(context.folder / EPOCHS)
    return replace(outcome, files=(*outcome.files, EPOCHS))
