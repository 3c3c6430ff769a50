"""Gradients with respect to features as something that can itself be aligned or kept small."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from trainables.detector import Detector
from trainables.losses import jacobian_regularisation
from trainables.norms import still_statistics
from trainables.objective import Step, Term


class _Classifier(nn.Module):
    """A detector from its features on."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, features: Tensor) -> Tensor:
        return self.detector.classify(features)


def classify_as_constant(detector: Detector, features: Tensor) -> Tensor:
    """(B, D) features to (B, C) logits of the detector's classifier as it is now.

    The logits give gradients to the features and none to the classifier's parameters, of first or second order;
    the classifier's buffers do not change.
    """
    own = {f"detector.head.{name}": value.detach() for name, value in detector.head.named_parameters()}
    kept = {f"detector.head.{name}": value.clone() for name, value in detector.head.named_buffers()}
    logits: Tensor = functional_call(_Classifier(detector), own | kept, (features,))
    return logits


def feature_gradients(detector: Detector, features: Tensor, labels: Tensor) -> Tensor:
    """(B, D) gradients of each image's cross-entropy with respect to its features; they can be differentiated again.

    For a linear classifier W: ``(softmax(z) - onehot(y)) W``.

    Args:
        features, labels: (B, D) and (B,).
    """
    features = _as_variable(features)
    loss = functional.cross_entropy(classify_as_constant(detector, features), labels, reduction="sum")
    (gradients,) = torch.autograd.grad(loss, features, create_graph=True)
    return gradients


def jacobian_term(weight: float, projections: int = 1) -> Term:
    """The term ``weight * ||dz/df||_F^2`` of the labelled images, logits z by features f."""

    def term(step: Step) -> Tensor:
        # Classified again: the step's logits come from source and target together.
        features = _as_variable(step.features)
        with still_statistics(step.detector):
            logits = step.detector.classify(features)
        return weight * jacobian_regularisation(logits, features, projections)

    return term


def _as_variable(features: Tensor) -> Tensor:
    """The features, or where nothing before them is trained, a copy that can be differentiated by."""
    return features if features.requires_grad else features.detach().requires_grad_()
