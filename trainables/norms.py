"""Normalisation layers: their parameters, and BatchNorm's statistics: estimated anew on other images, or held still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.contract import Pixels
from trainables.detector import Detector
from trainables.score import log_odds

NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)


def of_norms(detector: Detector, kinds: tuple[type[nn.Module], ...] = NORMS) -> Iterator[nn.Parameter]:
    """Scales and shifts of the detector's normalisation layers of these kinds."""
    for layer in detector.modules():
        if isinstance(layer, kinds):
            yield from layer.parameters()


@contextmanager
def still_statistics(module: nn.Module) -> Iterator[None]:
    """Within, BatchNorm normalises as before, and its running statistics do not move.

    For a second pass over the same images, so that the statistics move once a step, with the parameters that stay.
    """
    tracking = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    for part in tracking:
        # Layers in evaluation mode go on using the statistics they have.
        part.track_running_stats = False
    try:
        yield
    finally:
        for part in tracking:
            part.track_running_stats = True


def batch_norms(detector: Detector, pixels: Pixels, device: str) -> list[_BatchNorm]:
    """The BatchNorm layers that keep statistics, in the order in which an image meets them.

    Args:
        pixels: at least one image; the first is sent through.
    """
    met: list[_BatchNorm] = []
    candidates = [m for m in detector.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    hooks = [layer.register_forward_pre_hook(lambda layer, _: met.append(layer)) for layer in candidates]
    try:
        log_odds(detector, pixels[:1], device)
    finally:
        for hook in hooks:
            hook.remove()
    return list(dict.fromkeys(met))


def estimate(detector: Detector, pixels: Pixels, device: str, before: float = 0.0) -> list[float]:
    """Replace the running statistics of every BatchNorm layer by those of these images, from the first to the last.

    Each layer's statistics are those of all its inputs over all images, with the layers before it already
    done. That costs one pass a layer, and depends neither on a batch size nor on the order of the images.

    Args:
        before: w in ``w * present + (1 - w) * new``, for means and variances.

    Returns:
        How far each layer's mean moved: the mean over its channels, in present standard deviations.
    """
    shifts = []
    for layer in batch_norms(detector, pixels, device):
        mean, variance = _statistics(layer, detector, pixels, device)
        present, spread = _running(layer)
        shifts.append(float(((mean - present).abs() / (spread + layer.eps).sqrt()).mean()))
        present.lerp_(mean, 1 - before)
        spread.lerp_(variance, 1 - before)
    return shifts


def _statistics(layer: _BatchNorm, detector: Detector, pixels: Pixels, device: str) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of every channel of the layer's input, over all images and places."""
    count = 0
    reference = _running(layer)[0]
    sums = torch.zeros(2, layer.num_features, dtype=torch.float64, device=device)

    def add(_: object, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count, sums
        # Relative to the present mean, the sum of squares loses no digits.
        values = (inputs[0].transpose(0, 1).flatten(1) - reference[:, None]).double()
        sums += torch.stack([values.sum(dim=1), values.square().sum(dim=1)])
        count += values.shape[1]

    hook = layer.register_forward_pre_hook(add)
    try:
        log_odds(detector, pixels, device)
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
