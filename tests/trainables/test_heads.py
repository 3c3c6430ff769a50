"""Heads are as wide inside as published, and map what they say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainables.heads import Head, build_head


def _shapes(head: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in head.parameters() if parameter.ndim == 2]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("head", "inside", "parameters"),
    [
        ("linear", [], 0),
        ("mlp", [(128, 2048)], 2048 * 128 + 128),
        ("bottleneck", [(64, 2048)], 2048 * 64 + 64 + 2 * 64),
    ],
)
def test_widths(head: Head, inside: list[tuple[int, int]], parameters: int, classes: int) -> None:
    made = build_head(head, 2048, classes)
    last = inside[-1][0] if inside else 2048
    assert _shapes(made) == [*inside, (classes, last)]
    assert sum(p.numel() for p in made.parameters()) == parameters + (last + 1) * classes
    assert made(torch.rand(4, 2048)).shape == (4, classes)


def test_a_bottleneck_keeps_the_scale_of_what_reaches_the_classifier() -> None:
    torch.manual_seed(0)
    made = build_head("bottleneck", 8, 2).train()
    features = torch.rand(16, 8)
    # The BatchNorm's epsilon alone tells one scale from another.
    assert torch.allclose(made(features), made(1000 * features), atol=1e-2)
    assert not torch.allclose(made(features), made(features.flip(0)), atol=1e-2)
