"""NPR: how every pixel differs from the one that a 2x2 nearest-neighbour up-sampling would have copied it from.

Tan et al. 2024 ("Rethinking the Up-Sampling Operations in CNN-based Generative Network for Generalizable Deepfake
Detection", CVPR). With blocks of 2x2 pixels, NPR(x) is x minus each block's upper left pixel: what up-sampling layers
made alike stays alike.

**The phase matters.** Blocks are counted from the upper left corner of the square that the detector is given, so a
square cut out of an image at an odd row or column is compared across the generator's blocks and not within them.
Published training scales to 256 pixels and crops 224 at random, of either parity; here the squares are those of
``preprocess``, and a study that needs one phase gives it images whose margins (size minus crop) are multiples of 4
and no ``random`` patches. Mirroring (``recipe.flips``, as published) keeps the blocks where the width is even, and
makes the upper right pixel the one that is compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from trainables.recipe import Recipe
from trainables.small_cnn import OnSmallCnn, small_cnn

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.front_ends import NeighbouringPixels

SCALE = 2 / 3


class Config(OnSmallCnn):
    """Parameters of ``npr``.

    Attributes:
        body: ``resnet50`` is the published one: ResNet-50 as far as its second stage, the first filter 3x3 at stride 2,
            1.44 million parameters from random weights (published: Adam at 2e-4, batches of 32); ``small``: four
            small blocks for a CPU, which alone have a ``width``.
        recipe: how it is trained.
    """

    body: Literal["small", "resnet50"] = "small"
    recipe: Recipe = Recipe(learning_rate=2e-3)


def build(config: Config, classes: int) -> Detector:
    """A detector with random weights; layers ``block1`` to ``block4`` (``small``), or ``layer1`` and ``layer2``."""
    if config.body == "small":
        return small_cnn(npr, 3, config.width, classes)
    return _published(classes)


def npr() -> NeighbouringPixels:
    """2/3 NPR of colours normalised as ImageNet's; of that a difference keeps the deviations alone."""
    from trainables.backbones.names import IMAGENET
    from trainables.front_ends import NeighbouringPixels

    _, deviations = IMAGENET
    return NeighbouringPixels([SCALE / deviation for deviation in deviations])


def _published(classes: int) -> Detector:
    from torch import nn
    from torchvision.models import resnet50

    from trainables.detector import Detector

    network = resnet50(weights=None)
    first = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
    nn.init.kaiming_normal_(first.weight, mode="fan_out", nonlinearity="relu")
    layers: dict[str, nn.Module] = {"layer1": network.layer1, "layer2": network.layer2}
    stem = (first, network.bn1, network.relu, network.maxpool)
    body = nn.Sequential(*stem, *layers.values(), network.avgpool, nn.Flatten())
    for part in body.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    head = nn.Linear(512, classes)
    return Detector(front=npr(), body=body, head=head, layers=layers, feature_dim=512, min_size=16, classes=classes)
