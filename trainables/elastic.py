"""Elastic weight consolidation: what each parameter matters to what was learnt, and what it costs to move it.

Kirkpatrick et al. 2017 (arXiv 1612.00796), equation 3.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.anchor import Anchor
from trainables.contract import Images
from trainables.detector import Detector, as_input, evaluating


def fisher(detector: Detector, images: Images, device: str) -> list[Tensor]:
    """Diagonal of the empirical Fisher information, one tensor a trained parameter, in its shape.

    ``F_i = 1/N sum_n (d log p(y_n | x_n) / d theta_i)^2``, y_n being the label of image n: not one that is drawn from
    the detector's own prediction. In evaluation mode, so that no image's gradient depends on another, and no running
    statistic moves.

    Args:
        detector: moved to the device.
        images: at least one; each goes through alone, forward and backward.
    """
    detector.to(device)
    trained = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    sums = [torch.zeros_like(parameter) for parameter in trained]
    labels = torch.from_numpy(images.labels).to(device)
    with evaluating(detector):
        for place in range(len(images)):
            alone = slice(place, place + 1)
            loss = functional.cross_entropy(detector(as_input(images.pixels[alone], device)), labels[alone])
            slopes = torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True)
            for total, slope in zip(sums, slopes, strict=True):
                total.addcmul_(slope, slope)
    return [total / len(images) for total in sums]


class Elastic(Anchor):
    """An anchor that holds some parameters more than others: ``weight / 2 * sum_i F_i (theta_i - theta_0,i)^2``.

    Args:
        parameters: held where they stand now.
        weight: of the penalty.
        importances: F, one tensor a parameter, on its device.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], weight: float, importances: Iterable[Tensor]) -> None:
        super().__init__(parameters, weight)
        self._importances = tuple(importances)

    def forward(self) -> Tensor:
        """The penalty, a scalar."""
        parts = zip(self._held, self.buffers(), self._importances, strict=True)
        costs = [(importance * (parameter - start).square()).sum() for parameter, start, importance in parts]
        return self.weight / 2 * torch.stack(costs).sum()
