"""Sharpness-aware steps: the gradients of a step are taken a little uphill of where the parameters stand.

Foret et al. 2021 (arXiv 2010.01412); for the task loss alone, as SDAT: Rangwani et al. 2022 (arXiv 2206.08213).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def uphill(parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], rho: float) -> Iterator[None]:
    """Within, the parameters stand at distance ``rho`` along the gradient of the loss; afterwards where they stood.

    ``e = rho * g / ||g||``, the norm over all parameters together. They are restored to the last bit, and gradients
    that they already carry are left alone.

    Args:
        parameters: those that are moved.
        loss: computed once, where the parameters stand.
        rho: 0 moves nothing.
    """
    moved = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = torch.autograd.grad(loss(), moved, allow_unused=True)
    found = [(p, g) for p, g in zip(moved, gradients, strict=True) if g is not None]
    norm = torch.linalg.vector_norm(torch.stack([g.norm() for _, g in found]))
    before = [parameter.detach().clone() for parameter, _ in found]
    with torch.no_grad():
        for parameter, gradient in found:
            parameter.add_(gradient * (rho / norm.clamp_min(1e-12)))
    try:
        yield
    finally:
        with torch.no_grad():
            for (parameter, _), kept in zip(found, before, strict=True):
                parameter.copy_(kept)
