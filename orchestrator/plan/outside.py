"""The cells of a detector that is known by its scores alone: their table, and what it says of every test set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.plan.axes import Axes, all_of
from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.plan.readers import score
from orchestrator.study.model import Study
from orchestrator.study.rooms import SOURCE_ONLY, DetectorChoice
from orchestrator.study.spaces import OUTSIDE
from trainables.errors import InputError

if TYPE_CHECKING:
    from trainables.data.manifest import Manifest

LOOKING_UP_VERSION = 1
"""Raised when images are found in tables in another way."""


def looked_up(axes: Axes, detector: DetectorChoice) -> Iterator[Cell]:
    """The table, and the scores of every test set by it: clean ones only, and once whatever the seeds.

    Its source, its target and the rule that chose it are called ``outside``: nothing is known of them.
    """
    table = _table(axes, detector)
    yield table
    for test in axes.tests:
        yield replace(score(axes, table, test), method=OUTSIDE)


def _table(axes: Axes, detector: DetectorChoice) -> Cell:
    """Stands where a train cell does. What images are called decides what a table says of them: hence the manifest."""
    return Cell(
        stage=Stage.TRAIN,
        method=detector.kind,
        version=detector.version,
        params={
            "detector": detector.parameters,
            "images": list(_tested(axes)),
            "manifest": axes.catalogue.manifest,
            "looking_up": LOOKING_UP_VERSION,
        },
        tags=Tags(
            detector=detector.name,
            source=OUTSIDE,
            target=OUTSIDE,
            adaptation=SOURCE_ONLY,
            seed=axes.study.seeds[0],
            selection=OUTSIDE,
        ),
    )


def _tested(axes: Axes) -> tuple[str, ...]:
    """The test generators and the reals that stand against them."""
    return all_of([axes.tests, *(axes.test_reals[test] for test in axes.tests)])


def check_outside(axes: Axes) -> None:
    """Whether ``outside`` can stand where the name of what a detector was trained on does.

    Raises:
        InputError: a generator, a real source or a group has that name.
    """
    known = (*axes.catalogue.fakes, *axes.catalogue.reals, *(source.name for source in axes.sources))
    for place, detector in enumerate(axes.study.detectors):
        if OUTSIDE in detector.entry.traits and OUTSIDE in known:
            problem, fix = "tables use this name for detectors that are known by scores alone", "rename the generator"
            raise InputError(problem, where=f"detectors.{place}", value=OUTSIDE, fix=fix)


def require_scores(study: Study, catalogue: Catalogue, manifest: Manifest) -> None:
    """Raise unless every table of scores has one of every test image.

    Args:
        study: one that can be planned with this catalogue.

    Raises:
        InputError: a table cannot be read or says nothing, or not one thing, of images; the message names some.
    """
    for place, detector in enumerate(study.detectors):
        if OUTSIDE in detector.entry.traits:
            try:
                detector.entry.load().look_up(detector.config, manifest, _tested(Axes(study, catalogue)))
            except InputError as error:
                raise error.at(f"detectors.{place}.file" + f": {error.where}" * bool(error.where)) from None
