"""A published network with a new head, fine-tuned as a whole or from some depth on (He et al. 2016, and others).

In a study its kind may be the name of the network: ``resnet50`` is ``{kind: backbone, architecture: resnet50}``.

With ``trainable: none`` it is somebody's trained detector as it comes, its classifier kept: a ResNet-50 whose one
output is the log odds of fake (Wang et al. 2020, arXiv 1912.11035), or any network fine-tuned to two classes of which
the second is fake. Without weights it is a floor: what an untrained network scores.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from trainables.architecture import OnBackbone
from trainables.backbones.freezing import NONE, Trainable, freeze, last_blocks
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
        trainable: ``all``; ``head``; ``last:k``, the head and the k deepest blocks: of a ResNet its layers 4, 3, 2 and
            1, and its stem; or ``none``: network and classifier are as they come, and adaptations may train all of it.
        stem_stride: 1 takes the strides from a ResNet's or DenseNet's first convolution and first pooling, so that no
            trace of high frequency is lost before anything has looked at it (Gragnaniello et al. 2021, arXiv
            2104.02617): maps, time and memory are 16 times as large.
        recipe: how it is trained; nothing else than the default for one that is not.
    """

    head: Head = "linear"
    trainable: Trainable = "all"
    stem_stride: Literal[1, 2] = 2
    recipe: Recipe = Recipe(batch=32, learning_rate=3e-4)

    @property
    def title(self) -> str:
        """The network's name, fit for a folder's."""
        return self.architecture.replace("/", "-")

    @property
    def ready(self) -> bool:
        """Whether ``trainable`` is ``none``."""
        return self.trainable == NONE

    @model_validator(mode="after")
    def _fits_the_network(self) -> Self:
        check_stem(self.architecture, self.stem_stride)
        count, asked = block_count(self.architecture), last_blocks(self.trainable)
        if count is not None and asked is not None and asked > count:
            problem = f"{self.architecture} has {count} blocks before its head"
            fix = f"write `last:{count}` or less"
            raise InputError(problem, where="trainable", value=self.trainable, fix=fix)
        return self

    @model_validator(mode="after")
    def _comes_as_it_shall_be(self) -> Self:
        if not self.ready:
            return self
        if isinstance(self.weights, str):
            problem = "what is published under a tag tells the classes of ImageNet, not real from fake"
            fix = f"name a file of weights whose classifier does, or train a head: `trainable: head` for `{NONE}`"
            raise InputError(problem, where="weights", value=self.weights, fix=fix)
        if self.recipe != type(self).model_fields["recipe"].default:
            problem, fix = f"with `trainable: {NONE}` nothing is trained", "delete `recipe:`"
            raise InputError(problem, where="recipe", fix=fix)
        return self


def build(config: Config, classes: int) -> Detector:
    """A detector with the network's own layers, and a new head or the classifier that came with the weights.

    Raises:
        InputError: the weights are missing, unreadable or another network's, or have no classifier that is a detector's
            where it is to be kept; or the network has no such stem or not so many blocks.
    """
    backbone = config.backbone(stem_stride=config.stem_stride)
    detector = backbone.detector(partial(build_head, config.head), classes)
    freeze(detector, config.trainable)
    if config.ready and config.weights is not None:
        config.restore(detector)
    return detector
