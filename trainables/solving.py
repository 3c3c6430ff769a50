"""Linear heads that are solved instead of trained, on features that stay as they are.

The head stays one affine map: z = w (f - mean) / std + b, with the standardisation folded into its weights. What z says
is then made a probability by Platt scaling on held-out images of the source, in the detector's ``scale`` and
``shift``: log P(fake) / P(real) = scale z + shift.

Shapes: N images, D features, C classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from trainables.contract import FAKE, Config, Context, Images, Outcome
from trainables.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trainables.detector import Detector

Kind = Literal["svm", "logistic", "ridge", "lda"]
Array = NDArray[np.float64]
Features = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]


class LinearHead(Config):
    """Parameters of a head that is solved; members whose head is one inherit them.

    Attributes:
        head: ``svm`` (squared hinge loss), ``logistic`` regression, ``ridge`` regression on labels -1 and 1, or ``lda``
            (linear discriminant analysis, covariance shrunk by Ledoit and Wolf's formula; takes no penalty, and memory
            for D x D numbers).
        penalty: weight of the L2 penalty on features scaled to mean 0 and variance 1: 1 / C of scikit-learn's SVM and
            logistic regression, alpha of its ridge regression.
        balanced: whether images of the rarer class count more, so that both classes weigh the same.
    """

    head: Kind = "svm"
    penalty: PositiveFloat = 1.0
    balanced: bool = False


def solve(config: LinearHead, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """The train stage of a detector whose head alone is learnt, and solved.

    Features of a body with weights, all frozen, are kept in the context's cache, for every head that is tried on them.

    Args:
        detector: its head is an ``nn.Linear``; that and its calibration are set, and nothing else.
        source: labelled images of both classes that the head is fitted to.
        source_val: labelled images of both classes that the calibration is fitted to; their two figures of
            probability, accuracy and loss, are of the calibration fitted to them.

    Returns:
        The figures that a fit hands back, with one epoch.

    Raises:
        InputError: the images are of one class, or the head is no linear layer.
    """
    from trainables.features import kept_features
    from trainables.fit import Fitted

    known, held_out = (kept_features(detector, part.pixels, context) for part in (source, source_val))
    write_head(detector, *fitted(config, known, source.labels))
    row = {"epoch": 1.0, **calibrate(detector, held_out, source_val)}
    context.report(row)
    return Fitted(curves=(row,), chosen=0, images=len(source)).outcome()


def fitted(head: LinearHead, features: Features, labels: Labels) -> tuple[Array, float]:
    """w (D,) and b of z = w f + b, above 0 for fake, on features as they are: the standardisation is folded in.

    Raises:
        InputError: the images are of one class.
    """
    from sklearn.preprocessing import StandardScaler

    fake = (labels >= FAKE).astype(np.int64)
    if len(np.unique(fake)) < 2:
        found = f"{int((1 - fake).sum())} real, {int(fake.sum())} fake"
        raise InputError("a head is fitted to real and fake images", value=found, fix="give it images of both classes")
    scaler = StandardScaler()
    estimator = _estimator(head).fit(scaler.fit_transform(np.asarray(features, np.float64)), fake)
    weight: Array = np.ravel(estimator.coef_) / scaler.scale_
    return weight, float(np.ravel(estimator.intercept_)[0] - weight @ scaler.mean_)


def write_head(detector: Detector, weight: Array, bias: float) -> None:
    """Make the detector's log odds of fake z = w f + b, its calibration none.

    The real logit is -z/2, every fake one ``z/2 - log(C - 1)`` for C classes: which generator made an image z does not
    say.

    Raises:
        InputError: the detector's head is no linear layer.
    """
    write_layer(_linear(detector), weight, bias, share=float(np.log(detector.classes - 1)))
    detector.scale.fill_(1)
    detector.shift.fill_(0)


def write_layer(layer: nn.Linear, weight: Array, bias: float, share: float = 0.0) -> None:
    """Make the layer's logits -z/2 of real and ``z/2 - share`` of every fake class, z = w f + b.

    A layer without a bias of its own says w f for z, and leaves the share out.
    """
    import torch

    fakes = layer.out_features - 1
    signs = torch.tensor([-0.5] + [0.5] * fakes, dtype=torch.float64)
    own: Tensor | None = layer.bias
    with torch.no_grad():
        layer.weight.copy_(signs[:, None] * torch.from_numpy(weight))
        if own is not None:
            own.copy_(signs * bias + torch.tensor([0.0] + [-share] * fakes, dtype=torch.float64))


def calibrate(detector: Detector, features: Features, images: Images) -> dict[str, float]:
    """Platt scaling of the detector on labelled images, in place of the calibration it had.

    Any head will do.

    Args:
        features: (N, D) of these images.

    Returns:
        ``val_accuracy``, ``val_auroc`` and ``val_loss`` of the images with the new calibration, each image seen whole.

    Raises:
        InputError: the images are of one class.
    """
    import torch

    from trainables.calibration import platt
    from trainables.detector import evaluating, fake_log_odds
    from trainables.held_out import figures

    given = torch.from_numpy(np.array(features, np.float32)).to(detector.scale.device)
    with evaluating(detector), torch.inference_mode():
        slope, shift = platt(detector.head(given).double().cpu().numpy(), images.labels)
        detector.scale.fill_(slope)
        detector.shift.fill_(shift)
        z: Array = fake_log_odds(detector.classify(given)).double().cpu().numpy()
    return figures(z, images)


def _estimator(head: LinearHead) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.svm import LinearSVC

    weight = "balanced" if head.balanced else None
    match head.head:
        case "svm":
            # The primal has one optimum that is reached without random numbers, whatever N and D.
            return LinearSVC(C=1 / head.penalty, class_weight=weight, dual=False, max_iter=10_000)
        case "logistic":
            return LogisticRegression(C=1 / head.penalty, class_weight=weight, max_iter=10_000)
        case "ridge":
            return RidgeClassifier(alpha=head.penalty, class_weight=weight)
        case "lda":
            priors = [0.5, 0.5] if head.balanced else None
            return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=priors)


def _linear(detector: Detector) -> nn.Linear:
    from torch import nn

    if not isinstance(detector.head, nn.Linear):
        raise InputError("a head that is solved is one linear layer", value=type(detector.head).__name__)
    return detector.head
