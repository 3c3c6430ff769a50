from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from trainables.filters import rich_models
from trainables.front_ends import NeighbouringPixels, PredictionError, residuals


def test_residuals_are_cut_filters_of_each_colour() -> None:
    pixels = np.random.default_rng(0).integers(118, 128, (11, 14, 3)).astype(float)
    found = residuals(rich_models(), step=2, truncation=2)(_images(pixels))[0].detach().numpy()
    assert found.shape == (90, 11, 14)
    for colour in range(3):
        padded = np.pad(pixels[:, :, colour], 2, mode="reflect")
        for k, kernel in enumerate(rich_models()):
            expected = correlate2d(padded, kernel / np.abs(kernel).max(), mode="valid") / 2
            np.testing.assert_allclose(found[30 * colour + k], expected.clip(-2, 2), atol=1e-4)
    assert (np.abs(found) == 2).any()


@pytest.mark.parametrize("size", [(8, 10), (7, 9), (8, 9)])
def test_npr_is_the_difference_to_the_upper_left_pixel_of_a_block_of_four(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).random((*size, 3)) * 255
    found = NeighbouringPixels([1, 2, 3])(_images(pixels))[0].numpy()
    for row, column, colour in np.ndindex(*size, 3):
        corner = pixels[row - row % 2, column - column % 2, colour]
        expected = (pixels[row, column, colour] - corner) / 255 * (colour + 1)
        assert found[colour, row, column] == pytest.approx(expected, abs=1e-5)


def test_npr_of_even_sizes_is_what_published_code_interpolates() -> None:
    images = torch.rand(2, 3, 12, 6)
    half = torch.nn.functional.interpolate(images, scale_factor=0.5, mode="nearest", recompute_scale_factor=True)
    back = torch.nn.functional.interpolate(half, scale_factor=2.0, mode="nearest", recompute_scale_factor=True)
    assert torch.equal(NeighbouringPixels([1, 1, 1])(images), images - back)


def test_npr_sees_doubled_pixels_in_one_phase_alone() -> None:
    """Images that were doubled leave nothing; shifted by a pixel, as an odd crop would, they leave a lot."""
    doubled = torch.rand(1, 3, 8, 8).repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    npr = NeighbouringPixels([1, 1, 1])
    assert npr(doubled).abs().max() == 0
    assert npr(doubled[..., 2:, 4:]).abs().max() == 0
    assert npr(doubled.flip(-1)).abs().max() == 0
    assert npr(doubled[..., 1:, :]).abs().mean() > 0.1


def test_prediction_errors_are_blind_to_flat_areas_whatever_is_learnt() -> None:
    torch.manual_seed(0)
    layer = PredictionError(4)
    grey = torch.rand(1, 1, 1, 1).expand(1, 3, 9, 9)
    optimiser = torch.optim.SGD(layer.parameters(), lr=1.0)
    before = layer.filters().detach().clone()
    for _ in range(5):
        layer(torch.rand(2, 3, 9, 9)).square().mean().backward()
        optimiser.step()
        filters = layer.filters().detach()
        assert filters[..., 2, 2].sum(dim=1).tolist() == pytest.approx([-1] * 4)
        assert filters.sum(dim=(1, 2, 3)).tolist() == pytest.approx([0] * 4, abs=1e-5)
        assert layer(grey).abs().max().item() < 1e-5
    assert not torch.allclose(filters, before)


def test_a_prediction_error_is_the_weighted_mean_of_the_neighbours_minus_the_pixel() -> None:
    torch.manual_seed(0)
    layer = PredictionError(2)
    pixels = np.random.default_rng(2).random((9, 8, 3)) * 255
    found = layer(_images(pixels))[0].detach().numpy()
    free = layer.weight.detach().numpy().astype(float)
    free[:, :, 2, 2] = 0
    for k in range(2):
        weights = free[k] / free[k].sum()
        predicted = sum(
            correlate2d(np.pad(pixels[:, :, c], 2, mode="reflect"), weights[c], mode="valid") for c in range(3)
        )
        np.testing.assert_allclose(found[k], (predicted - pixels.mean(axis=2)) / 255, atol=1e-5)


def _images(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, 3) of grey levels as a batch of one."""
    return torch.from_numpy((pixels / 255).astype(np.float32)).permute(2, 0, 1)[None]
