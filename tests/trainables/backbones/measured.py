"""What the tests of networks measure of one."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.backbones import Backbone, build_backbone
from trainables.seeding import seeded

META = torch.device("meta")
"""Where a network has shapes and no weights: the largest is built at once."""


def on_meta(name: str, stem_stride: int = 2) -> Backbone:
    """A network with shapes alone."""
    with META:
        return build_backbone(name, stem_stride=stem_stride)


def made(name: str, stem_stride: int = 2) -> Backbone:
    """A network with random weights, always the same, in evaluation mode."""
    with seeded(0, "weights"):
        backbone = build_backbone(name, stem_stride=stem_stride)
    backbone.body.eval()
    return backbone


def maps(backbone: Backbone, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The features of images, and what every layer returned, in the order in which they did."""
    outputs: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output}))
        for name, layer in backbone.layers.items()
    ]
    features = backbone.body(images)
    for hook in hooks:
        hook.remove()
    return features, outputs
