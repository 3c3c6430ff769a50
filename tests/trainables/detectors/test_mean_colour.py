"""Three numbers an image: what colours alone give away."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.trainables.toy import context, toy_detector, toy_images
from trainables.contract import Images
from trainables.detector import Detector, as_input
from trainables.detectors.mean_colour import Config, solve
from trainables.score import log_odds


def _tinted(count: int, seed: int) -> Images:
    """Toy images whose fakes are a little redder."""
    images = toy_images(count, seed=seed)
    pixels = images.pixels[:].astype(np.int64)
    pixels[..., 0] += 25 * images.labels[:, None, None]
    return Images(
        pixels=pixels.clip(0, 255).astype(np.uint8),
        labels=images.labels,
        ids=images.ids,
        generators=images.generators,
    )


@pytest.fixture(scope="module")
def source() -> Images:
    return _tinted(200, seed=1)


@pytest.fixture(scope="module")
def solved(source: Images, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    detector = toy_detector("mean_colour")
    solve(Config(), detector, source, _tinted(80, seed=2), context(tmp_path_factory.mktemp("colour")))
    return detector.eval()


def test_it_is_logistic_regression_on_the_means_of_the_colours(source: Images, solved: Detector) -> None:
    means = source.pixels[:].astype(np.float64).mean(axis=(1, 2)) / 255
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=1.0)).fit(means, source.labels)
    calibrated = float(solved.scale) * reference.decision_function(means) + float(solved.shift)
    np.testing.assert_allclose(log_odds(solved, source.pixels), calibrated, atol=2e-3)


def test_features_are_the_standardised_means(source: Images, solved: Detector) -> None:
    with torch.inference_mode():
        features = solved.features(as_input(source.pixels[:])).numpy()
    means = source.pixels[:].astype(np.float64).mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(features, (means - means.mean(axis=0)) / means.std(axis=0), atol=1e-3)


def test_it_sees_a_tint_and_no_trace(solved: Detector) -> None:
    tinted, untinted = _tinted(120, seed=3), toy_images(120, seed=4, amplitude=40)
    right = [(log_odds(solved, images.pixels) > 0) == images.labels for images in (tinted, untinted)]
    assert right[0].mean() > 0.6
    assert right[1].mean() == pytest.approx(0.5, abs=0.1)


def test_where_a_pixel_lies_says_nothing(solved: Detector, source: Images) -> None:
    pixels = source.pixels[:8]
    order = np.random.default_rng(0).permutation(pixels.shape[1] * pixels.shape[2])
    shuffled = pixels.reshape(8, -1, 3)[:, order].reshape(pixels.shape)
    assert not np.array_equal(shuffled, pixels)
    np.testing.assert_allclose(log_odds(solved, shuffled), log_odds(solved, pixels), atol=1e-4)
