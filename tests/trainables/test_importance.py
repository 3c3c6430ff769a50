from __future__ import annotations

import numpy as np
import torch
from torch import nn

from trainables.importance import Importance, projection


def _affine(layer: nn.Module, values: np.ndarray) -> np.ndarray:
    assert isinstance(layer, nn.Linear)
    return values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def test_equal_layers_share_a_projection_and_are_weighed_feature_by_feature() -> None:
    torch.manual_seed(0)
    importance = Importance([6, 6, 6], width=4, depth=2, dropout=0.5).eval()
    vectors = [torch.randn(5, 6) for _ in range(3)]
    first, second = [part for part in importance.modules() if isinstance(part, nn.Linear)]
    alpha = importance.alpha.detach().numpy()
    weights = np.exp(alpha) / np.exp(alpha).sum(axis=0)
    expected = sum(
        weight * np.maximum(_affine(second, np.maximum(_affine(first, vector.numpy()), 0)), 0)
        for weight, vector in zip(weights, vectors, strict=True)
    )
    np.testing.assert_allclose(importance(vectors).detach().numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(importance.weights.sum(dim=0).detach().numpy(), 1, atol=1e-6)


def test_layers_of_several_widths_have_first_maps_of_their_own_and_share_the_rest() -> None:
    importance = Importance([6, 8], width=4, depth=3, dropout=0).eval()
    sizes = sorted(part.in_features for part in importance.modules() if isinstance(part, nn.Linear))
    assert sizes == [4, 4, 6, 8]
    vectors = [torch.randn(5, 6), torch.randn(5, 8)]
    # Sizes of maps differ from layer to layer, and do not matter.
    torch.testing.assert_close(importance([100 * vectors[0], vectors[1]]), importance(vectors), atol=1e-4, rtol=1e-3)


def test_published_sizes() -> None:
    """CLIP ViT-L/14: 24 tokens of 1024; Q1 and Q2 of 4 maps; width 1024."""
    importance, after = Importance([1024] * 24, 1024, 4, 0.5), projection(1024, 1024, 4, 0.5)
    affine = 1024 * 1024 + 1024
    assert sum(p.numel() for p in importance.parameters()) == 24 * 1024 + 4 * affine
    assert sum(p.numel() for p in after.parameters()) == 4 * affine
    assert [type(part).__name__ for part in after][:4] == ["Dropout", "Linear", "ReLU", "Dropout"]


def test_weights_of_layers_are_drawn_anew() -> None:
    importance = Importance([6, 6], width=4, depth=1, dropout=0)
    before = importance.alpha.detach().clone()
    importance.reset_parameters()
    assert not torch.equal(before, importance.alpha)
