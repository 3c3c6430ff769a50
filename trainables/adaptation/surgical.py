"""Surgical fine-tuning: one block of the detector is trained on k labelled target images a class.

Lee et al. 2023 (arXiv 2210.11466): which block is best tells at which depth the shift lies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.contract import AdaptationData, Context, Outcome
from trainables.few import FineTuning, train_on_few

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(FineTuning):
    """Parameters of ``surgical``.

    Attributes:
        block: that is trained, by its name or by its position from 1, the shallowest (``trainables.blocks``).
    """

    block: int | str = 1


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Few-shot fine-tuning of one block.

    Raises:
        InputError: the detector has no such block, or there are fewer than k images of a class.
    """
    from trainables.blocks import block

    return train_on_few(config, detector, data, context, lambda found: block(found, config.block))
