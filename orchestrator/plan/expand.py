"""From a study and what images there are to all of its cells."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.plan.axes import Axes, Source, all_of
from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.plan.checks import check, check_attacks
from orchestrator.plan.fusing import FUSED, fused, in_classes_of
from orchestrator.plan.graph import Plan, plan_of
from orchestrator.plan.models import adapted, trained, tuned, validated
from orchestrator.plan.outside import looked_up
from orchestrator.plan.readers import readers
from orchestrator.plan.sequences import learnt
from orchestrator.study.model import Study
from orchestrator.study.rooms import DetectorChoice
from orchestrator.study.spaces import OUTSIDE

AUDIT_VERSION = 1
"""Raised when the audit measures something else."""


def expand(study: Study, catalogue: Catalogue) -> Plan:
    """Every cell of a study, parents first.

    Each (detector, source, seed) is trained once and read by all of its adaptations, scores, attacks and analyses.
    An adaptation with the trait ``identity`` has no cell: its rows are the source detector's own.

    Raises:
        InputError: a generator of the study is not in the data, or has no images in a split it needs; or an attack is
            made on nothing.
    """
    axes = Axes(study, catalogue)
    check(axes)
    plan = plan_of(study.name, _cells(axes))
    check_attacks(axes, plan)
    return plan


def _cells(axes: Axes) -> Iterator[Cell]:
    yield _audit(axes)
    for detector in axes.study.detectors:
        if OUTSIDE in detector.entry.traits:
            yield from looked_up(axes, detector)
            continue
        for seed in axes.study.seeds:
            for source in axes.sources:
                yield from _of_model(axes, detector, source, seed)


def _of_model(axes: Axes, detector: DetectorChoice, source: Source, seed: int) -> Iterator[Cell]:
    """A source detector, and all that comes of it."""
    if FUSED in detector.entry.traits:
        fresh = yield from fused(axes, detector, source, seed)
    else:
        fresh = trained(axes, detector, source, seed)
    model = yield from tuned(axes, fresh, detector)
    yield from readers(axes, model, source)
    for target in axes.targets_of(source):
        yield from _adaptations(axes, model, detector, source, target)
    for sequence in axes.study.sequences:
        if sequence.generators[0] == source.name:
            yield from learnt(axes, model, sequence)


def _adaptations(axes: Axes, model: Cell, detector: DetectorChoice, source: Source, target: str) -> Iterator[Cell]:
    for adaptation in axes.trained_adaptations:
        cell = in_classes_of(axes, adapted(axes, model, source, target, adaptation), detector)
        moved = yield from tuned(axes, cell, adaptation)
        if axes.watched(adaptation):
            yield validated(axes, moved)
        yield from readers(axes, moved, source)


def _audit(axes: Axes) -> Cell:
    """Of all images of the generators that the study reads, each against its own reals."""
    against = {
        fake: all_of([axes.train_reals.get(fake, ()), axes.test_reals.get(fake, ())])
        for fake in dict.fromkeys((*axes.learnt, *axes.tests))
    }
    read = axes.catalogue.whole(tuple(against), all_of(against.values()))
    return Cell(
        stage=Stage.AUDIT,
        method="shortcut",
        params={
            "image": axes.image,
            "against": {fake: list(reals) for fake, reals in against.items()},
            "manifest": axes.catalogue.manifest,
            "audit": AUDIT_VERSION,
        },
        reads=(read,),
        data=read.digest,
        tags=Tags(detector="", source="", target="", adaptation="", seed=0, selection=axes.study.rule),
    )
