"""What a study says of tuning: how many trials of a member's parameters, judged by what, in which space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from trainables.contract import Config
from trainables.errors import InputError, nearest
from trainables.registry import SELECTIONS

SOURCE_VAL = "source_val"
DATABASES = ("postgresql", "mysql", "sqlite")
"""Of those that Optuna speaks to, by the beginning of their addresses."""


def known_rule(name: Any) -> Any:
    """A rule of selection.

    Raises:
        InputError: there is none of this name; the message gives the nearest.
    """
    if not isinstance(name, str) or name not in SELECTIONS:
        raise InputError("no such rule of selection", value=name, fix=nearest(str(name), SELECTIONS))
    return name


RuleName = Annotated[str, BeforeValidator(known_rule)]
"""A line of ``registry.SELECTIONS``."""


def trials_address(uri: str | None) -> str | None:
    """An address that Optuna takes: a database, not a tracking server."""
    if uri is not None and not uri.startswith(DATABASES):
        fix = f"write {' or '.join(f'{name}://…' for name in DATABASES)}; or leave it out, for a file in the storage"
        raise InputError("trials are kept in a database", value=uri.partition("@")[2] or uri, fix=fix)
    return uri


class Interval(Config):
    """The values that one parameter may take in trials.

    Attributes:
        low, high: both within it; whole numbers for a parameter that is one.
        log: tried evenly on a logarithmic scale.
        step: between two values.
        choices: these values, and no others; instead of an interval.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = Field(default=None, gt=0)
    choices: tuple[bool | int | float | str, ...] = ()

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Interval:
        if bool(self.choices) == (self.low is not None and self.high is not None):
            raise InputError("needs `low` and `high`, or `choices`", value=self.model_dump(exclude_defaults=True))
        if self.choices and (self.low is not None or self.high is not None or self.log or self.step):
            raise InputError("`choices` stand alone", value=list(self.choices), fix="delete the other keys")
        if self.low is not None and self.high is not None:
            if not self.low < self.high:
                raise InputError("`low` must be below `high`", value=[self.low, self.high])
            if self.log and (self.low <= 0 or self.step):
                raise InputError("a logarithmic scale starts above 0, and has no `step`", value=self.low)
        return self


class Tuning(Config):
    """A search for a member's parameters, by Optuna.

    Attributes:
        trials: how many sets of parameters are tried; those that fail count.
        objective: the rule that judges a trial; the study's first ``selection`` if not given, and no other, so that
            no table holds figures that different rules chose. Of a detector it is ``source_val``: it has no target.
        scheduler: ``asha`` stops a trial early that is behind others of the same search; ``none`` trains all of them.
        sampler: ``tpe`` learns from the trials before; ``random`` and ``qmc`` (evenly spread) do not.
        space: the values of each parameter by its dotted name, ``recipe.learning_rate: {low: 1e-4, high: 1e-2,
            log: true}``; the member's own (``orchestrator list spaces``) if not given.
    """

    trials: PositiveInt = 20
    objective: RuleName | None = None
    scheduler: Literal["none", "asha"] = "none"
    sampler: Literal["tpe", "random", "qmc"] = "tpe"
    space: Annotated[Mapping[str, Interval], Field(min_length=1)] | None = None
