"""What is kept of a fit, so that one which was interrupted goes on from there, and how often."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.contract import Context


class Saving:
    """Saves often enough to lose little, and seldom enough to cost little: a tenth of the time at the most."""

    SHARE = 0.1

    def __init__(self) -> None:
        self._last = -math.inf
        self._cost = 0.0

    def now_and_then(self, save: Callable[[], None]) -> None:
        """Save, unless it was done so lately that its cost would be felt."""
        started = time.perf_counter()
        if started - self._last < self._cost / self.SHARE:
            return
        save()
        self._last = time.perf_counter()
        self._cost = self._last - started


@dataclass(frozen=True, slots=True, kw_only=True)
class FitState:
    """A fit between two epochs: what moves in it, and where it is kept.

    Attributes:
        step: the detector, and what is trained or kept with it.
        context: keeps the state.
    """

    step: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    context: Context

    def save(self, curves: list[dict[str, float]], best: Mapping[str, Tensor]) -> None:
        """Keep it, with the rows of the epochs so far and the weights of the best of them."""
        optimiser, scaler = self.optimiser.state_dict(), self.scaler.state_dict()
        trained = {"model": self.step.state_dict(), "optimiser": optimiser, "scaler": scaler}
        self.context.save_state({**trained, "curves": curves, "best": best})

    def resume(self) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
        """Go on from what is kept; the rows so far and the best weights, both empty where nothing is."""
        state = self.context.load_state()
        if state is None:
            return [], {}
        self.step.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for parameter, kept in self.optimiser.state.items():
            # A state is kept row by row; a fused step wants moments to lie in memory as their parameters do.
            kept.update({name: _laid_out_as(parameter, value) for name, value in kept.items()})
        self.scaler.load_state_dict(state["scaler"])
        return state["curves"], state["best"]


def _laid_out_as(parameter: Tensor, value: Any) -> Any:
    same = isinstance(value, Tensor) and value.shape == parameter.shape
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value) if same else value
