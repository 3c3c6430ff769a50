"""Small patches judged one by one, and an image by all of its patches.

Chai et al. 2020 ("What Makes Fake Images Detectable? Understanding Properties that Generalize", ECCV): a network cut
off so early that each location of its map sees a patch alone, a linear classifier at every location, and as the loss
the mean cross-entropy over all of them. Here a step draws one patch of each image: its loss is that mean in
expectation, an image keeps one vector of features and one of logits as every detector's must, and what an adaptation
aligns are patches. Scores are of the mean over all patches' logits, which is one of the three averages that the
authors' code evaluates (``before_softmax``).

The patches' map comes for free: as the head is linear, Grad-CAM of the last layer is the map of their log odds, but
for a factor, the bias and what is below 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from trainables.recipe import Recipe
from trainables.small_cnn import OnResiduals, OnSmallCnn

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnSmallCnn):
    """Parameters of ``patches``.

    Attributes:
        body: ``resnet18`` is a published one: ResNet-18 as far as its first stages (published: Adam at 1e-3, constant,
            batches of 32, from random weights); ``small``: the filters and blocks of ``residual_cnn``, for a CPU,
            which alone have a ``width``.
        stages: of ResNet-18 that are kept: 1, as published, has patches of 43x43 pixels, 2 of 99x99; the small one's
            are of 42x42.
        recipe: how it is trained.
    """

    body: Literal["small", "resnet18"] = "small"
    stages: int = Field(default=1, ge=1, le=2)
    recipe: Recipe = Recipe(batch=32, learning_rate=2e-3)


def build(config: Config, classes: int) -> Detector:
    """A detector with random weights; layers ``block1`` to ``block4`` (``small``), or ``layer1`` and on."""
    return _small(config.width, classes) if config.body == "small" else _published(config.stages, classes)


def _small(width: int, classes: int) -> Detector:
    from trainables.filters import four_models
    from trainables.pooling import OneOfThem

    return OnResiduals(width=width).detector(four_models(), classes, OneOfThem())


def _published(stages: int, classes: int) -> Detector:
    from torch import nn

    from trainables.backbones import build_backbone
    from trainables.detector import Detector
    from trainables.pooling import OneOfThem

    backbone = build_backbone("resnet18")
    names = list(backbone.layers)[:stages]
    stem = [backbone.body.get_submodule(name) for name in ("conv1", "bn1", "relu", "maxpool")]
    layers = {name: backbone.layers[name] for name in names}
    width = 64 * 2 ** (stages - 1)
    return Detector(
        front=backbone.front,
        body=nn.Sequential(*stem, *layers.values(), OneOfThem()),
        head=nn.Linear(width, classes),
        layers=layers,
        feature_dim=width,
        min_size=16,
        classes=classes,
    )
