"""torchvision's networks as backbones: the classifier dropped, layers found, nothing in place."""

from __future__ import annotations

from pathlib import Path

from torch import nn
from torchvision.models import DenseNet, get_model

from trainables.backbones import weights as published
from trainables.backbones.backbone import Backbone, normalisation
from trainables.backbones.names import Family, family
from trainables.backbones.shaping import stride_one, without_in_place
from trainables.backbones.transformer import Transformer

AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""Classifiers of inner layers that published weights of GoogLeNet and Inception have."""


def build(name: str, weights: Path | str | None, stem_stride: int, allow_download: bool) -> Backbone:
    """As ``build_backbone``, for a name that is torchvision's."""
    about = family(name)
    network = _network(name)
    classifier = network.get_submodule(about.classifier)
    network.set_submodule(about.classifier, nn.Identity())
    _start(network, name, about, weights, allow_download)
    if stem_stride == 1:
        stride_one(network, about.halves)
    body, layers = _opened(without_in_place(network), about)
    return Backbone(
        front=normalisation(*about.colours),
        body=body,
        layers=layers,
        feature_dim=int(classifier.in_features),  # type: ignore[arg-type]
        min_size=about.smallest(stem_stride),
    )


def _network(name: str) -> nn.Module:
    # Without these two the auxiliary classifiers come along, and torchvision warns of how it will draw weights.
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    network: nn.Module = get_model(name, weights=None, **extra)
    return network


def _start(network: nn.Module, name: str, about: Family, weights: Path | str | None, allow_download: bool) -> None:
    """Give the network the weights it starts from, where any are given."""
    if weights is None:
        return
    if isinstance(weights, str):
        published.check_tag(name, weights, allow_download)
    found = published.fetched(name, weights) if isinstance(weights, str) else published.read(weights)
    dropped = (f"{about.classifier}.", *AUXILIARY)
    published.load(network, found, name, dropped=dropped, where=str(weights))


def _opened(network: nn.Module, about: Family) -> tuple[nn.Module, dict[str, nn.Module]]:
    """The network as a body, and its layers."""
    if hasattr(network, "encoder"):
        body = Transformer(network, {name: int(blocks) for name, blocks in about.layers.items()})
        return body, body.maps()
    layers = {name: network.get_submodule(path) for name, path in about.layers.items()}
    if isinstance(network, DenseNet):
        # Its own forward works in place on what its last layer returns.
        pooling = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(network.features, pooling), layers
    return network, layers
