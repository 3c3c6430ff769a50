"""A published network with a new head, fine-tuned as a whole or from some depth on (He et al. 2016, and others).

In a study its kind may be the name of the network: ``resnet50`` is ``{kind: backbone, architecture: resnet50}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from trainables.architecture import OnBackbone
from trainables.backbones.freezing import Trainable, freeze, last_blocks
from trainables.backbones.names import block_count, check_stem
from trainables.errors import InputError
from trainables.heads import Head, build_head
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnBackbone):
    """Parameters of ``backbone``.

    Attributes:
        head: ``linear``; ``mlp``, D-128-C; or ``bottleneck``, D-64-C with a BatchNorm.
        trainable: ``all``; ``head``; or ``last:k``, the head and the k deepest blocks: of a ResNet its layers 4, 3, 2
            and 1, and its stem.
        stem_stride: 1 takes the strides from a ResNet's or DenseNet's first convolution and first pooling, so that no
            trace of high frequency is lost before anything has looked at it (Gragnaniello et al. 2021, arXiv
            2104.02617): maps, time and memory are 16 times as large.
        recipe: how it is trained.
    """

    head: Head = "linear"
    trainable: Trainable = "all"
    stem_stride: Literal[1, 2] = 2
    recipe: Recipe = Recipe(batch=32, learning_rate=3e-4)

    @property
    def title(self) -> str:
        """The network's name, fit for a folder's."""
        return self.architecture.replace("/", "-")

    @model_validator(mode="after")
    def _fits_the_network(self) -> Self:
        check_stem(self.architecture, self.stem_stride)
        count, asked = block_count(self.architecture), last_blocks(self.trainable)
        if count is not None and asked is not None and asked > count:
            problem = f"{self.architecture} has {count} blocks before its head"
            fix = f"write `last:{count}` or less"
            raise InputError(problem, where="trainable", value=self.trainable, fix=fix)
        return self


def build(config: Config, classes: int) -> Detector:
    """A detector with a new head, and the network's own layers.

    Raises:
        InputError: the weights are missing, unreadable or another network's, or the network has no such stem or not
            so many blocks.
    """
    from trainables.detector import Detector

    backbone = config.backbone(stem_stride=config.stem_stride)
    detector = Detector(
        front=backbone.front,
        body=backbone.body,
        head=build_head(config.head, backbone.feature_dim, classes),
        layers=backbone.layers,
        feature_dim=backbone.feature_dim,
        min_size=backbone.min_size,
        classes=classes,
    )
    freeze(detector, config.trainable)
    return detector
