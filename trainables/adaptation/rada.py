"""RADA: well aligned target images are relabelled as source images, for the domain discriminator alone.

A discriminator that has stopped improving teaches the features no more. From then on target images on which it is
undecided, ``H(D(f)) / ln 2 > threshold``, count as source; each is mixed with a source image, ``a f_s + (1 - a) f_t``.
Class labels are never touched. Jin et al. 2021 (arXiv 2103.11661); on top of ``dann`` or ``cdan`` in a
composition, and nothing by itself.

``start`` is an addition to the paper: short trainings do not reach its patience. ``discriminator_accuracy`` is that on
unmixed images, by their true domain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.objective import Objective


class Config(MemberConfig):
    """Parameters of ``rada``.

    Attributes:
        threshold: of a target image's domain entropy, as a share of ln 2, above which it is relabelled; .5 is the
            paper's .35 if that is in nats, which it does not say.
        patience: epochs in a row without a new lowest domain loss, after which relabelling begins; 5 in the paper.
        start: share of the training after which it begins in any case; 1 for never.
    """

    threshold: float = Field(default=0.5, ge=0, le=1)
    patience: PositiveInt = 5
    start: float = Field(default=0.5, ge=0, le=1)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """No term: a rule of which target images the discriminator is to call source."""
    from trainables.objective import Objective
    from trainables.relabelling import Relabelling

    rule = Relabelling(config.threshold, config.patience, config.start)
    return Objective(relabel=rule.relabel, modules={"relabelling": rule}, before_epoch=(rule.next_epoch,))


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Refused: by itself it has no discriminator to work on.

    Raises:
        InputError: always; the message says how it is written.
    """
    from trainables.composing import check_alone

    check_alone("rada")
    return Outcome()
