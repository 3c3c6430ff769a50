"""Several frozen networks as one detector: their features side by side, and what is trained to read them together.

DeepFeatureX Net (Pontorno et al. 2024, arXiv 2404.15697): networks that each know one family of images best, under
convolutions along their features. Shapes: B images, K networks, D features of each, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trainables.backbones import Backbone
from trainables.contract import Context, Images
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.score import batch_of, infer

CHANNELS = (16, 64, 256, 512, 1024)
KERNELS, STRIDES = (7, 5, 3, 3, 3), (2, 2, 1, 1, 1)


class FrozenNetworks(nn.Module):
    """(B, 3, H, W) in [0, 1] to (B, K, D): every network's features, which nothing trains; BatchNorm stands still.

    Args:
        networks: by the family each knows best; the rows of what they make, in this order.
    """

    def __init__(self, networks: Mapping[str, Backbone]) -> None:
        super().__init__()
        parts = {family: nn.Sequential(network.front, network.body) for family, network in networks.items()}
        self.networks = nn.ModuleDict(parts)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenNetworks:
        """In evaluation mode, whatever is asked for."""
        del mode
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """The networks' features, one row a network."""
        return torch.stack([network(images) for network in self.networks.values()], dim=1)


def fusion(networks: Mapping[str, Backbone], classes: int, *, shown: str) -> Detector:
    """A detector of these networks; the convolutions above them have random weights and are all that is trained.

    Args:
        networks: by family; all of one architecture.
        shown: the family whose network's layers are the detector's: several networks have no one order of depth.
    """
    return Detector(
        front=FrozenNetworks(networks),
        body=convolutions(len(networks)),
        head=nn.Linear(CHANNELS[-1], classes),
        layers=networks[shown].layers,
        feature_dim=CHANNELS[-1],
        min_size=networks[shown].min_size,
        classes=classes,
    )


def convolutions(networks: int) -> nn.Sequential:
    """(B, K, D) to (B, 1024): five convolutions along the features, their mean over what is left of these.

    A ReLU after each of them, and after that a BatchNorm but for the last, as in the authors' code.
    """
    layers: list[nn.Module] = []
    sizes = zip((networks, *CHANNELS), CHANNELS, KERNELS, STRIDES, strict=False)
    for inputs, outputs, kernel, stride in sizes:
        layers += [nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=1), nn.ReLU(), nn.BatchNorm1d(outputs)]
    return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool1d(1), nn.Flatten())


def take_in(detector: Detector, parts: Sequence[Detector]) -> None:
    """Give a fusion the fronts and bodies of trained detectors, in the order of its networks; their heads are left.

    Raises:
        InputError: not as many as it has networks, or they are others.
    """
    assert isinstance(detector.front, FrozenNetworks)
    networks = detector.front.networks
    if len(parts) != len(networks):
        raise InputError("a fusion needs a trained detector for each network", value=f"{len(parts)} of {len(networks)}")
    for (family, network), part in zip(networks.items(), parts, strict=True):
        try:
            network.load_state_dict(nn.Sequential(part.front, part.body).state_dict())
        except RuntimeError as error:
            raise InputError(f"the network of the family {family} is another: {error}") from error


def class_accuracy(detector: Detector, images: Images, context: Context) -> float:
    """The share of images whose own class has the largest mean probability over their squares."""
    probabilities = infer(
        detector,
        lambda batch: detector(batch).softmax(dim=1),
        images.pixels,
        context.device,
        batch_of(context),
    )
    whole = probabilities.reshape(-1, images.views, detector.classes).mean(axis=1)
    return float(np.mean(whole.argmax(axis=1) == images.labels[:: images.views]))
