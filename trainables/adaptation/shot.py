"""SHOT: the classifier stays, and the features move until it is sure of the target, and of both classes alike.

Liang et al. 2020 (arXiv 2002.08546), sections 3.2 and 3.3. Source-free: no source image is trained on. As in the paper
the length is fixed beforehand and the last epoch is kept: held-out source images would choose the epoch that changed
least. Unlike the paper's, the source detector is as it comes: no smoothed labels, no weight normalisation in its head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat

from trainables.contract import AdaptationData, Context, Images, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

    from trainables.detector import Detector
    from trainables.objective import Objective, Step, Term


class Config(MemberConfig):
    """Parameters of ``shot``; with both weights 0 nothing is done.

    Attributes:
        weight: of information maximisation, ``mean H(p) - H(mean p)``. It assumes that real and fake are about
            equally frequent in the target.
        beta: of the cross-entropy to the pseudo-labels of the nearest centroids.
        recipe: of the training on the target, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    beta: NonNegativeFloat = 0.3
    recipe: Recipe = Recipe(epochs=8, learning_rate=3e-4)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise information maximisation and beta times cross-entropy, over all parameters but the head's.

    Pseudo-labels are made anew before each epoch. The curves carry the share of fakes among them, and the share in
    which they agree with the classifier.
    """
    import numpy as np

    from trainables.fit import fit
    from trainables.pseudo import labelled, with_prior
    from trainables.selection.rule import last

    outcome, figures = Outcome(), dict[str, float]()
    if config.weight or config.beta:
        # -1: before the first epoch there are no labels, and one that were used by mistake would be an error.
        images = labelled(data.target, np.full(len(data.target), -1, dtype=np.int64))
        objective = _objective(config, images, context)
        fitted = fit(detector, objective, config.recipe, images, data.source_val, context, select=last)
        outcome, row = fitted.outcome(), fitted.curves[fitted.chosen]
        figures = {name: value for name, value in row.items() if name.startswith("pseudo_")}
    return with_prior(outcome, detector, data, context, **figures)


def _objective(config: Config, images: Images, context: Context) -> Objective:
    from trainables.losses import information_maximisation
    from trainables.objective import Objective, classification
    from trainables.pseudo import centroid_labels, predict

    def information(step: Step) -> Tensor:
        return config.weight * information_maximisation(step.logits.softmax(dim=1))

    def centroid(step: Step) -> Tensor:
        return config.beta * classification(step)

    def relabel(detector: Detector, epoch: int) -> Mapping[str, float]:
        predicted = predict(detector, images.pixels, context)
        images.labels[:] = centroid_labels(predicted.features, predicted.probs)
        agree = float((images.labels == predicted.labels).mean())
        return {"pseudo_fake": float((images.labels > 0).mean()), "pseudo_agreement": agree}

    terms: dict[str, Term] = {"information": information} if config.weight else {}
    if not config.beta:
        return Objective(terms=terms, trainable=_all_but_the_head)
    return Objective(terms={**terms, "centroid": centroid}, trainable=_all_but_the_head, before_epoch=(relabel,))


def _all_but_the_head(detector: Detector) -> Iterator[nn.Parameter]:
    for part in (detector.front, detector.body):
        # Fixed filters stay fixed.
        yield from (parameter for parameter in part.parameters() if parameter.requires_grad)
