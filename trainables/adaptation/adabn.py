"""AdaBN: BatchNorm statistics of the target in place of the source's; no weight is trained.

Li et al. 2016 (arXiv 1603.04779); mixing with the source's statistics as in Schneider et al. 2020 (arXiv 2006.16971).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.contract import AdaptationData, Context, Outcome, Pixels
from trainables.contract import Config as MemberConfig
from trainables.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn.modules.batchnorm import _BatchNorm

    from trainables.detector import Detector


class Config(MemberConfig):
    """Parameters of ``adabn``.

    Attributes:
        source_weight: w in ``w * source + (1 - w) * target``, for means and variances.
    """

    source_weight: float = Field(default=0.0, ge=0, le=1)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Replace the running statistics of every BatchNorm layer, from the first to the last.

    Each layer's statistics are those of all its inputs over the whole target, with the layers before it already
    adapted. That costs one pass a layer, and depends neither on a batch size nor on the order of the images.

    Raises:
        InputError: the detector has no BatchNorm layer.
    """
    layers = _in_order(detector, data.target.pixels, context)
    if not layers:
        raise InputError(
            "adabn needs BatchNorm layers, and this detector has none", fix="leave adabn out for this detector"
        )
    shifts = []
    for layer in layers:
        mean, variance = _statistics(layer, detector, data.target.pixels, context)
        of_source, spread = _running(layer)
        shifts.append(float(((mean - of_source).abs() / (spread + layer.eps).sqrt()).mean()))
        of_source.lerp_(mean, 1 - config.source_weight)
        spread.lerp_(variance, 1 - config.source_weight)
    metrics = {"mean_shift": sum(shifts) / len(shifts), "mean_shift_first": shifts[0], "mean_shift_last": shifts[-1]}
    return Outcome(metrics=metrics, images=len(data.target) * len(layers))


def _in_order(detector: Detector, pixels: Pixels, context: Context) -> list[_BatchNorm]:
    """The BatchNorm layers, in the order in which an image meets them."""
    from torch.nn.modules.batchnorm import _BatchNorm

    from trainables.score import log_odds

    met: list[_BatchNorm] = []
    candidates = [m for m in detector.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    hooks = [layer.register_forward_pre_hook(lambda layer, _: met.append(layer)) for layer in candidates]
    try:
        log_odds(detector, pixels[:1], context.device)
    finally:
        for hook in hooks:
            hook.remove()
    return list(dict.fromkeys(met))


def _statistics(layer: _BatchNorm, detector: Detector, pixels: Pixels, context: Context) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of every channel of the layer's input, over all images and places."""
    import torch

    from trainables.score import log_odds

    count = 0
    reference = _running(layer)[0]
    sums = torch.zeros(2, layer.num_features, dtype=torch.float64, device=context.device)

    def add(_: object, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count, sums
        # Relative to the present mean, the sum of squares loses no digits.
        values = (inputs[0].transpose(0, 1).flatten(1) - reference[:, None]).double()
        sums += torch.stack([values.sum(dim=1), values.square().sum(dim=1)])
        count += values.shape[1]

    hook = layer.register_forward_pre_hook(add)
    try:
        log_odds(detector, pixels, context.device)
    finally:
        hook.remove()
    offset = sums[0] / count
    variance = (sums[1] - count * offset.square()) / max(count - 1, 1)
    return (reference + offset).float(), variance.clamp_min(0).float()


def _running(layer: _BatchNorm) -> tuple[Tensor, Tensor]:
    """The layer's running mean and variance, in place."""
    mean, variance = layer.running_mean, layer.running_var
    assert mean is not None
    assert variance is not None
    return mean, variance
