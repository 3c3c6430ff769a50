"""The cells of a detector that is fused from specialists: theirs, shared by all fusions of the same, and its own."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from orchestrator.plan.axes import Axes, Source
from orchestrator.plan.cells import Cell, Json
from orchestrator.plan.models import trained, training
from orchestrator.plan.sampling import Taken
from orchestrator.study.inputs import parameters
from orchestrator.study.rooms import DetectorChoice
from trainables.contract import Specialist, Split
from trainables.errors import InputError
from trainables.registry import find

FUSED = "fused"
"""Trait of a detector that is made of others."""
REAL = "real"
"""The family of real images: class 0."""


def fused(axes: Axes, detector: DetectorChoice, source: Source, seed: int) -> Generator[Cell, None, Cell]:
    """A fusion, after the specialists that it is made of.

    It is trained on the split ``fusion`` where all of its generators and real sources have images there, on ``train``
    else; and tells the families apart: real is class 0, the others follow in the order of the specialists.
    """
    own = trained(axes, detector, source, seed)
    specialists = detector.config.specialists
    parts = [_specialist(axes, own, each, source, seed) for each in specialists]
    yield from parts
    names = (*source.generators, *axes.reals_of(source))
    apart = all(axes.catalogue.count([name], Split.FUSION) for name in names)
    split = Split.FUSION if apart else Split.TRAIN
    fakes, reals = source.generators, axes.reals_of(source)
    read = axes.reading("source", fakes, reals, split, Split.VAL, taken=source.taken)
    params = {**own.params, "classes": classes(axes, specialists, names), "split": split.value}
    return replace(own, params=params, needs=tuple(part.id for part in parts), reads=(read,), data=read.digest)


def classes(axes: Axes, specialists: Sequence[Specialist], names: Sequence[str]) -> dict[str, Json]:
    """The class of every generator and real source, by its family."""
    order = [REAL, *(each.family for each in specialists if each.family != REAL)]
    return {name: order.index(axes.catalogue.family(name)) for name in names}


def in_classes_of(axes: Axes, adapted: Cell, detector: DetectorChoice) -> Cell:
    """An adaptation of a fusion: its labels are of the fusion's classes; of any other detector the cell itself."""
    if FUSED not in detector.entry.traits:
        return adapted
    names = [name for read in adapted.reads for name in (*read.fakes, *read.reals)]
    return replace(adapted, params={**adapted.params, "classes": classes(axes, detector.config.specialists, names)})


def _specialist(axes: Axes, fusion: Cell, specialist: Specialist, source: Source, seed: int) -> Cell:
    """One family against the rest; its name in tables and logs is the fusion's, and after it the family's."""
    entry = find("detectors", specialist.kind)
    fakes, reals, family = source.generators, axes.reals_of(source), specialist.family
    taken = _few_of_the_rest(axes, specialist, (*fakes, *reals))
    read = axes.reading("source", fakes, reals, Split.TRAIN, Split.VAL, taken=taken)
    families = {name: axes.catalogue.family(name) for name in (*fakes, *reals)}
    apart = {name: int((each == family) != (family == REAL)) for name, each in families.items()}
    return replace(
        fusion,
        method=specialist.kind,
        version=entry.version + specialist.config.revision,
        params={
            **training(axes, parameters(specialist.config), fusion.params["image"], replace(source, taken=taken), seed),
            "classes": dict(apart),
        },
        reads=(read,),
        data=read.digest,
        tags=replace(fusion.tags, variant=family),
    )


def _few_of_the_rest(axes: Axes, specialist: Specialist, names: Sequence[str]) -> Taken:
    """How many images are taken of those outside the specialist's family: its ratio of each, rounded up."""
    ratio = Fraction(str(specialist.ratio))  # exactly the decimal that the study has
    rest = [name for name in names if axes.catalogue.family(name) != specialist.family]
    return {
        split.value: {name: math.ceil(ratio * axes.catalogue.count([name], split)) for name in rest}
        for split in (Split.TRAIN, Split.VAL)
    }


def check_families(axes: Axes) -> None:
    """Whether every source of a fused detector has images of every family that it tells apart.

    Raises:
        InputError: a family is missing, or that of a generator that it is adapted to is not known.
    """
    for place, detector in enumerate(axes.study.detectors):
        wanted = [each.family for each in detector.config.specialists if each.family != REAL]
        for source in axes.sources if wanted else ():
            _check_source(axes, detector.name, wanted, source)
        targets = axes.targets if wanted and axes.trained_adaptations else {}
        for target in targets:
            _check_known(axes.catalogue.family(target), wanted, target, f"detectors.{place}")


def _check_source(axes: Axes, detector: str, wanted: Sequence[str], source: Source) -> None:
    found = {name: axes.catalogue.family(name) for name in source.generators}
    for name, family in found.items():
        _check_known(family, wanted, name, "train_generators")
    if lacking := [family for family in wanted if family not in found.values()]:
        others = [name for name in axes.catalogue.fakes if axes.catalogue.family(name) == lacking[0]]
        fix = f"write {{generators: [{', '.join((*source.generators, others[0]))}]}}" if others else None
        raise InputError(
            f"{detector} learns families: {source.name} has {_told(found)}, and none of the family {lacking[0]}",
            where="train_generators",
            value=source.name,
            fix=fix or "add images of it; `families` of a data folder says which generator is of which",
        )


def _check_known(family: str, wanted: Sequence[str], name: str, where: str) -> None:
    if family not in wanted:
        raise InputError(
            f"the family of {name} is {family!r}, not one of {', '.join(wanted)}, which this detector tells apart",
            where=where,
            value=name,
            fix=f"name it in `families` of its data folder: {{{name}: {wanted[0]}}}",
        )


def _told(families: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({family})" for name, family in families.items())
