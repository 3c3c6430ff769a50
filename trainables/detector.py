"""A detector: parts put together, logits with a calibration and views of their own, named layers to look into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.contract import Config, Precision
from trainables.errors import InputError
from trainables.registry import find
from trainables.seeding import seeded

REDUCED: Mapping[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


@final
class Detector(nn.Module):
    """Images in, calibrated logits out; class 0 is real, every other class is fake.

    The calibration is part of the model (buffers ``scale`` and ``shift``): it travels in the checkpoint, into
    attacks and into Grad-CAM, and the threshold on P(fake) stays .5 for every detector. So are its views: how many of
    the mirrored and turned versions of an image its logits are the mean over. Features are of the image as it is, and
    so is all that is trained or pseudo-labelled by them.

    Args:
        front: (B, 3, H, W) in [0, 1] to whatever the body takes: normalisation, residual filters, a transform.
        body: to (B, D) features.
        head: (B, D) features to (B, C) logits.
        layers: modules within the front or the body, shallow to deep, whose outputs are (B, K, h, w) maps; what
            Grad-CAM and layer analyses look at. None may work in place.
        feature_dim: D.
        min_size: smallest H and W that the body can take.
        classes: C, at least 2.

    Attributes:
        views: 1: the image alone; 2: and its mirror image; 8: all of the dihedral group (``turned``). A whole number
            and no buffer, so that looking at it never waits for a GPU; in the state dict it is the extra state.
        precision: that the body computes in, by autocast: the one it was trained in, and so the one it is scored in;
            on its card. The front end stays in fp32, for traces are differences of the last bits of pixels, and so
            does all that is made of the features: head, losses, discriminators.
    """

    scale: Tensor
    shift: Tensor
    views: int
    precision: Precision

    def __init__(
        self,
        *,
        front: nn.Module,
        body: nn.Module,
        head: nn.Module,
        layers: Mapping[str, nn.Module],
        feature_dim: int,
        min_size: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.front, self.body, self.head = front, body, head
        self.layers = dict(layers)
        self.feature_dim, self.min_size, self.classes = feature_dim, min_size, classes
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("shift", torch.zeros(()))
        self.views = 1
        self.precision = "fp32"
        self.register_load_state_dict_pre_hook(_alone_by_default)  # type: ignore[no-untyped-call]  # torch's

    def get_extra_state(self) -> Tensor:
        """The views, () int64."""
        return torch.tensor(self.views)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the views from a state."""
        self.views = int(state)

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, D).

        Raises:
            InputError: the images are smaller than ``min_size``.
        """
        self.check_size(*images.shape[-2:])
        # Channels last, as the images lie on disk: convolutions on a CPU are up to twice as fast.
        seen: Tensor = self.front(images.contiguous(memory_format=torch.channels_last))
        if self.precision == "fp32":
            features: Tensor = self.body(seen)
            return features
        with torch.autocast(seen.device.type, REDUCED[self.precision]):
            features = self.body(seen)
        return features.float()

    def check_size(self, height: int, width: int) -> None:
        """Raise unless images of so many pixels are large enough.

        Raises:
            InputError: they are smaller than ``min_size``.
        """
        if min(height, width) < self.min_size:
            problem, found = "the images are too small for this detector", f"{height}x{width}"
            fix = f"use images of at least {self.min_size}x{self.min_size} pixels (`preprocess.size`)"
            raise InputError(problem, value=found, fix=fix)

    def classify(self, features: Tensor) -> Tensor:
        """(B, D) to calibrated logits (B, C): ``scale * logits``, then ``shift`` on all fake classes."""
        logits = self.head(features) * self.scale
        return torch.cat([logits[:, :1], logits[:, 1:] + self.shift], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to calibrated logits (B, C), the mean over the views.

        The views go through one after the other: memory, and what a hook on a layer is given, is that of one.
        """
        logits = self.classify(self.features(images))
        if self.views == 1:
            return logits
        others = (self.classify(self.features(turned(images, view))) for view in range(1, self.views))
        return torch.stack([logits, *others]).mean(dim=0)

    def log_odds(self, images: Tensor) -> Tensor:
        """(B,) log of P(fake) / P(real); above 0 is called fake. Unlike P(fake) it does not saturate."""
        return fake_log_odds(self(images))

    def probability(self, images: Tensor) -> Tensor:
        """(B,) P(fake), the softmax's mass on all classes but the first."""
        return torch.sigmoid(self.log_odds(images))


def turned(images: Tensor, view: int) -> Tensor:
    """(B, 3, H, W) as one of the 8 views of the dihedral group; no pixel is interpolated.

    Args:
        view: 2k: turned by k quarters, counterclockwise, so that 0 is the image itself; 2k + 1: then mirrored, left and
            right. Odd quarters are (B, 3, W, H).
    """
    rotated = torch.rot90(images, view // 2, dims=(-2, -1))
    return rotated.flip(-1) if view % 2 else rotated


def _alone_by_default(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """States of before detectors had views are of detectors that look at the image alone."""
    del module
    state.setdefault(f"{prefix}_extra_state", torch.tensor(1))


def fake_log_odds(logits: Tensor) -> Tensor:
    """(B, C) logits to (B,) log of P(fake) / P(real) under the softmax."""
    return torch.logsumexp(logits[:, 1:], dim=1) - logits[:, 0]


@final
class TwoLogits(nn.Module):
    """A detector of any number of classes as libraries for two want it: logits (-z/2, z/2) of real and fake.

    z is the log odds of fake, so the softmax over the two is the detector's own P(fake).

    Args:
        detector: held, not copied.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 2)."""
        half = self.detector.log_odds(images)[:, None] / 2
        return torch.cat([-half, half], dim=1)


def build_detector(kind: str, config: Config, *, seed: int, classes: int = 2) -> Detector:
    """A fresh detector by registry name; the seed alone decides its random weights."""
    with seeded(seed, "weights"):
        detector: Detector = find("detectors", kind).load().build(config, classes)
    return detector


def as_input(pixels: NDArray[np.uint8] | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in [0, 1] on the device; the bytes travel, not the floats."""
    tensor = pixels if isinstance(pixels, Tensor) else torch.from_numpy(np.ascontiguousarray(pixels))
    batch = tensor.to(device, non_blocking=True)
    return batch.permute(0, 3, 1, 2).float().div_(255)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode within; afterwards each part is in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No gradients for the module's parameters within: only what flows to the pixels is computed."""
    wanted: list[tuple[nn.Parameter, Any]] = [(p, p.requires_grad) for p in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)
