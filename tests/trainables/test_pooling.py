from __future__ import annotations

import torch
from torch.nn import functional

from trainables.pooling import OneOfThem

MAPS = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)


def test_in_evaluation_it_is_the_mean() -> None:
    assert torch.allclose(OneOfThem().eval()(MAPS), MAPS.mean(dim=(2, 3)))


def test_in_training_it_is_a_location_of_each_image_and_every_one_is_as_likely() -> None:
    torch.manual_seed(0)
    pooling = OneOfThem()
    drawn = torch.stack([pooling(MAPS) for _ in range(4000)])
    assert (drawn[..., 1] - drawn[..., 0] == 20).all()
    assert (drawn[..., 2] - drawn[..., 0] == 40).all()
    for image in range(2):
        places, counts = (drawn[:, image, 0] - MAPS[image, 0, 0, 0]).unique(return_counts=True)
        assert places.tolist() == list(range(20))
        assert counts.min() > 140
    assert (drawn[:, 0, 0] != drawn[:, 1, 0] - 60).any()


def test_the_expected_gradient_is_that_of_cross_entropy_at_every_location() -> None:
    torch.manual_seed(0)
    maps, labels = torch.rand(2, 3, 2, 2), torch.tensor([0, 1])
    head = torch.nn.Linear(3, 2)
    every = functional.cross_entropy(
        head(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), labels[:, None, None].expand(2, 2, 2)
    )
    every.backward()
    expected = head.weight.grad.clone()
    head.zero_grad()
    pooling = OneOfThem()
    functional.cross_entropy(head(pooling(maps.repeat(4000, 1, 1, 1))), labels.repeat(4000)).backward()
    assert torch.allclose(head.weight.grad, expected, atol=5e-3)
