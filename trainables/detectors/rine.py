"""RINE: what a frozen network holds at every depth, weighed by layers that learn how much each one tells.

Koutlis & Papadopoulos 2024, "Leveraging representations from intermediate encoder-blocks for synthetic image
detection" (arXiv 2402.19091), there on CLIP; here on any network. Each layer's vector goes through the same projection
Q1; a softmax over layers, feature by feature, adds them up; then come Q2, whose output is the detector's features,
and a head of three affine maps. The loss is cross-entropy and, xi times, that features of one class be near each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeFloat, PositiveFloat

from trainables.architecture import OnBackbone
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Objective


class Config(OnBackbone):
    """Parameters of ``rine``.

    Attributes:
        width: features of Q1, Q2 and the head; published: 128 for training sets of two classes, 1024 of one and four.
        depth: affine maps with a ReLU in Q1, and in Q2; published: 2 or 4.
        dropout: share of features dropped before Q1, before Q2 and after every ReLU.
        contrast: xi, the weight of the contrastive loss. Both losses are means over the batch; the authors' code adds
            up the cross-entropy of 128 images, so that its .1 to .8 are .0008 to .006 of ours, and its .2 is .0016.
        temperature: of the contrastive loss.
        recipe: how Q1, the weights of layers, Q2 and the head are trained; published: 1 epoch of Adam at 1e-3.
    """

    width: int = Field(default=128, ge=2)
    depth: int = Field(default=2, ge=1, le=8)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    contrast: NonNegativeFloat = 0.0016
    temperature: PositiveFloat = 0.07
    recipe: Recipe = Recipe(batch=128)


def build(config: Config, classes: int) -> Detector:
    """A detector on a network whose weights stay as they are; layers are the network's.

    Raises:
        InputError: the weights are missing, unreadable, another network's, or learnt behind a front end.
    """
    from torch import nn

    from trainables.detector import Detector
    from trainables.importance import Importance, projection
    from trainables.intermediate import intermediate

    backbone = config.backbone(as_is=True)
    vectors = intermediate(backbone).requires_grad_(False)
    fused = Importance(vectors.widths(backbone.min_size), config.width, config.depth, config.dropout)
    width, dropout = config.width, config.dropout
    return Detector(
        front=backbone.front,
        body=nn.Sequential(vectors, fused, projection(width, width, config.depth, dropout)),
        head=nn.Sequential(projection(width, width, 2, dropout)[1:], nn.Linear(width, classes)),
        layers=backbone.layers,
        feature_dim=width,
        min_size=backbone.min_size,
        classes=classes,
    )


def objective(config: Config) -> Objective:
    """Cross-entropy and the contrastive loss of the features: what the train stage minimises."""
    from trainables.losses import supervised_contrastive
    from trainables.objective import Objective, Step, classification

    def contrast(step: Step) -> Tensor:
        return config.contrast * supervised_contrastive(step.features, step.labels, config.temperature)

    return Objective(terms={"classification": classification, "contrast": contrast})
