"""Test-time augmentation: the mean answer to an image and its mirrored and turned versions; nothing is trained.

``logits(x) = 1/V sum_v logits(g_v(x))``, the calibrated (B, C) logits over V elements g_v of the dihedral group, which
move pixels and interpolate none: other sizes or crops would change the traces that a detector looks for. The views are
part of the detector from then on, in scores, attacks and checkpoints, and cost V passes. Grad-CAM maps the evidence of
the view that is the image itself.

Averaging over flips: Krizhevsky, Sutskever & Hinton 2012 (NIPS, "ImageNet Classification with Deep Convolutional Neural
Networks"), section 4.1, there of probabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig

if TYPE_CHECKING:
    from trainables.detector import Detector

VIEWS = {"mirror": 2, "dihedral": 8}


class Config(MemberConfig):
    """Parameters of ``tta``.

    Attributes:
        views: the image and its mirror image, left and right (``mirror``), or both as they are and turned by one, two
            and three quarters (``dihedral``). A detector that was not trained on turned images may be worse at them.
    """

    views: Literal["mirror", "dihedral"] = "mirror"


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Let the detector look at its views; the target is read for the figures alone.

    The figures are ``predicted_prior_before`` and ``predicted_prior``, the shares of the target that are called fake.
    """
    from trainables.pseudo import with_prior

    before = with_prior(Outcome(), detector, data, context)
    detector.views = VIEWS[config.views]
    return with_prior(before, detector, data, context, predicted_prior_before=before.metrics["predicted_prior"])
