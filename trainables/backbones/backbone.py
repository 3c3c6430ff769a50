"""A published network without its classifier, its colours' normalisation, and the layers to look into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.backbones.names import OPEN_CLIP, TIMM, check_stem, find_backbone

if TYPE_CHECKING:
    from torch import nn

    from trainables.detector import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A network from images to features, in parts as a ``Detector`` takes them.

    Attributes:
        front: (B, 3, H, W) in [0, 1] to the same with the colours normalised; fixed.
        body: to (B, D) features.
        layers: modules of the body, shallow to deep, whose outputs are (B, K, h, w) maps; none works in place.
        feature_dim: D.
        min_size: smallest H and W.
    """

    front: nn.Module
    body: nn.Module
    layers: Mapping[str, nn.Module]
    feature_dim: int
    min_size: int

    def frozen(self) -> Backbone:
        """This network, its weights no longer to be trained."""
        self.body.requires_grad_(False)
        return self

    def detector(
        self, head: Callable[[int, int], nn.Module], classes: int, *, front: nn.Module | None = None
    ) -> Detector:
        """A detector that is this network under a head of its own; layers are the network's.

        Args:
            head: makes it, from D and C.
            classes: C.
            front: what the network sees of an image, (B, 3, H, W); its normalised colours if not given.
        """
        from trainables.detector import Detector

        return Detector(
            front=self.front if front is None else front,
            body=self.body,
            head=head(self.feature_dim, classes),
            layers=self.layers,
            feature_dim=self.feature_dim,
            min_size=self.min_size,
            classes=classes,
        )


def build_backbone(
    name: str, *, weights: Path | str | None = None, stem_stride: int = 2, allow_download: bool = False
) -> Backbone:
    """A network by its name, with random weights if none are given.

    Args:
        name: of torchvision's (``resnet50``), ``timm/<name>``, or ``open_clip/<name>``.
        weights: a file of them, or a tag under which they are published; a classifier among them is dropped.
        stem_stride: 1 takes the strides from the first convolution and the first pooling: maps are 4 times as large.
        allow_download: whether the published file of a tag may be fetched, if this machine has not got it.

    Raises:
        InputError: there is no such network; the weights are missing, unreadable or another network's; or the
            network's stem has no strides to take away.
    """
    find_backbone(name)
    check_stem(name, stem_stride)
    if name.startswith(TIMM):
        from trainables.backbones import from_timm

        return from_timm.build(name.removeprefix(TIMM), weights, stem_stride, allow_download)
    if name.startswith(OPEN_CLIP):
        from trainables.backbones import from_open_clip

        return from_open_clip.build(name.removeprefix(OPEN_CLIP), weights)
    from trainables.backbones import from_torchvision

    return from_torchvision.build(name, weights, stem_stride, allow_download)


def normalisation(mean: tuple[float, ...], std: tuple[float, ...]) -> nn.Module:
    """(x - mean) / std by colour channel, as a fixed 1x1 filter."""
    import torch
    from torch import nn

    filters = nn.Conv2d(3, 3, 1, groups=3)
    means, scales = torch.tensor(mean), 1 / torch.tensor(std)
    filters.weight = nn.Parameter(scales[:, None, None, None], requires_grad=False)
    filters.bias = nn.Parameter(-means * scales, requires_grad=False)
    return filters
