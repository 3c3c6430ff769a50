"""CNNDetection: a ResNet-50 whose training images are blurred and compressed at random, until nothing improves.

Wang et al. 2020 ("CNN-generated images are surprisingly easy to spot... for now", CVPR, arXiv 1912.11035). Adam at
1e-4, batches of 64; a blur of sigma up to 3 pixels and a JPEG compression of quality 30 to 100, each with probability
.5 (the paper's .1 is ``recipe: {augment: cnndetection_light}``). After 5 epochs without a better validation accuracy
the learning rate falls to a tenth; below 1e-6 the training ends. Two logits stand for the published one: with the
softmax they span the same detectors. Published training takes squares of 224 pixels from images scaled to 256, and
starts from ImageNet's weights: that is a study's ``preprocess`` and ``weights``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from trainables.augment import Augment
from trainables.backbones.names import find_backbone
from trainables.backbones.weights import as_weights, check_tag
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


def _found(name: str) -> str:
    find_backbone(name)
    return name


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


class Config(MemberConfig):
    """Parameters of ``cnndetection``.

    Attributes:
        architecture: the network: a name of torchvision's, or ``timm/<name>``.
        weights: a file of them, or a tag under which the network's are published (``IMAGENET1K_V1``); their classifier
            is dropped. Random weights if not given.
        allow_download: whether the published file of a tag may be fetched.
        recipe: how it is trained.
    """

    architecture: Annotated[str, AfterValidator(_found)] = "resnet50"
    weights: Annotated[Path | str | None, BeforeValidator(as_weights)] = None
    allow_download: bool = False
    recipe: Recipe = PUBLISHED

    @model_validator(mode="after")
    def _weights_are_published(self) -> Self:
        if isinstance(self.weights, str):
            check_tag(self.architecture, self.weights, self.allow_download)
        return self


def build(config: Config, classes: int) -> Detector:
    """A detector with a new linear head, and the network's own layers.

    Raises:
        InputError: the weights are missing, unreadable or another network's.
    """
    from trainables.backbones import build_backbone
    from trainables.detector import Detector
    from trainables.heads import build_head

    backbone = build_backbone(config.architecture, weights=config.weights, allow_download=config.allow_download)
    return Detector(
        front=backbone.front,
        body=backbone.body,
        head=build_head("linear", backbone.feature_dim, classes),
        layers=backbone.layers,
        feature_dim=backbone.feature_dim,
        min_size=backbone.min_size,
        classes=classes,
    )
