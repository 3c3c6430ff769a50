"""CNNDetection: a ResNet-50 whose training images are blurred and compressed at random, until nothing improves.

Wang et al. 2020 ("CNN-generated images are surprisingly easy to spot... for now", CVPR, arXiv 1912.11035). Adam at
1e-4, batches of 64; a blur of sigma up to 3 pixels and a JPEG compression of quality 30 to 100, each with probability
.5 (the paper's .1 is ``recipe: {augment: cnndetection_light}``). After 5 epochs without a better validation accuracy
the learning rate falls to a tenth; below 1e-6 the training ends. Two logits stand for the published one: with the
softmax they span the same detectors. Published training takes squares of 224 pixels from images scaled to 256, and
starts from ImageNet's weights: that is the detector's ``preprocess`` and ``weights``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.architecture import OnBackbone
from trainables.augment import Augment
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector

PUBLISHED = Recipe(
    epochs=100,
    batch=64,
    optimiser="adam",
    learning_rate=1e-4,
    weight_decay=0,
    schedule="plateau",
    patience=5,
    augment=Augment.model_validate("cnndetection"),
)
"""As the authors train; they give no bound on the epochs."""


class Config(OnBackbone):
    """Parameters of ``cnndetection``.

    Attributes:
        recipe: how it is trained.
    """

    architecture: str = "resnet50"
    recipe: Recipe = PUBLISHED


def build(config: Config, classes: int) -> Detector:
    """A detector with a new linear head, and the network's own layers.

    Raises:
        InputError: the weights are missing, unreadable or another network's.
    """
    from trainables.heads import linear

    return config.backbone().detector(linear, classes)
