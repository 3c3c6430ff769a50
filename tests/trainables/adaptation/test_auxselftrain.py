"""AuxSelfTrain: the schedule, the quotas, and which images come and go first."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainables.toy import QUICK, context
from trainables.adaptation import auxselftrain
from trainables.adaptation.auxselftrain import Config, counts, select
from trainables.contract import AdaptationData
from trainables.detector import Detector
from trainables.pseudo import predict


@pytest.mark.parametrize("rounds", [1, 3, 5, 7])
@pytest.mark.parametrize(("source", "target"), [(100, 50), (7, 3), (1000, 999)])
def test_the_schedule_is_exactly_m_of_m(rounds: int, source: int, target: int) -> None:
    for m in range(1, rounds + 1):
        of_source, of_target = counts(m, rounds, source, target)
        assert of_target == int(Fraction(m, rounds) * target)
        assert of_source == source - int(Fraction(m, rounds) * source)
    assert counts(rounds, rounds, source, target) == (0, target)


@pytest.mark.parametrize("of_source", ["nearest", "random"])
@pytest.mark.parametrize("of_target", ["confident", "random"])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_every_round_takes_its_counts_of_every_class(
    of_source: str, of_target: str, number: int, trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    config = Config(rounds=4, source=of_source, target=of_target)
    local = context(tmp_path)
    seen = predict(trained, data.target.pixels, local)
    kept, moved = select(config, number, trained, data, seen, local, 0)
    assert (len(kept), len(moved)) == counts(number, 4, len(data.source_train), len(data.target))
    assert len(set(kept)) == len(kept)
    assert len(set(moved)) == len(moved)
    for chosen, labels in ((kept, data.source_train.labels), (moved, seen.labels)):
        quotas = len(chosen) * np.bincount(labels, minlength=2) / len(labels)
        assert (np.abs(np.bincount(labels[chosen], minlength=2) - quotas) < 1).all()


def test_the_surest_come_first_and_the_nearest_stay_longest(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    local = context(tmp_path)
    seen = predict(trained, data.target.pixels, local)
    kept, moved = select(Config(rounds=4), 2, trained, data, seen, local, 0)
    features = predict(trained, data.source_train.pixels, local).features.astype(float)
    labels = data.source_train.labels
    for label in (0, 1):
        prototype = seen.features[seen.labels == label].astype(float).mean(axis=0)
        far = {i: np.sqrt(((features[i] - prototype) ** 2).sum()) for i in np.flatnonzero(labels == label)}
        mine = [i for i in kept if labels[i] == label]
        assert sorted(mine) == sorted(sorted(far, key=lambda i, far=far: far[i])[: len(mine)])
        sure = {i: seen.confidence[i] for i in np.flatnonzero(seen.labels == label)}
        mine = [i for i in moved if seen.labels[i] == label]
        assert sorted(mine) == sorted(sorted(sure, key=lambda i, sure=sure: -sure[i])[: len(mine)])


def test_random_choices_follow_the_seed(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    seen = predict(trained, data.target.pixels, context(tmp_path))
    config = Config(rounds=2, source="random", target="random")
    chosen = [select(config, 1, trained, data, seen, context(tmp_path), seed) for seed in (0, 0, 1)]
    for one, same, other in zip(*chosen, strict=True):
        assert one.tolist() == same.tolist()
        assert one.tolist() != other.tolist()


def test_a_random_image_that_was_given_up_does_not_come_back(
    trained: Detector, data: AdaptationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[set[int]] = []

    def watched(*given: Any) -> Any:
        chosen = select(*given)
        kept.append(set(chosen[0].tolist()))
        return chosen

    monkeypatch.setattr(auxselftrain, "select", watched)
    config = Config(rounds=4, source="random", recipe=QUICK.model_copy(update={"epochs": 1}))
    auxselftrain.adapt(config, trained, data, context(tmp_path))
    assert len(kept) == 4
    assert all(later < earlier for earlier, later in pairwise(kept))


def test_the_curves_tell_the_exchange(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    outcome = auxselftrain.adapt(Config(rounds=4, recipe=QUICK), trained, data, context(tmp_path))
    told = [(row["source_images"], row["pseudo_labels"]) for row in outcome.curves[::2]]
    assert told == [counts(m, 4, len(data.source_train), len(data.target)) for m in range(1, 5)]
    assert outcome.metrics["source_images"] == 0
    assert 0 <= outcome.metrics["predicted_prior"] <= 1
    expected = sum(2 * (n // 16) * 16 for n in map(int, np.sum(told, axis=1)))
    assert outcome.images == expected + len(data.target)
