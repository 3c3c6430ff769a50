"""What detectors of the frequency domain look at: Fourier and cosine transforms of images, as differentiable modules.

Shapes: B images, K colours, H height, W width.
"""

from __future__ import annotations

from functools import lru_cache
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

GRAY = (0.299, 0.587, 0.114)
"""Luma of ITU-R BT.601."""


@final
class FourierReal(nn.Module):
    """Real part of the 2-D DFT of every colour, (B, K, H, W): neither shifted, nor scaled, nor its logarithm."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, K, H, W) to the same."""
        real: Tensor = torch.fft.fft2(images).real
        return real


@final
class LogMagnitude(nn.Module):
    """log(floor + |DFT|) of every colour, (B, K, H, W), frequency 0 at (H // 2, W // 2)."""

    def __init__(self, floor: float = 1e-8) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, images: Tensor) -> Tensor:
        """(B, K, H, W) to the same."""
        shifted: Tensor = torch.fft.fftshift(torch.fft.fft2(images), dim=(-2, -1))
        return torch.log(self.floor + shifted.abs())


@final
class LogCosine(nn.Module):
    """log(floor + |c|) of the coefficients c of every colour's 2-D DCT-II, orthonormal, (B, K, H, W)."""

    def __init__(self, floor: float = 1e-12) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, images: Tensor) -> Tensor:
        """(B, K, H, W) to the same; computed in float64, as a logarithm of what is near 0 shows every rounding."""
        return torch.log(self.floor + cosine(images.double()).abs()).to(images.dtype)


@final
class Azimuthal(nn.Module):
    """The power spectrum by distance from frequency 0, (B, bins), after Durall et al. 2020 (arXiv 1911.00686).

    P = |DFT(gray)|^2; AI(k) is its mean over the ring ``round(r) = k``, r in cycles along the shorter side, up to the
    corners; log(AI(k) / AI(0)), read off at ``bins`` equal steps between the first and the last ring, linearly between
    two. So images of every size have as many features, and those of one frequency in cycles a pixel stand in one place.

    Args:
        bins: at least 2.
        floor: added to AI, in units of images in [0, 1], so that a ring without power has a logarithm.
    """

    def __init__(self, bins: int, floor: float = 1e-12) -> None:
        super().__init__()
        self.bins, self.floor = bins, floor

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, bins)."""
        luma = torch.tensor(GRAY, device=images.device, dtype=images.dtype)
        gray = torch.einsum("bkhw,k->bhw", images, luma)
        rings = torch.log(self.floor + ring_means(torch.fft.fft2(gray).abs().square()))
        profile = (rings - rings[:, :1])[:, None]
        return functional.interpolate(profile, size=self.bins, mode="linear", align_corners=True)[:, 0]


def cosine(images: Tensor) -> Tensor:
    """2-D DCT-II of every colour, orthonormal, (B, K, H, W)."""
    rows, columns = (torch.from_numpy(_basis(size)).to(images) for size in images.shape[-2:])
    return rows @ images @ columns.T


def ring_means(power: Tensor) -> Tensor:
    """Means of (B, H, W) over the rings around frequency 0, unshifted, (B, R): ``round(r) = 0 … R - 1``."""
    ring = torch.from_numpy(_rings(*power.shape[-2:])).to(power.device)
    counts = torch.bincount(ring).to(power)
    return power.new_zeros(len(power), len(counts)).index_add(1, ring, power.flatten(1)) / counts


@lru_cache(maxsize=8)
def _basis(size: int) -> NDArray[np.float64]:
    """(size, size): row k is the k-th cosine, cos(pi (2 n + 1) k / (2 size)), made a vector of length 1."""
    k, n = np.arange(size)[:, None], np.arange(size)
    basis: NDArray[np.float64] = np.cos(np.pi * (2 * n + 1) * k / (2 * size)) * np.sqrt(2 / size)
    basis[0] /= np.sqrt(2)
    return basis


@lru_cache(maxsize=8)
def _rings(height: int, width: int) -> NDArray[np.int64]:
    """(H W,) the ring of every frequency of an unshifted DFT."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) * min(height, width)
    rings: NDArray[np.int64] = radius.round().astype(np.int64).ravel()
    return rings
