"""What methods are measured against: the source training gone on, and the oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.trainables.toy import QUICK, context, toy_images
from trainables.adaptation import oracle, source_longer
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.fit import fit
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe
from trainables.score import score


def _same(one: Detector, two: Detector) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def _turned_round(count: int, seed: int) -> Images:
    """Images whose labels only a method that reads them can know."""
    images = toy_images(count, seed=seed, period=4)
    return replace(images, labels=1 - images.labels)


def test_source_longer_is_the_source_training_gone_on(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    longer, plain = copies(), copies()
    source_longer.adapt(source_longer.Config(recipe=QUICK), longer, data, context(tmp_path / "longer"))
    fit(plain, SUPERVISED, QUICK, data.source_train, data.source_val, context(tmp_path / "plain"))
    assert _same(longer, plain)


def test_source_longer_is_not_touched_by_the_target_unless_it_sees_it(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    other = replace(data, target=toy_images(64, seed=9, period=8).without_labels())
    found: dict[bool, list[Detector]] = {}
    for sees in (False, True):
        config = source_longer.Config(recipe=QUICK, sees_target=sees)
        found[sees] = [copies(), copies()]
        for number, (detector, given) in enumerate(zip(found[sees], (data, other), strict=True)):
            source_longer.adapt(config, detector, given, context(tmp_path / f"{sees}{number}"))
    assert _same(*found[False])
    assert not _same(*found[True])


def test_the_oracle_learns_the_target_from_its_labels(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    def called_fake() -> NDArray[np.bool_]:
        return score(trained, target.pixels) > 0.5

    assert (called_fake() == target.labels).mean() > 0.9
    given = replace(data, oracle_train=_turned_round(128, seed=11), oracle_val=_turned_round(32, seed=12))
    config = oracle.Config(recipe=Recipe(epochs=6, batch=16, learning_rate=5e-3))
    outcome = oracle.adapt(config, trained, given, context(tmp_path))
    assert (called_fake() == target.labels).mean() < 0.1
    assert outcome.metrics["target_val_accuracy"] > 0.9
    assert "source_val_accuracy" not in outcome.metrics


def test_the_oracle_without_the_targets_labels_is_refused(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="oracle_train"):
        oracle.adapt(oracle.Config(), trained, data, context(tmp_path))
