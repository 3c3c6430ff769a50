"""Linear probe: the head refitted by logistic regression on k labelled target images a class; the features stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.contract import AdaptationData, Context, Outcome
from trainables.few import Drawn

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(Drawn):
    """Parameters of ``linear_probe``; the strength of its L2 penalty is cross-validated on the 2k images."""


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Refit the head's last layer.

    Raises:
        InputError: there are fewer than k images of a class, or the head does not end in a linear layer.
    """
    from trainables.probe import probe
    from trainables.pseudo import with_prior

    few = config.images(data, context)
    outcome = Outcome(metrics=probe(detector, few, context.seed, context.device), images=len(few))
    return with_prior(outcome, detector, data, context)
