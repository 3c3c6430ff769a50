"""Going back to where a training started when it is about to collapse: SAR's model recovery.

Niu et al. 2023 (arXiv 2302.12400), section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trainables.contract import Context
from trainables.detector import Detector

MEMORY = 0.9
"""Weight of the past in the moving average of the loss."""


class Recovery(nn.Module):
    """Puts parameters back to their start when a moving average of the loss falls below a floor.

    What the optimiser remembers of them is forgotten too: its momentum led to the collapse.

    Args:
        parameters: held, not owned.
        floor: nats; an entropy below it on average is taken for collapse.
        context: the workers must go back together, so they watch one loss.
    """

    average: Tensor
    latest: Tensor
    returns: Tensor

    def __init__(self, parameters: Sequence[nn.Parameter], floor: float, context: Context) -> None:
        super().__init__()
        self._held = tuple(parameters)  # in a tuple, so that they are not trained twice
        self._context = context
        self.floor = floor
        for name, value in (("average", torch.nan), ("latest", torch.nan), ("returns", 0.0)):
            self.register_buffer(name, torch.tensor(value))
        self._names = [f"start{number}" for number in range(len(self._held))]
        for name, parameter in zip(self._names, self._held, strict=True):
            self.register_buffer(name, parameter.detach().clone())

    @torch.no_grad()
    def see(self, loss: Tensor) -> None:
        """Remember the loss of the present step; not a number: nothing to be learnt from it."""
        self.latest.copy_(loss.detach())

    @torch.no_grad()
    def after_step(self, _: Detector, optimiser: torch.optim.Optimizer) -> None:
        """Update the average, and go back if it is below the floor; with one worker nothing waits for the device."""
        latest = self._agreed()
        kept = torch.where(latest.isnan(), self.average, MEMORY * self.average + (1 - MEMORY) * latest)
        self.average.copy_(torch.where(self.average.isnan(), latest, kept))
        back = self.average < self.floor
        for name, parameter in zip(self._names, self._held, strict=True):
            parameter.copy_(torch.where(back, self.get_buffer(name), parameter))
            for remembered in optimiser.state.get(parameter, {}).values():
                # All of SGD's and Adam's memory, the count of steps too, is 0 before the first step.
                if isinstance(remembered, Tensor):
                    remembered.masked_fill_(back, 0)
        self.average.masked_fill_(back, torch.nan)
        self.returns.add_(back)

    def _agreed(self) -> Tensor:
        """The mean over the workers that had something to learn from."""
        if self._context.world_size == 1:
            return self.latest
        found = self._context.gather(self.latest.cpu().numpy()[None])
        known = found[~np.isnan(found)]
        return self.latest.new_tensor(known.mean() if len(known) else np.nan)
