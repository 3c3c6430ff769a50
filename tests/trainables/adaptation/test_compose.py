"""Compositions: those of the source project, and what each part of one brings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.adaptation.steps import ONE_STEP, few_images, state
from tests.trainables.toy import context
from trainables.adaptation import compose, dann
from trainables.contract import AdaptationData, Images, Outcome
from trainables.detector import Detector
from trainables.score import score

SOURCE_PROJECTS = (
    "dann+coral",
    "dann+ddc",
    "dann+jreg",
    "dann+fgda",
    "dann+rada",
    "dann+sdat",
    "daln+sdat",
    "fgda+daln",
    "fgda+sdat",
    "fgda+daln+sdat",
    "dann+rada+fgda",
    "dann+rada+sdat",
    "dann+rada+fgda+sdat",
)
FIGURES = {
    "dann": {"domain", "discriminator_accuracy"},
    "coral": {"coral"},
    "ddc": {"ddc"},
    "jreg": {"jacobian"},
    "daln": {"daln", "nwd"},
    "fgda": {"fgda", "gradient_discriminator_accuracy"},
    "rada": {"relabel_rate"},
    "sdat": set[str](),
}


def _run(kinds: str, detector: Detector, data: AdaptationData, folder: Path) -> Outcome:
    base, *others = kinds.split("+")
    config = compose.Config.model_validate({"base": base, "with": others, "recipe": ONE_STEP})
    return compose.adapt(config, detector, few_images(data), context(folder))


@pytest.mark.parametrize("kinds", SOURCE_PROJECTS)
def test_the_source_projects_combinations_train(
    kinds: str, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    before = state(trained)
    outcome = _run(kinds, trained, data, tmp_path)
    expected = set().union(*(FIGURES[kind] for kind in kinds.split("+")))
    source = {name for name in outcome.metrics if name.startswith("source_")}
    assert set(outcome.metrics) == expected | source | {"epoch", "predicted_prior"}
    assert not torch.equal(state(trained), before)
    assert np.isfinite(score(trained, target.pixels)).all()


def test_a_composition_of_one_is_that_method(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    alone, composed = copies(), copies()
    dann.adapt(dann.Config(recipe=ONE_STEP), alone, few_images(data), context(tmp_path / "alone"))
    _run("dann", composed, data, tmp_path / "composed")
    assert torch.equal(state(alone), state(composed))


def test_the_order_of_the_parts_does_not_matter(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    first, second = copies(), copies()
    _run("dann+sdat+rada", first, data, tmp_path / "first")
    _run("dann+rada+sdat", second, data, tmp_path / "second")
    assert torch.equal(state(first), state(second))
