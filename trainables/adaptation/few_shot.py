"""Few-shot fine-tuning: the whole detector is trained on k labelled target images a class.

Held back by L2-SP (Li, Grandvalet & Davoine 2018, arXiv 1802.01483) and, where asked for, by source images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.contract import AdaptationData, Context, Outcome
from trainables.few import FineTuning, train_on_few

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(FineTuning):
    """Parameters of ``few_shot``."""


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the few images, and ``anchor / 2 * ||theta - theta_source||^2``.

    Raises:
        InputError: there are fewer than k images of a class.
    """
    return train_on_few(config, detector, data, context)
