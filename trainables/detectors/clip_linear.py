"""UnivFD: CLIP's pooled features as they are, under one affine map that minimises cross-entropy.

Ojha, Li & Lee 2023 (arXiv 2302.10174), section 4.2. Their map is trained by Adam on blurred and compressed images;
here it is the optimum of the same loss with an L2 penalty, on the images as they are, whose features are computed once.
Theirs is ``{kind: open_clip/ViT-L-14-quickgelu, weights: <file>, trainable: head, recipe: {augment: cnndetection}}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveFloat

from trainables.clip import OnClip
from trainables.contract import Context, Images, Outcome
from trainables.solving import LinearHead

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnClip, LinearHead):
    """Parameters of ``clip_linear``.

    Attributes:
        head: logistic regression, which is what minimises cross-entropy.
        penalty: of the L2 penalty on the map's weights.
    """

    head: Literal["logistic"] = "logistic"
    penalty: PositiveFloat = 1.0


def build(config: Config, classes: int) -> Detector:
    """A detector with a random head on CLIP's image tower.

    Raises:
        InputError: the weights are missing, unreadable or another model's.
    """
    from trainables.heads import linear

    return config.backbone(as_is=True).frozen().detector(linear, classes)


def solve(config: Config, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """Fit the head to the source's features, and its probabilities to held-out images.

    Raises:
        InputError: there are no weights, or images of one class alone.
    """
    from trainables import solving
    from trainables.clip import check_weights

    check_weights(config)
    return solving.solve(config, detector, source, source_val, context)
