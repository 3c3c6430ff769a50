from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.trainables.toy import toy_images
from trainables.contract import Images
from trainables.detector import Detector, as_input
from trainables.score import infer, log_odds, score


def test_scores_are_the_models_probabilities_in_evaluation_mode(trained: Detector, source_val: Images) -> None:
    trained.train()
    scores = score(trained, source_val.pixels)
    assert trained.training
    with torch.no_grad():
        expected = trained.eval().probability(as_input(source_val.pixels[:])).numpy()
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_scores_do_not_depend_on_the_batch_or_the_order(trained: Detector, source_val: Images) -> None:
    scores = score(trained, source_val.pixels, batch=64)
    np.testing.assert_allclose(score(trained, source_val.pixels, batch=7), scores, atol=1e-6)
    np.testing.assert_allclose(score(trained, source_val.pixels[::-1], batch=64)[::-1], scores, atol=1e-6)


def test_scoring_changes_no_statistics(trained: Detector, source_val: Images) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    score(trained.train(), source_val.pixels)
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())


def test_a_memory_map_scores_as_the_array_does(trained: Detector, tmp_path: Path) -> None:
    pixels = toy_images(9, seed=5).pixels
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=pixels.shape)
    mapped[:] = pixels
    assert np.array_equal(score(trained, mapped, batch=4), score(trained, pixels, batch=4))


def test_log_odds_tell_saturated_scores_apart(trained: Detector, source_val: Images) -> None:
    trained.shift += 60
    assert (score(trained, source_val.pixels) == 1).all()
    assert len(np.unique(log_odds(trained, source_val.pixels))) > 32


def test_features_of_all_images_and_of_none(trained: Detector, source_val: Images) -> None:
    features = infer(trained, trained.features, source_val.pixels, batch=10)
    assert features.shape == (len(source_val), trained.feature_dim)
    assert score(trained, source_val.pixels[:0]).shape == (0,)
