from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from tests.trainables.toy import toy_detector, toy_images
from trainables.detector import as_input
from trainables.detectors.patchcraft import Config
from trainables.filters import rich_models
from trainables.reassembly import Reassembled


def test_the_network_of_width_32_is_the_published_one() -> None:
    detector = toy_detector("patchcraft", width=32)
    counted = sum(p.numel() for p in detector.parameters() if p.requires_grad)
    # The published convolutions have biases before BatchNorm, which do nothing, and one logit.
    assert counted == 32 * 90 * 9 + 64 + 10 * (32 * 32 * 9 + 64) + 2 * 32 + 2
    assert [len(block) for block in detector.layers.values()] == [13, 7, 7, 6]


def test_its_front_end_filters_the_images_of_patches_and_is_not_trained() -> None:
    detector = toy_detector("patchcraft")
    images = as_input(toy_images(2, seed=0).pixels[:])
    patches = (Reassembled(16)(images) * 255).round().numpy()
    found = detector.front(images).detach().numpy()
    assert found.shape == (4, 90, 32, 32)
    for image, colour in np.ndindex(4, 3):
        padded = np.pad(patches[image, colour], 2, mode="reflect")
        for k in (0, 13, 29):
            kernel = rich_models()[k]
            expected = correlate2d(padded, kernel / np.abs(kernel).max(), mode="valid")
            np.testing.assert_allclose(found[image, 30 * colour + k], expected, atol=1e-2)
    assert not any(parameter.requires_grad for parameter in detector.front.parameters())


def test_an_image_of_one_texture_everywhere_looks_like_a_flat_one() -> None:
    detector = toy_detector("patchcraft").eval()
    tile = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8)) / 255).float()
    assert torch.allclose(detector(tile.repeat(1, 1, 8, 8)), detector(torch.full((1, 3, 64, 64), 0.5)), atol=1e-5)


def test_it_tells_an_image_of_two_textures_from_one_of_one() -> None:
    detector = toy_detector("patchcraft").eval()
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    halves = torch.cat([noise[..., :32], torch.full_like(noise[..., 32:], 0.5)], dim=3)
    two, one = detector.features(halves), detector.features(noise)
    assert (two - one).abs().max() > 0.1 * one.abs().max()


@pytest.mark.parametrize(("patch", "kept", "smallest"), [(16, None, 32), (8, None, 16), (32, 8, 208)])
def test_the_smallest_image_follows_from_the_patches(patch: int, kept: int | None, smallest: int) -> None:
    assert toy_detector("patchcraft", patch=patch, kept=kept).min_size == smallest


def test_patches_that_would_break_a_period_of_two_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        Config(patch=18)
