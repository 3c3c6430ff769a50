from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from tests.trainables.toy import toy_detector
from trainables.filters import SQUARE_5


def test_the_front_end_is_a_cut_high_pass_filter_of_each_colour() -> None:
    pixels = np.random.default_rng(0).integers(120, 126, (12, 12, 3))
    images = torch.from_numpy((pixels / 255).astype(np.float32)).permute(2, 0, 1)[None]
    residuals = toy_detector().front(images)[0].detach().numpy()
    for colour in range(3):
        plane = pixels[:, :, colour].astype(float)
        padded = np.pad(plane, 2, mode="reflect")
        square = correlate2d(padded, SQUARE_5 / 12, mode="valid") / 4
        rows = (np.roll(padded, 1, axis=1) - 2 * padded + np.roll(padded, -1, axis=1))[2:-2, 2:-2] / 2 / 4
        np.testing.assert_allclose(residuals[4 * colour + 3], square.clip(-3, 3), atol=1e-4)
        np.testing.assert_allclose(residuals[4 * colour], rows.clip(-3, 3), atol=1e-4)


def test_flat_images_and_ramps_leave_no_residual() -> None:
    ramp = torch.linspace(0, 1, 16).expand(1, 3, 16, 16)
    inner = toy_detector().front(torch.cat([ramp, torch.full_like(ramp, 0.4)]))[:, :, 2:-2, 2:-2]
    assert inner.abs().max().item() < 1e-4


def test_strong_edges_are_cut() -> None:
    edge = torch.zeros(1, 3, 16, 16)
    edge[..., 8:] = 1
    assert toy_detector(truncation=2.0).front(edge).abs().max().item() == pytest.approx(2.0)


def test_its_filters_are_not_trained() -> None:
    detector = toy_detector()
    assert not any(parameter.requires_grad for parameter in detector.front.parameters())
    assert all(parameter.requires_grad for parameter in detector.body.parameters())
