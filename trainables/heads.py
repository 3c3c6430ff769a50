"""Classifiers on top of features: (B, D) to (B, C) logits, with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Head = Literal["linear", "mlp", "bottleneck"]

MLP, BOTTLENECK = 128, 64
"""Hidden units of ``mlp`` and ``bottleneck``, as published: 2048-128-C on ResNet-50 and 512-64-C on ResNet-18."""


def build_head(head: Head, features: int, classes: int) -> nn.Module:
    """The head of this name, as wide inside as published."""
    if head == "mlp":
        return mlp(features, MLP, classes)
    if head == "bottleneck":
        return bottleneck(features, BOTTLENECK, classes)
    return linear(features, classes)


def linear(features: int, classes: int) -> nn.Linear:
    """One affine map."""
    from torch import nn

    return nn.Linear(features, classes)


def mlp(features: int, hidden: int, classes: int) -> nn.Sequential:
    """Two affine maps with a ReLU in between."""
    from torch import nn

    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def bottleneck(features: int, hidden: int, classes: int) -> nn.Sequential:
    """A narrow layer whose BatchNorm keeps the scale of what reaches the classifier the same, then a ReLU."""
    from torch import nn

    return nn.Sequential(nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, classes))
