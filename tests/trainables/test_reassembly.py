from __future__ import annotations

import numpy as np
import pytest
import torch

from trainables.reassembly import Contrast, Reassembled, diversity, tiled


def _pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3))


def _images(*pixels: np.ndarray) -> torch.Tensor:
    """(H, W, 3) of grey levels as a batch."""
    return torch.from_numpy(np.stack(pixels).astype(np.float32) / 255).permute(0, 3, 1, 2)


def _l_div(patch: np.ndarray) -> int:
    """The four sums of the paper, pixel by pixel; its indices run from 1, row and column."""
    m = len(patch)
    x = {(i + 1, j + 1): patch[i, j].astype(int) for i, j in np.ndindex(m, m)}
    across = sum(np.abs(x[i, j] - x[i, j + 1]).sum() for i in range(1, m + 1) for j in range(1, m))
    down = sum(np.abs(x[i, j] - x[i + 1, j]).sum() for i in range(1, m) for j in range(1, m + 1))
    diagonal = sum(np.abs(x[i, j] - x[i + 1, j + 1]).sum() for i in range(1, m) for j in range(1, m))
    counter = sum(np.abs(x[i + 1, j] - x[i, j + 1]).sum() for i in range(1, m) for j in range(1, m))
    return int(across + down + diagonal + counter)


def _grid(pixels: np.ndarray, patch: int) -> list[np.ndarray]:
    """The patches at half their side, by rows."""
    starts = [range(0, length - patch + 1, patch // 2) for length in pixels.shape[:2]]
    return [pixels[top : top + patch, left : left + patch] for top in starts[0] for left in starts[1]]


@pytest.mark.parametrize("size", [(16, 16), (17, 22)])
def test_texture_diversity_is_the_papers_sum_over_each_patch_of_the_grid(size: tuple[int, int]) -> None:
    pixels = [_pixels(*size, seed) for seed in (0, 1)]
    found = diversity(_images(*pixels), 8, 4)
    expected = [[_l_div(patch) for patch in _grid(each, 8)] for each in pixels]
    assert found.flatten(1).tolist() == expected


def test_a_ramp_has_the_diversity_of_its_steps() -> None:
    ramp = np.tile(np.arange(8)[:, None], (8, 1, 3))
    # Along columns and both diagonals a neighbour is one level away, along rows none: 56, 49 and 49 pairs, 3 colours.
    assert diversity(_images(ramp.transpose(1, 0, 2)), 8, 4).tolist() == [[[3 * (56 + 49 + 49)]]]


@pytest.mark.parametrize("kept", [None, 2])
def test_the_richest_patches_make_one_image_and_the_poorest_another(kept: int | None) -> None:
    pixels = [_pixels(24, 33, seed) * np.linspace(0.1, 1, 33)[:, None] for seed in (0, 1)]
    pixels = [each.astype(int) for each in pixels]
    found = (Reassembled(8, kept)(_images(*pixels)) * 255).round().int().permute(0, 2, 3, 1).numpy()
    rows, columns = (kept, kept) if kept else (3, 4)
    assert found.shape == (4, 8 * rows, 8 * columns, 3)
    for k, each in enumerate(pixels):
        ordered = sorted(_grid(each, 8), key=_l_div)
        for offset, expected in ((0, ordered[::-1]), (2, ordered)):
            for row, column in np.ndindex(rows, columns):
                seen = found[offset + k, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
                np.testing.assert_array_equal(seen, expected[columns * row + column])


def test_published_images_give_as_many_patches_as_published() -> None:
    images = _images(_pixels(256, 256))
    assert diversity(images, 32, 16).shape == (1, 15, 15)
    assert Reassembled(32)(images).shape == Reassembled(32, 8)(images).shape == (2, 3, 256, 256)


def test_what_repeats_every_two_pixels_stays_in_phase() -> None:
    stripes = np.tile(np.array([0, 40])[:, None], (20, 1, 3)).repeat(40, axis=0).reshape(40, 40, 3)
    scene = stripes + _pixels(40, 40) // 200
    for made in Reassembled(8)(_images(scene)):
        assert made[:, :, 1::2].min() > made[:, :, ::2].max()


@pytest.mark.parametrize("kept", [None, 2, 3, 4, 8])
def test_in_the_smallest_images_no_patch_is_rich_and_poor(kept: int | None) -> None:
    module = Reassembled(16, kept)
    side, wanted = module.min_size, (kept or 2) ** 2
    assert diversity(torch.rand(1, 3, side, side), 16, 8).numel() >= 2 * wanted
    assert diversity(torch.rand(1, 3, side - 1, side - 1), 16, 8).numel() < 2 * wanted
    assert module(torch.rand(1, 3, side, side)).shape[-1] == 16 * (kept or side // 16)


def test_pixels_have_a_gradient_as_often_as_they_are_chosen() -> None:
    images = _images(_pixels(24, 24)).requires_grad_()
    Reassembled(8)(images).sum().backward()
    assert images.grad is not None
    marked = torch.arange(24 * 24.0).view(1, 1, 24, 24)
    with torch.no_grad():
        order = diversity(images, 8, 4).flatten().argsort(stable=True).tolist()
    places = [patch for index, patch in enumerate(_grid(marked[0, 0].numpy(), 8)) if index in order[:9] + order[-9:]]
    counts = np.bincount(np.concatenate(places, axis=None).astype(int), minlength=24 * 24)
    np.testing.assert_array_equal(images.grad[0, 0].flatten(), counts)


def test_patches_are_laid_row_by_row() -> None:
    patches = torch.arange(6.0).view(1, 6, 1, 1, 1).expand(1, 6, 2, 2, 3)
    made = tiled(patches, 2, 3)
    assert made.shape == (1, 2, 4, 9)
    assert made[0, 1, ::2, ::3].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_contrast_is_what_one_block_makes_of_the_first_less_what_of_the_second() -> None:
    torch.manual_seed(0)
    contrast = Contrast(3, 4).eval()
    first, second = torch.rand(2, 3, 6, 6), 20 * torch.rand(2, 3, 6, 6)
    found = contrast(torch.cat([first, second]))
    assert torch.allclose(found, contrast.block(first) - contrast.block(second))
    assert contrast(torch.cat([first, first])).abs().max() == 0
    assert contrast.block(100 * second).abs().max() == 5
