"""A small study and what images it would find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.plan.catalogue import Catalogue
from orchestrator.study.model import Study
from trainables.contract import Split
from trainables.data.sets import ImageSet

FAMILIES = {"camera": "real", "phone": "real", "tconv": "gan", "nearest": "gan", "bilinear": "dm"}


def image_set(
    generator: str, split: Split, digest: str | None = None, *, family: str = "", partner: str = ""
) -> ImageSet:
    family = family or FAMILIES.get(generator, "gan")
    return ImageSet(
        generator=generator,
        family=family,
        label=int(family != "real"),
        split=split,
        count=10,
        digest=digest or f"{generator}-{split}",
        partner=partner,
    )


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(tuple(image_set(generator, split) for generator in FAMILIES for split in Split))


@pytest.fixture
def make_study() -> Callable[..., Study]:
    def make(**changes: Any) -> Study:
        given = {
            "name": "small",
            "data": {"root": "images"},
            "detectors": ["residual_cnn"],
            "train_generators": ["tconv", "nearest"],
            "adaptations": ["source_only", "recalibrate", "coral"],
        }
        return Study.model_validate(given | changes)

    return make
