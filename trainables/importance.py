"""Vectors of several layers made into one, with weights by layer and feature that are learnt.

Koutlis & Papadopoulos 2024 (arXiv 2402.19091), section 3: ``sum_l softmax_l(A)_lk Q1(x_l)_k`` for feature k. L layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Importance(nn.Module):
    """(B, K_l) vectors of L layers to (B, D).

    Args:
        widths: K_l. Where all are equal, as in a transformer, all layers share Q1; else each has a first affine map of
            its own, on values scaled by a normalisation of its own, and they share the rest.
        width: D.
        depth: affine maps in Q1, at least 1.
        dropout: share of features dropped before Q1 and after each of its ReLUs.
    """

    def __init__(self, widths: Sequence[int], width: int, depth: int, dropout: float) -> None:
        super().__init__()
        shared = len(set(widths)) == 1
        entries = [projection(widths[0], width, 1, dropout)] if shared else [_entry(k, width, dropout) for k in widths]
        self.entries = nn.ModuleList(entries)
        self.rest = projection(width, width, depth - 1, dropout)[1:]
        self.alpha = nn.Parameter(torch.empty(len(widths), width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights of layers from a standard normal distribution, as published; the rest resets itself."""
        nn.init.normal_(self.alpha)

    @property
    def weights(self) -> Tensor:
        """(L, D), each feature's weights of layers; they add up to 1."""
        return torch.softmax(self.alpha, dim=0)

    def forward(self, vectors: Sequence[Tensor]) -> Tensor:
        """A (B, K_l) for each layer to (B, D)."""
        entries = list(self.entries) * (len(vectors) // len(self.entries))
        projected = [self.rest(entry(vector)) for entry, vector in zip(entries, vectors, strict=True)]
        return (torch.stack(projected, dim=1) * self.weights).sum(dim=1)


def projection(inputs: int, outputs: int, depth: int, dropout: float) -> nn.Sequential:
    """Dropout, then so many affine maps, each with a ReLU and dropout after it."""
    layers: list[nn.Module] = [nn.Dropout(dropout)]
    for k in range(depth):
        layers += [nn.Linear(inputs if k == 0 else outputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


def _entry(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    # Means of maps differ in size from layer to layer; class tokens at a LayerNorm do not.
    return nn.Sequential(nn.LayerNorm(inputs), *projection(inputs, outputs, 1, dropout))
