"""Images as points among a few directions, and how much of an image those directions explain."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Embedding(nn.Module):
    """(B, D) to (B, k): ``P u / |u|`` with ``u = x - mu``, where P (k, D) has orthonormal rows, or rows of zeros.

    The square of what comes out is the share of u that the rows explain.

    Args:
        inputs: D.
        dimensions: k.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, inputs: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((inputs,), 0.5))
        self.register_buffer("components", nn.init.orthogonal_(torch.empty(dimensions, inputs)))

    def learn(self, inputs: NDArray[np.float32]) -> None:
        """Take the mean and the first principal components of (N, D) inputs; rows from N - 1 on are zeros."""
        from sklearn.decomposition import PCA

        given = inputs.astype(np.float64)
        count = min(len(self.components), len(given) - 1, given.shape[1])
        # Of the two exact ways that without an N x D matrix of vectors where N is large.
        fitted = PCA(count, svd_solver="full" if len(given) < given.shape[1] else "covariance_eigh").fit(given)
        self.mean.copy_(torch.from_numpy(fitted.mean_))
        self.components.zero_()[:count].copy_(torch.from_numpy(fitted.components_))

    def forward(self, inputs: Tensor) -> Tensor:
        """The coordinates of the inputs; 0 of the mean itself."""
        # In double precision: what matters is how little is missing to 1.
        offsets = nn.functional.normalize((inputs - self.mean).double(), dim=1)
        return (offsets @ self.components.double().T).to(inputs.dtype)


class Explained(nn.Module):
    """(B, k) of an ``Embedding`` to (B, C) logits: 0 of real, ``-e`` of every fake class.

    ``e = 1 - |f|^2`` is the relative error of reconstruction, in [0, 1]. Log odds are ``-e + log(C - 1)``.

    Args:
        classes: C; what is explained may be of any generator.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fakes = classes - 1

    def forward(self, features: Tensor) -> Tensor:
        """The logits."""
        errors = 1 - features.square().sum(dim=1, keepdim=True)
        return torch.cat([torch.zeros_like(errors), -errors.expand(-1, self.fakes)], dim=1)
