"""What every adaptation of the registry must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainables.toy import QUICK, context, toy_images
from trainables.composing import ON_ADVERSARY
from trainables.contract import AdaptationData, Config, Images, Outcome
from trainables.detector import Detector
from trainables.errors import LabelLeakError
from trainables.registry import ADAPTATIONS, find
from trainables.score import log_odds, score

pytestmark = pytest.mark.parametrize("kind", sorted(ADAPTATIONS))


def _written(kind: str) -> str:
    """The kind under which a study runs it: what changes a discriminator needs one."""
    return "compose" if ON_ADVERSARY in ADAPTATIONS[kind].traits else kind


def _config(kind: str) -> Config:
    if _written(kind) != kind:
        return find("adaptations", "compose").config.model_validate({"base": "dann", "with": [kind], "recipe": QUICK})
    config = find("adaptations", kind).config()
    return config.model_copy(update={"recipe": QUICK}) if "recipe" in type(config).model_fields else config


def _with_few(kind: str, data: AdaptationData) -> AdaptationData:
    """The labelled images of the target, and of generators before it, that the method may read."""
    labelled = toy_images(24, seed=4, period=4)
    if {"oracle", "continual"} & ADAPTATIONS[kind].traits:
        given = replace(data, oracle_train=labelled, oracle_val=toy_images(16, seed=5, period=4))
        return replace(given, earlier=[data.source_train]) if "continual" in ADAPTATIONS[kind].traits else given
    return replace(data, few=labelled) if "few" in ADAPTATIONS[kind].traits else data


def _adapt(kind: str, detector: Detector, data: AdaptationData, folder: Path, seed: int = 0) -> Outcome:
    member: Any = find("adaptations", _written(kind)).load()
    outcome: Outcome = member.adapt(_config(kind), detector, _with_few(kind, data), context(folder, seed))
    return outcome


def test_it_runs_without_target_labels(
    kind: str, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    for name in ("labels", "generators"):
        with pytest.raises(LabelLeakError):
            getattr(data.target, name)
    outcome = _adapt(kind, trained, data, tmp_path)
    scores = score(trained, target.pixels)
    assert np.isfinite(scores).all()
    assert all(np.isfinite(value) for value in outcome.metrics.values())
    assert outcome.images > 0 or "identity" in ADAPTATIONS[kind].traits
    if outcome.curves:  # it was trained: where it ended up can be compared
        assert outcome.metrics["predicted_prior"] == (log_odds(trained, target.pixels) > 0).mean()


def test_one_seed_gives_one_result_whatever_the_targets_labels(
    kind: str, copies: Callable[[], Detector], data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    noise = np.random.default_rng(9)
    poisoned = replace(
        target,
        labels=noise.permutation(target.labels),
        generators=[str(name) for name in noise.permutation(np.array(target.generators))],
    )
    results = []
    for run, given in (("true", target), ("poisoned", poisoned)):
        detector = copies()
        outcome = _adapt(kind, detector, replace(data, target=given.without_labels()), tmp_path / run)
        results.append((score(detector, target.pixels), dict(outcome.metrics)))
    assert np.array_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_identity_and_only_identity_changes_nothing(
    kind: str, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    before = score(trained, target.pixels)
    _adapt(kind, trained, data, tmp_path)
    same = np.array_equal(before, score(trained, target.pixels))
    assert same == ("identity" in ADAPTATIONS[kind].traits)


def test_it_writes_nowhere_but_in_its_folder(
    kind: str, trained: Detector, data: AdaptationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    outcome = _adapt(kind, trained, data, tmp_path / "cell")
    assert not list(here.iterdir())
    assert all((tmp_path / "cell" / name).is_file() for name in outcome.files)
