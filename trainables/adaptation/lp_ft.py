"""LP-FT: a linear probe first, then fine-tuning of the whole detector from there, at a small learning rate.

Kumar et al. 2022 (arXiv 2202.10054): a head that already fits keeps fine-tuning from distorting the features.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trainables.contract import AdaptationData, Context, Outcome
from trainables.few import FineTuning, train_on_few
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(FineTuning):
    """Parameters of ``lp_ft``; the learning rate is a tenth of few-shot fine-tuning's."""

    recipe: Recipe = FineTuning().recipe.model_copy(update={"learning_rate": FineTuning().recipe.learning_rate / 10})


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Refit the head, then train everything on the same images; L2-SP holds it to the probe.

    Raises:
        InputError: there are fewer than k images of a class, or the head does not end in a linear layer.
    """
    from trainables.probe import probe

    probed = probe(detector, config.images(data, context), context.seed, context.device)
    outcome = train_on_few(config, detector, data, context)
    return replace(outcome, metrics={**probed, **outcome.metrics})
