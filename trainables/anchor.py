"""A penalty on leaving the place where a training started.

L2-SP: Li, Grandvalet & Davoine 2018 (arXiv 1802.01483), equation 2, with one weight for all parameters.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Anchor(nn.Module):
    """Where parameters stood when it was made: ``weight / 2 * ||theta - theta_0||^2``.

    Args:
        parameters: held, not owned: they are no parameters of this module.
        weight: of the penalty.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], weight: float) -> None:
        super().__init__()
        self._held = tuple(parameters)  # in a tuple, so that they are not trained twice
        self.weight = weight
        for number, parameter in enumerate(self._held):
            self.register_buffer(str(number), parameter.detach().clone())

    def forward(self) -> Tensor:
        """The penalty, a scalar."""
        return self.weight / 2 * self._squares()

    @torch.no_grad()
    def distance(self) -> float:
        """``||theta - theta_0||``."""
        return float(self._squares().sqrt())

    def _squares(self) -> Tensor:
        pairs = zip(self._held, self.buffers(), strict=True)
        return torch.stack([(parameter - start).square().sum() for parameter, start in pairs]).sum()
