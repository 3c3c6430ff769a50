"""Several fits one after the other as one stage: each goes on from the detector that the last one left.

A round may choose images by what the detector has become, and train on them. The stage can be interrupted anywhere: it
goes on from its last saved state, within a round or between two, to the same last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.contract import Context, Outcome, Precision
from trainables.detector import Detector
from trainables.saving import Saving
from trainables.seeding import generator
from trainables.selection.rule import Rule

Carried = Mapping[str, Any]
"""What a method carries from round to round: a tree of tensors, numbers and strings."""

Turn = Callable[[int, Carried, Context], "tuple[Carried, Outcome] | None"]
"""A round: its number from 0, what is carried, and a context of its own, to what is carried on and how it went.

None where there is no such round. All it does is a function of these and of the detector as the last round left it:
what comes before the fit is done again where the stage goes on from within the fit.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a stage is, between two rounds.

    Attributes:
        carried: what the next round goes on from.
        number: rounds that are done.
        curves: rows of all epochs, counted on from round to round.
        metrics: of the last round that trained.
        images: how many passed through the model in training.
    """

    carried: Carried
    number: int = 0
    curves: tuple[Mapping[str, float], ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    images: int = 0

    def after(self, carried: Carried, outcome: Outcome) -> Standing:
        """With one more round."""
        rows = tuple(self.numbered(row) for row in outcome.curves)
        return Standing(
            carried=carried,
            number=self.number + 1,
            curves=(*self.curves, *rows),
            metrics=self.numbered(outcome.metrics) if outcome.metrics else self.metrics,
            images=self.images + outcome.images,
        )

    def numbered(self, row: Mapping[str, float]) -> dict[str, float]:
        """A row of this round's fit as a row of the stage."""
        epoch = {"epoch": row["epoch"] + len(self.curves)} if "epoch" in row else {}
        return {**row, "round": self.number + 1.0, **epoch}

    def outcome(self) -> Outcome:
        """As a stage hands it back."""
        return Outcome(metrics=self.metrics, curves=self.curves, images=self.images)

    def state(self, detector: Mapping[str, Tensor], fit: Any | None = None) -> dict[str, Any]:
        """What is saved: this, the detector between the rounds, and the state of the fit within the next one."""
        standing = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"standing": standing, "detector": dict(detector), "fit": fit}


class RoundContext:
    """The context of one round: the stage's, with a seed of its own and the state of its own fit.

    Args:
        outer: the stage's.
        standing: before this round.
        detector: its weights before this round.
        fit: the state that this round's fit goes on from.
    """

    def __init__(self, outer: Context, standing: Standing, detector: Mapping[str, Tensor], fit: Any | None) -> None:
        self.device: str = outer.device
        self.rank: int = outer.rank
        self.world_size: int = outer.world_size
        self.folder: Path = outer.folder
        self.accumulate: int = outer.accumulate
        self.precision: Precision = outer.precision
        self.cache: Path | None = outer.cache
        self.seed: int = int(generator(outer.seed, "round", standing.number).integers(2**62))
        self._outer, self._standing, self._detector, self._fit = outer, standing, detector, fit

    def prepare(self, module: nn.Module) -> nn.Module:
        """As the stage's."""
        return self._outer.prepare(module)

    def report(self, row: Mapping[str, float]) -> None:
        """The row, with the round's number and the epoch counted on from the rounds before."""
        self._outer.report(self._standing.numbered(row))

    def watch(self, detector: Detector) -> Mapping[str, float]:
        """As the stage's: the epochs of all rounds follow each other."""
        return self._outer.watch(detector)

    @property
    def rule(self) -> Rule:
        """As the stage's: each round keeps the epoch that is best by it."""
        return self._outer.rule

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """As the stage's."""
        return self._outer.gather(values)

    def save_state(self, state: Any) -> None:
        """Keep the fit's state within that of the stage."""
        self._outer.save_state(self._standing.state(self._detector, state))

    def load_state(self) -> Any | None:
        """The state that this round's fit was in when the stage was interrupted."""
        return self._fit


def in_rounds(detector: Detector, context: Context, carried: Carried, turn: Turn) -> Standing:
    """Take turns until there is none left.

    Args:
        detector: changed in place, round by round.
        carried: into the first round.
        turn: trains the detector at most once, by ``fit`` with the context it is given.
    """
    standing, fit = _resume(detector, context, Standing(carried=carried))
    saving = Saving()
    while True:
        before = _weights(detector)
        done = turn(standing.number, standing.carried, RoundContext(context, standing, before, fit))
        if done is None:
            return standing
        standing, fit = standing.after(*done), None
        saving.now_and_then(partial(_save, standing, detector, context))


def _save(standing: Standing, detector: Detector, context: Context) -> None:
    context.save_state(standing.state(_weights(detector)))


def _resume(detector: Detector, context: Context, start: Standing) -> tuple[Standing, Any | None]:
    state = context.load_state()
    if state is None:
        return start, None
    detector.load_state_dict(state["detector"])
    return replace(start, **state["standing"]), state["fit"]


def _weights(detector: Detector) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in detector.state_dict().items()}
