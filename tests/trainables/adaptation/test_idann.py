"""iDANN: the pool, the policies, the last training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainables.toy import QUICK, context, toy_images
from trainables.adaptation import idann
from trainables.adaptation.idann import POOL, Config
from trainables.composing import Part
from trainables.context import LocalContext
from trainables.contract import AdaptationData
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.pseudo import predict
from trainables.recipe import Recipe
from trainables.saving import Saving

ONE = Recipe(epochs=1, batch=32, learning_rate=1e-3)


@dataclass(kw_only=True)
class Watched(LocalContext):
    """Keeps the labels that every saved state carries."""

    assigned: list[np.ndarray[Any, Any]] = field(default_factory=list)

    def save_state(self, state: Any) -> None:
        self.assigned.append(state["standing"]["carried"]["assigned"].numpy().copy())


@pytest.mark.parametrize(("policy", "share"), [("confidence", 0.3), ("knn", 0.5)])
def test_the_pool_shrinks_to_nothing_by_quota_and_labels_stay(
    policy: str, share: float, trained: Detector, data: AdaptationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Saving, "SHARE", math.inf)
    watched = Watched(folder=tmp_path)
    config = Config(policy=policy, share=share, final="none", recipe=ONE)
    outcome = idann.adapt(config, trained, data, watched)
    quota = math.ceil(share * len(data.target) / 2)
    states = [np.full(len(data.target), POOL), *watched.assigned]
    for before, after in pairwise(states):
        moved = (before == POOL) & (after != POOL)
        assert moved.any()
        assert np.bincount(after[moved], minlength=2).max() <= quota
        assert (after[before != POOL] == before[before != POOL]).all()
    assert (states[-1] != POOL).all()
    pools = [row["pool"] for row in outcome.curves]
    assert pools == [(state == POOL).sum() for state in states[:-1]]
    assert [row["moved_fake"] for row in outcome.curves[1:]] == [
        (s == 1).sum() / (s != POOL).sum() for s in states[1:-1]
    ]
    assert outcome.metrics["pseudo_labels"] == len(data.target)
    assert outcome.metrics["pseudo_fake"] == states[-1].mean()
    assert 0 <= outcome.metrics["predicted_prior"] <= 1


def test_the_knn_policy_takes_what_a_brute_force_search_takes(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    local = context(tmp_path)
    assigned = np.full(len(data.target), POOL)
    assigned[:10] = np.arange(10) % 2
    config = Config(policy="knn", neighbours=7, share=0.25, prior=None)
    moved, labels = idann._move(config, trained, data, assigned, local)

    target = predict(trained, data.target.pixels, local)
    source = predict(trained, data.source_train.pixels, local)
    known = np.concatenate([source.features, target.features[:10]]).astype(float)
    of = np.concatenate([data.source_train.labels, assigned[:10]])
    ranking = []
    for i in range(10, len(data.target)):
        distances = ((known - target.features[i].astype(float)) ** 2).sum(axis=1)
        agree = (of[np.argsort(distances)[:7]] == target.labels[i]).sum()
        ranking.append((-agree, -target.confidence[i], i))
    expected = []
    for label in (0, 1):
        members = [i for *_, i in sorted(ranking) if target.labels[i] == label]
        expected += members[:8]  # a quarter of 64, half of it a class
    assert moved.tolist() == sorted(expected)
    assert labels.tolist() == target.labels[moved].tolist()


def test_below_the_threshold_all_that_remain_are_moved_at_once(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    assigned = np.full(len(data.target), POOL)
    moved, _ = idann._move(Config(threshold=1.0, share=0.1), trained, data, assigned, context(tmp_path))
    assert moved.tolist() == list(range(len(data.target)))


def test_the_last_training_reads_the_target_alone(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    results = {}
    for final in ("none", "continue", "fresh"):
        config = Config(share=1.0, final=final, final_epochs=2, recipe=ONE)
        detector = copies()
        results[final] = idann.adapt(config, detector, data, context(tmp_path / final)), detector.head.weight.detach()
    lengths = {final: len(outcome.curves) for final, (outcome, _) in results.items()}
    assert lengths["continue"] == lengths["fresh"] == lengths["none"] + 2
    assert "pool" not in results["fresh"][0].curves[-1]
    seen = {final: outcome.images for final, (outcome, _) in results.items()}
    assert seen["fresh"] == seen["continue"] == seen["none"] + 2 * len(data.target)
    assert len({weight.sum().item() for _, weight in results.values()}) == 3


def test_a_layer_that_cannot_be_made_anew_is_told_before_anything_is_trained(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    trained.body.register_parameter("token", nn.Parameter(torch.zeros(3)))
    with pytest.raises(InputError, match=r"`body`, a Sequential, cannot be given new random weights") as told:
        idann.adapt(Config(final="fresh", recipe=ONE), trained, data, context(tmp_path))
    assert "final: continue" in str(told.value)


def test_it_goes_over_any_composition_that_goes_together() -> None:
    config = Config.model_validate({"base": {"kind": "coral", "weight": 5}, "with": ["mcc"], "share": 0.5})
    assert [part.kind for part in config.parts] == ["coral", "mcc"]
    assert config.title == "idann-coral-mcc"
    assert Config().title is None
    assert Config().base == Part.model_validate("dann")
    assert Config.model_validate(config.model_dump(mode="json")) == config
    with pytest.raises(ValueError, match="rada reads the entropy of a domain discriminator, and daln has none"):
        Config.model_validate({"base": "rada", "with": ["daln"]})


def test_pseudo_labels_of_a_part_are_told_apart_from_those_moved(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    base = {"kind": "fgda", "pseudo_labels": "clustered"}
    config = Config.model_validate({"base": base, "share": 1, "final": "none"}).model_copy(update={"recipe": ONE})
    outcome = idann.adapt(config, trained, data, context(tmp_path))
    assert {"clustered_fake", "moved_fake"} <= set(outcome.curves[0])


def test_methods_of_weight_0_leave_self_training_alone(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    config = Config.model_validate({"base": {"kind": "coral", "weight": 0}, "share": 1, "final": "none"})
    outcome = idann.adapt(config.model_copy(update={"recipe": QUICK}), copies(), data, context(tmp_path))
    assert "classification" in outcome.curves[0]
    assert "coral" not in outcome.curves[0]


def test_a_target_of_three_images_is_enough(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    few = toy_images(3, seed=3, period=4).without_labels()
    small = AdaptationData(source_train=data.source_train, source_val=data.source_val, target=few)
    outcome = idann.adapt(Config(recipe=ONE, final_epochs=1), trained, small, context(tmp_path))
    assert outcome.metrics["pseudo_labels"] == 3
