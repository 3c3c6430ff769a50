"""Which of a detector's parameters a training may change, and parameters given up for new ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

from trainables.detector import Detector
from trainables.errors import InputError
from trainables.seeding import seeded


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


def renew(detector: Detector, seed: int) -> None:
    """New random weights in place, from the seed alone, and no calibration; fixed filters stay.

    Every layer draws its weights as torch does by default, whatever its builder made of them afterwards.

    Raises:
        InputError: a layer with weights has no ``reset_parameters``.
    """
    with seeded(seed, "fresh"):
        for part in to_renew(detector):
            part.reset_parameters()  # type: ignore[operator]
    detector.scale.fill_(1)
    detector.shift.fill_(0)


def to_renew(detector: Detector) -> list[nn.Module]:
    """The layers with weights of their own that are trained, and those with running statistics.

    Raises:
        InputError: a layer with weights has no ``reset_parameters``.
    """
    owners = []
    for name, part in detector.named_modules():
        trained = any(parameter.requires_grad for parameter in part.parameters(recurse=False))
        if trained and not hasattr(part, "reset_parameters"):
            problem = f"`{name}`, a {type(part).__name__}, cannot be given new random weights"
            fix = "train this detector on from the weights it has (`final: continue`)"
            raise InputError(problem, fix=fix)
        # Statistics alone, of a layer without scales; those of a layer that is frozen belong to its weights.
        bare = hasattr(part, "running_mean") and not list(part.parameters(recurse=False))
        if trained or bare:
            owners.append(part)
    return owners
