"""Which of a detector's parameters a training may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def only(module: nn.Module, trained: Iterable[nn.Parameter] | None) -> Iterator[None]:
    """Within, these parameters of the module alone want gradients; afterwards each as before.

    Args:
        trained: all of the module's if not given.
    """
    wanted = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    if trained is not None:
        chosen = {id(parameter) for parameter in trained}
        for parameter, _ in wanted:
            parameter.requires_grad_(id(parameter) in chosen)
    try:
        yield
    finally:
        for parameter, before in wanted:
            parameter.requires_grad_(before)


def train_mode(module: nn.Module) -> None:
    """Training mode, but for parts none of whose parameters are trained: their statistics and dropout stand still."""
    module.train()
    for part in module.modules():
        parameters = list(part.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            part.eval()
