from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainables.toy import toy_images
from trainables.detector import Detector, fake_log_odds
from trainables.neighbours import Neighbours, temper


def _features(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, 6)) + shift).astype(np.float32)


def _vote(feature: np.ndarray, real: np.ndarray, fake: np.ndarray, k: int) -> bool:
    """Whether most of the k nearest, by cosine, are fake."""
    bank = np.concatenate([real, fake])
    cosines = bank @ feature / (np.linalg.norm(bank, axis=1) * np.linalg.norm(feature))
    nearest = np.argsort(-cosines)[:k]
    return (nearest >= len(real)).sum() > k / 2


@pytest.mark.parametrize("k", [1, 3, 5, 9])
@pytest.mark.parametrize("classes", [2, 3])
def test_its_sign_is_the_vote_of_the_k_nearest(k: int, classes: int) -> None:
    real, fake, seen = _features(40, 0), _features(25, 1, 0.3), _features(200, 2, 0.15)
    head = Neighbours(6, k, classes)
    head.remember(real, fake)
    logits = head(torch.from_numpy(seen))
    votes = [_vote(feature, real, fake, k) for feature in seen]
    assert logits.shape == (200, classes)
    assert ((logits[:, 1] > 0).numpy() == votes).all()
    assert 20 < sum(votes) < 180


def test_its_score_is_the_difference_of_cosines() -> None:
    head = Neighbours(2, 3, 2)
    angles = {"real": [0, 90, 180], "fake": [10, 50, 300]}
    banks = {name: np.stack([np.cos(np.radians(a)), np.sin(np.radians(a))], 1) for name, a in angles.items()}
    head.remember(5 * banks["real"], 2 * banks["fake"])
    found = head(torch.tensor([[3.0, 0.0]]))
    # The second nearest: 50 degrees away and 90.
    assert found[0, 1].item() == pytest.approx(np.cos(np.radians(50)) - np.cos(np.radians(90)), abs=1e-6)


def test_a_state_brings_banks_of_its_own_size() -> None:
    known, fresh = Neighbours(6, 3, 2), Neighbours(6, 3, 2)
    known.remember(_features(40, 0), _features(25, 1))
    fresh.load_state_dict(known.state_dict())
    seen = torch.from_numpy(_features(5, 2))
    assert torch.equal(fresh(seen), known(seen))
    assert fresh.real.shape == (40, 6)


@pytest.mark.parametrize("classes", [2, 3])
def test_tempering_leaves_every_vote_and_finds_the_best_temperature(classes: int) -> None:
    head = Neighbours(6, 5, classes)
    head.remember(_features(40, 0), _features(40, 1, 0.8))
    detector = Detector(
        front=nn.Identity(), body=nn.Flatten(), head=head, layers={}, feature_dim=6, min_size=1, classes=classes
    )
    images = toy_images(60, seed=0, size=8)
    seen = np.where(images.labels[:, None] == 1, _features(60, 3, 0.8), _features(60, 4))
    figures = temper(detector, seen, images)
    z = fake_log_odds(detector.classify(torch.from_numpy(seen))).numpy()
    assert ((z > 0) == (head(torch.from_numpy(seen))[:, 1].numpy() > 0)).all()
    assert figures["val_accuracy"] == pytest.approx(((z > 0) == images.labels).mean())
    assert figures["val_loss"] == pytest.approx(np.logaddexp(0, np.where(images.labels == 1, -z, z)).mean(), rel=1e-5)
    for factor in (0.7, 1.4):
        worse = np.logaddexp(0, np.where(images.labels == 1, -factor * z, factor * z)).mean()
        assert worse > figures["val_loss"] - 1e-3
