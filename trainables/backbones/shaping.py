"""Small changes to published networks: strides taken from a stem, and nothing done in place."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn
from torchvision.models.googlenet import BasicConv2d as GoogLeNetConv
from torchvision.models.inception import BasicConv2d as InceptionConv


def stride_one(network: nn.Module, paths: tuple[str, ...]) -> None:
    """Take the stride from the convolutions and poolings at these paths; all weights stay."""
    for path in paths:
        part = network.get_submodule(path)
        part.stride = (1, 1) if isinstance(part, nn.Conv2d) else 1  # type: ignore[assignment]


def without_in_place(network: nn.Module) -> nn.Module:
    """The network, none of whose parts changes what it is given; it computes the same.

    What a layer returns can then be looked at, and differentiated by, after the network has gone on.
    """
    for path, part in list(network.named_modules()):
        if isinstance(part, GoogLeNetConv | InceptionConv):
            # Its ReLU is a call in place, no part.
            open_parts = OrderedDict(conv=part.conv, bn=part.bn, relu=nn.ReLU())
            network.set_submodule(path, nn.Sequential(open_parts))
        elif getattr(part, "inplace", False):
            part.inplace = False
    return network
