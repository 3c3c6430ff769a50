from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.trainables.toy import context, toy_detector, toy_images
from trainables.contract import Images
from trainables.detectors import compact
from trainables.errors import InputError
from trainables.score import log_odds, score


def _aligned(count: int, seed: int) -> Images:
    """Fakes are mixtures of five fixed images, and noise; real images are anything."""
    rng = np.random.default_rng([seed, 1])
    images = toy_images(count, seed=seed, size=16)
    basis = np.random.default_rng(5).uniform(0, 255, (5, 16, 16, 3))
    mixtures = np.einsum("nk,khwc->nhwc", rng.dirichlet(np.ones(5), count), basis)
    anything = rng.uniform(0, 255, mixtures.shape)
    fake = images.labels[:, None, None, None] == 1
    pixels = np.where(fake, mixtures, anything) + rng.normal(0, 2, mixtures.shape)
    return replace(images, pixels=pixels.round().clip(0, 255).astype(np.uint8))


CONFIG = compact.Config(dimensions=6, side=16, false_alarms=0.1)


def _errors(source: Images, seen: Images, dimensions: int) -> NDArray[np.float64]:
    """Relative errors of reconstruction, by a singular value decomposition."""
    fakes, inputs = (
        pixels.reshape(len(pixels), -1).astype(np.float64) / 255
        for pixels in (
            np.moveaxis(source.pixels[source.labels == 1], 3, 1),
            np.moveaxis(seen.pixels[:], 3, 1),
        )
    )
    mean = fakes.mean(axis=0)
    rows = np.linalg.svd(fakes - mean, full_matrices=False)[2][:dimensions]
    offsets = inputs - mean
    left = offsets - offsets @ rows.T @ rows
    return np.asarray((left**2).sum(axis=1) / (offsets**2).sum(axis=1))


@pytest.mark.parametrize("classes", [2, 3])
def test_its_score_is_the_relative_error_of_reconstruction(tmp_path: Path, classes: int) -> None:
    source, held_out = _aligned(60, 0), _aligned(100, 1)
    detector = toy_detector("compact", classes=classes, **CONFIG.model_dump())
    compact.solve(CONFIG, detector, source, held_out, context(tmp_path))
    z = log_odds(detector, held_out.pixels)
    errors = _errors(source, held_out, 6)
    threshold = (float(detector.shift) + np.log(classes - 1)) / float(detector.scale)
    np.testing.assert_allclose(z, float(detector.scale) * (threshold - errors), atol=1e-3)
    assert ((score(detector, held_out.pixels) > 0.5) == (errors < threshold)).all()


def test_images_of_few_dimensions_are_told_from_others_at_the_stated_rate(tmp_path: Path) -> None:
    detector = toy_detector("compact", **CONFIG.model_dump())
    held_out = _aligned(100, 1)
    outcome = compact.solve(CONFIG, detector, _aligned(60, 0), held_out, context(tmp_path))
    called = score(detector, held_out.pixels) > 0.5
    assert called[held_out.labels == 0].mean() == pytest.approx(0.1)
    assert called[held_out.labels == 1].all()
    assert outcome.metrics["source_val_auroc"] == 1
    assert outcome.metrics["source_val_accuracy"] == pytest.approx(0.95)
    assert (score(detector, _aligned(200, 2).pixels) > 0.5)[0::2].mean() < 0.25  # real images of another draw


def test_where_not_one_false_alarm_is_allowed_none_is_raised(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"false_alarms": 0.01})
    detector = toy_detector("compact", **config.model_dump())
    held_out = _aligned(40, 1)
    compact.solve(config, detector, _aligned(60, 0), held_out, context(tmp_path))
    assert not (score(detector, held_out.pixels) > 0.5)[held_out.labels == 0].any()


def test_fewer_fakes_than_dimensions_give_as_many_directions_as_they_have(tmp_path: Path) -> None:
    detector = toy_detector("compact", **CONFIG.model_dump())
    compact.solve(CONFIG, detector, _aligned(8, 0), _aligned(40, 1), context(tmp_path))
    rows = detector.state_dict()["body.components"]
    torch.testing.assert_close(rows @ rows.T, torch.diag(torch.tensor([1.0, 1, 1, 0, 0, 0])), atol=1e-5, rtol=0)


def test_at_most_so_many_fakes_are_read(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"most": 10})
    detector = toy_detector("compact", **config.model_dump())
    outcome = compact.solve(config, detector, _aligned(60, 0), _aligned(40, 1), context(tmp_path))
    assert outcome.images == 10


def test_what_it_cannot_learn_from_is_refused(tmp_path: Path) -> None:
    detector, images = toy_detector("compact", **CONFIG.model_dump()), _aligned(20, 0)
    reals, fakes = (images.take(np.flatnonzero(images.labels == label)) for label in (0, 1))
    with pytest.raises(InputError, match="two fakes"):
        compact.solve(CONFIG, detector, reals, images, context(tmp_path))
    with pytest.raises(InputError, match="held-out real images"):
        compact.solve(CONFIG, detector, images, fakes, context(tmp_path))
