"""The classifier that weights come with, as a detector's head: the detector is then the one that somebody has trained.

Weights to start from have theirs dropped; here it is kept. Shapes: D features, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trainables.backbones.names import classifier
from trainables.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector


def keep_classifier(detector: Detector, found: Mapping[str, Tensor], name: str, where: str) -> None:
    """Write the classifier among a network's weights into the detector's head.

    One output z is the log odds of fake: the logits become -z/2 and z/2, so that P(fake) = 1 / (1 + exp(-z)). Of as
    many outputs as the detector has, the first is real and the others are fake.

    Args:
        found: all of the weights, by the network's own names.
        name: of the network.
        where: they come from.

    Raises:
        InputError: there is no classifier among them, it is no affine map of the detector's features, or it has other
            outputs: the names and shapes that were found are listed; or the head is not linear.
    """
    from torch import nn

    from trainables.solving import write_head

    if not isinstance(detector.head, nn.Linear):
        fix = "write `head: linear`, or leave it out"
        raise InputError("the classifier of these weights is one linear layer", where="head", fix=fix)
    own = _own(found, classifier(name))
    weight, bias = _affine(own, name, detector.feature_dim, where)
    if len(weight) == 1:
        write_head(detector, weight[0].double().numpy(), float(bias[0]))
    elif len(weight) == detector.classes:
        detector.head.load_state_dict({"weight": weight, "bias": bias})
    else:
        fix = f"a detector's has one output, the log odds of fake, or {detector.classes}, of which the first is real"
        problem = f"a classifier of {len(weight)} outputs does not tell real from fake"
        raise InputError(problem, where=where, value=_shapes(own), fix=fix)


def _own(found: Mapping[str, Tensor], path: str | None) -> dict[str, Tensor]:
    """The classifier's tensors among a network's."""
    return {key: tensor for key, tensor in found.items() if path is not None and key.startswith(f"{path}.")}


def _affine(own: Mapping[str, Tensor], name: str, features: int, where: str) -> tuple[Tensor, Tensor]:
    """The classifier's weight, (K, D), and bias, (K,); some of timm's are convolutions of 1x1."""
    path = classifier(name)
    if own.keys() == {f"{path}.weight", f"{path}.bias"}:
        weight, bias = own[f"{path}.weight"].flatten(1), own[f"{path}.bias"]
        if weight.shape == (len(bias), features):
            return weight, bias
    fix = f"call its tensors {path}.weight and {path}.bias, if nothing but dropout is before it" if path else None
    problem = f"these weights have no classifier that is one affine map of {name}'s {features} features"
    raise InputError(problem, where=where, value=_shapes(own) or f"no {path or 'classifier'}", fix=fix)


def _shapes(own: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{key} {tuple(tensor.shape)}" for key, tensor in own.items())
