"""What detectors of the frequency domain look at: Fourier and cosine transforms of images, as differentiable modules.

Shapes: B images, K colours, H height, W width.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trainables.contract import Pixels
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.score import infer

GRAY = (0.299, 0.587, 0.114)
"""Luma of ITU-R BT.601."""
_STILL = 1e-6
"""Relative deviation that is rounding, and no signal to be blown up."""


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


@final
class Standardised(nn.Module):
    """What a transform makes of images, (x - mean) / std by place, with statistics that are learnt once and then fixed.

    Until ``standardise`` has learnt them it changes nothing. Afterwards the transform must make what it made then: maps
    of one size, where their size is the images'.

    Args:
        transform: (B, 3, H, W) to (B, ...).

    Attributes:
        mean, std: () at first, then of the shape that the transform makes of one image; a state brings its own.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        self.register_load_state_dict_pre_hook(_take_shapes)  # type: ignore[no-untyped-call]  # torch's

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, ...).

        Raises:
            InputError: the statistics are of images of another size.
        """
        found: Tensor = self.transform(images)
        if self.mean.ndim and self.mean.shape != found.shape[1:]:
            height, width = self.mean.shape[-2:]
            raise InputError(
                "these images are of another size than those the detector was trained on",
                value=f"{images.shape[-2]}x{images.shape[-1]}",
                fix=f"give it images of {height}x{width} pixels (`preprocess.size`)",
            )
        return (found - self.mean) / self.std


def _take_shapes(module: Standardised, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Statistics of the shapes that the state brings: a fresh module does not know the images' size."""
    for name in ("mean", "std"):
        given = state.get(f"{prefix}{name}")
        if given is not None and given.shape != getattr(module, name).shape:
            setattr(module, name, torch.empty_like(given, device=module.mean.device))


def standardise(detector: Detector, pixels: Pixels, device: str) -> None:
    """Give the detector's front, a ``Standardised``, its statistics over these images, summed up in float64.

    A place that all images but for rounding agree about has standard deviation 1.

    Args:
        pixels: (N, H, W, 3) uint8, one at least.
    """
    front = detector.front
    assert isinstance(front, Standardised)
    transform: nn.Module = front.transform
    sums: list[Tensor] = []

    def add(images: Tensor) -> Tensor:
        found = transform(images).double()
        new = torch.stack([found.sum(dim=0), found.square().sum(dim=0)])
        sums[:] = [sums[0] + new if sums else new]
        return images.new_zeros(len(images))

    infer(detector, add, pixels, device)
    mean, square = sums[0] / len(pixels)
    std = (square - mean.square()).clamp_min(0).sqrt()
    still = std <= _STILL * mean.abs().clamp_min(1)
    front.mean, front.std = mean.float(), torch.where(still, 1.0, std).float()


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
