"""Views that keep forensic traces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainables.seeding import seeded
from trainables.views import Views, flipped, shifted, shuffled


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((16, 3, 20, 28))).float()


def test_half_of_the_images_are_mirrored(images: torch.Tensor) -> None:
    with seeded(0, "flips"):
        views = flipped(images)
    mirrored = [torch.equal(view, image.flip(2)) for view, image in zip(views, images, strict=True)]
    same = [torch.equal(view, image) for view, image in zip(views, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 2 < sum(mirrored) < 14


def test_images_move_by_even_numbers_of_pixels() -> None:
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(28.0), indexing="ij")
    places = torch.stack([rows, columns, rows * 0]).expand(64, 3, 20, 28)
    with seeded(0, "shifts"):
        views = shifted(places, 6)
    # What lies at an even place comes from an even place, reflected or not.
    assert ((views[:, :2] - places[:, :2]) % 2 == 0).all()
    moves = {tuple(view[:2, 10, 14].int().tolist()) for view in views}
    assert moves <= {(10 + dy, 14 + dx) for dy in range(-6, 7, 2) for dx in range(-6, 7, 2)}
    assert len(moves) > 20


@pytest.mark.parametrize(("grid", "inner"), [(2, (20, 28)), (3, (18, 24)), (8, (16, 16))])
def test_patches_of_even_side_change_places(images: torch.Tensor, grid: int, inner: tuple[int, int]) -> None:
    with seeded(0, "patches"):
        views = shuffled(images, grid)
    height, width = inner
    rows, columns = height // grid, width // grid
    assert (rows % 2, columns % 2) == (0, 0)
    for view, image in zip(views, images, strict=True):
        before, after = (
            {
                x[:, i : i + rows, j : j + columns].numpy().tobytes()
                for i in range(0, height, rows)
                for j in range(0, width, columns)
            }
            for x in (image, view)
        )
        assert before == after
        assert len(before) == grid**2
    assert torch.equal(views[:, :, height:], images[:, :, height:])
    assert torch.equal(views[:, :, :, width:], images[:, :, :, width:])
    assert not torch.equal(views, images)


def test_every_pixel_of_a_view_is_a_pixel_of_the_image_and_the_seed_decides(images: torch.Tensor) -> None:
    before = images.clone()
    views = []
    for name in ("one", "one", "two"):
        with seeded(0, name):
            views.append(Views().of(images))
    assert torch.equal(images, before)
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    assert all(
        set(view.flatten().tolist()) <= set(image.flatten().tolist())
        for view, image in zip(views[0], images, strict=True)
    )
    assert torch.equal(Views(flips=False, shift=0, patches=1).of(images), images)


def test_tiny_images_are_left_as_they_can_be() -> None:
    tiny = torch.rand(3, 3, 2, 3)
    assert Views(shift=32, patches=8).of(tiny).shape == tiny.shape


def test_odd_shifts_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 2"):
        Views(shift=3)
