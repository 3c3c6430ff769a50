"""Layer-wise fine-tuning: the head and the deepest blocks are trained on k labelled target images a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.contract import AdaptationData, Context, Outcome
from trainables.few import FineTuning, train_on_few

if TYPE_CHECKING:
    from torch import nn

    from trainables.detector import Detector


class Config(FineTuning):
    """Parameters of ``finetune``.

    Attributes:
        trainable: ``head``; ``last:n``, the head and the n blocks before it (``trainables.blocks``); or ``all``.
    """

    trainable: str = Field(default="last:1", pattern=r"^(head|last:[1-9][0-9]*|all)$")


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Few-shot fine-tuning of these layers.

    Raises:
        InputError: the detector has fewer blocks, or there are fewer than k images of a class.
    """
    return train_on_few(config, detector, data, context, lambda found: _chosen(found, config.trainable))


def _chosen(detector: Detector, trainable: str) -> tuple[nn.Parameter, ...]:
    from trainables.blocks import deepest

    if trainable == "all":
        return tuple(detector.parameters())
    return deepest(detector, 0 if trainable == "head" else int(trainable.removeprefix("last:")))
