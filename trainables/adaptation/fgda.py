"""FGDA: training goes on, and the gradients of the features, not the features, are drawn together.

``g_s = dCE(C(f_s), y_s)/df_s`` and ``g_t = dCE(C(f_t), pseudo-label)/df_t``, (B, D) each; a discriminator of its own
tells them apart, and through a gradient reversal the features learn to prevent it. The classifier C is a constant in
this term. ``jacobian`` adds the squared Jacobian of the source logits with respect to the features. Gao et al. 2021
(ICCV, "Gradient Distribution Alignment Certificates Better Adversarial Domain Adaptation").

The authors' discriminator has BatchNorm and dropout; this one has neither, and sees the gradients in their own scale,
which is small where the classifier is sure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Objective, Step


class Config(MemberConfig):
    """Parameters of ``fgda``. At weights of 0 nothing is done.

    Attributes:
        weight: of the reversed gradient at the end of the schedule; 1 in the authors' code.
        gamma: steepness of the schedule from 0 to ``weight``; 5: the .5 of the authors' code halves the speed of the
            usual schedule of 10, not its end.
        hidden: units in each of the discriminator's two hidden layers; 1024 in the authors' code.
        pseudo_labels: what the classifier predicts at each step, or before each epoch the class of the nearest centroid
            of the target's features (SHOT's). The authors' code goes from the one to the other.
        jacobian: weight of the Jacobian; 0, its default in the authors' code, leaves it out.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    gamma: PositiveFloat = 5.0
    hidden: PositiveInt = 256
    pseudo_labels: Literal["predicted", "clustered"] = "predicted"
    jacobian: NonNegativeFloat = 0.0
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The loss of a discriminator of feature gradients, through a gradient reversal, and the Jacobian's term."""
    from trainables.adversarial import discriminator, schedule
    from trainables.gradients import feature_gradients, jacobian_term
    from trainables.losses import domain_adversarial
    from trainables.objective import Objective

    terms = {"fgda_jacobian": jacobian_term(config.jacobian)} if config.jacobian else {}
    if not config.weight:
        return Objective(terms=terms) if terms else None
    module = discriminator(detector.feature_dim, config.hidden, context.seed, "gradient discriminator")
    clusters = _Clusters(data, context) if config.pseudo_labels == "clustered" else None

    def alignment(step: Step) -> Tensor:
        labels = step.target_logits.argmax(dim=1) if clusters is None else clusters.labels[step.target_index]
        source = feature_gradients(step.detector, step.features, step.labels)
        target = feature_gradients(step.detector, step.target_features, labels)
        strength = config.weight * schedule(step.progress, config.gamma)
        loss, accuracy = domain_adversarial(module, source, target, strength)
        step.figures["gradient_discriminator_accuracy"] = accuracy
        return loss

    return Objective(
        terms={"fgda": alignment, **terms},
        modules={"gradient_discriminator": module},
        before_epoch=() if clusters is None else (clusters.find,),
    )


@dataclass
class _Clusters:
    """Pseudo-labels of the whole target by the nearest centroid, as of the beginning of the epoch."""

    data: AdaptationData
    context: Context
    labels: Tensor = field(init=False)

    def find(self, detector: Detector, epoch: int) -> Mapping[str, float]:
        """The labels anew; the share of fakes among them, and the share in which they agree with the classifier."""
        import torch

        from trainables.pseudo import centroid_labels, predict

        predicted = predict(detector, self.data.target.pixels, self.context)
        labels = centroid_labels(predicted.features, predicted.probs)
        self.labels = torch.from_numpy(labels).to(self.context.device)
        agree = float((labels == predicted.labels).mean())
        return {"clustered_fake": float((labels > 0).mean()), "clustered_agreement": agree}


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the domain loss of the feature gradients.

    The curves carry the accuracy of the discriminator of gradients: at .5 it cannot tell the domains.
    """
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)
