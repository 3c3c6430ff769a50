"""Search spaces: of a member (``search_spaces/``), or of the study's own, over the fields of the member's Config.

A space is plain JSON by the parameter's dotted name: ``{"low", "high", "log", "step", "integer"}``, or ``{"choices"}``.
In that form it is part of the tuning's id, and a trial needs nothing else to ask for its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn

from pydantic import ValidationError

import search_spaces
from orchestrator.study.inputs import input_files
from orchestrator.study.tuning import Interval, Tuning
from search_spaces import Trial
from trainables.contract import EVERY_KEY, Config
from trainables.errors import InputError, nearest
from trainables.registry import ADAPTATIONS, DETECTORS, Entry

IDENTITY = "identity"
"""Trait of a method that does nothing, with whatever parameters."""
OUTSIDE = "outside"
"""Trait of a detector that is known by its scores alone."""
_ALIKE = "all trials read the same images and files, and are made of the same detectors"


def described(kind: str, config: Config, tuning: Tuning) -> dict[str, Any]:
    """The space as plain JSON, for the tuning's id: the intervals and choices of every parameter by its dotted name.

    Args:
        kind: registry name of a detector or an adaptation.
        config: its parameters, from which the search starts.

    Raises:
        InputError: the member has no space, or no such parameter.
    """
    if tuning.space is None:
        return recorded(search_spaces.find_space(kind))
    return {name: _interval(config, name, interval) for name, interval in tuning.space.items()}


def suggestion(kind: str, base: Mapping[str, Any], space: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    """The parameters that a trial asks for: those of the base, with the trial's in place of what the space names.

    Args:
        base: every default written out, files by their content.
        space: as ``described``.

    Returns:
        The same as ``Choice.parameters`` of a study that names these values.

    Raises:
        ValidationError: the member does not take these values together.
        InputError: with them it would read what the plan does not give it.
    """
    values = {name: _suggested(trial, name, space[name]) for name in sorted(space)}
    # The names of files' contents pass as they are: a Config does not look for the file.
    member = _entry(kind).config
    found = member.model_validate(with_values(base, values))
    if _laid_out(found) != _laid_out(member.model_validate(base)):
        raise InputError(_ALIKE, value=values)
    return found.model_dump(mode="json")


def with_values(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with other values under some dotted names; ``with.0.weight`` is in the first entry of a list."""
    found: Any = dict(base)
    for name, value in values.items():
        found = _with(found, name.split("."), value)
    changed: dict[str, Any] = found
    return changed


def check_space(kind: str, config: Config, tuning: Tuning) -> None:
    """Raise unless the member can be tuned like this.

    Raises:
        InputError: there is nothing to tune, no space, no such parameter, or the member does not take one of the
            values; ``where`` is a key of the tuning, if it is one.
    """
    if {IDENTITY, OUTSIDE} & _entry(kind).traits or config.ready or not type(config).model_fields:
        raise InputError("this member has nothing to tune", value=kind, fix="delete `tuning:`, or write `none`")
    if tuning.space is None and kind not in search_spaces.names():
        fix = "add `space:` to its `tuning`, such as {recipe.learning_rate: {low: 1e-4, high: 1e-2, log: true}}"
        raise InputError("this member has no search space of its own", value=kind, fix=fix)
    for name, each in described(kind, config, tuning).items():
        for value in each["choices"] if "choices" in each else (each["low"], each["high"]):
            if (refusal := _refusal(config, name, value)) is not None:
                raise InputError(f"{kind} does not take this value", where=f"space.{name}", value=value, fix=refusal)


def recorded(space: search_spaces.Space) -> dict[str, Any]:
    """What a member's own space asks for, as plain JSON."""
    found = {}
    for name, value in _places(space(_Recorder())):
        if isinstance(value, _Asked):
            found[name] = value.description
        elif not isinstance(value, Mapping):
            found[name] = {"choices": [value]}
    return found


class _Asked:
    """What a member's space asks for, in place of a value: it can be handed on, and that is all."""

    def __init__(self, **description: Any) -> None:
        self.description = description

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("a space asks for the same parameters in every trial: no conditions, nothing computed")

    __bool__ = __float__ = __int__ = __add__ = __mul__ = __lt__ = __gt__ = _refuse
    __eq__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class _Recorder:
    """A trial that notes what is asked of it."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        return _Asked(low=float(low), high=float(high), log=log, step=step, integer=False)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        return _Asked(low=low, high=high, log=log, step=step, integer=True)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return _Asked(choices=list(choices))


def _interval(config: Config, name: str, interval: Interval) -> dict[str, Any]:
    names = [place for place, _ in _places(config.model_dump(mode="json", context=EVERY_KEY))]
    if name not in names:
        raise InputError("the member has no such parameter", where=f"space.{name}", fix=nearest(name, names))
    if interval.choices:
        return {"choices": list(interval.choices)}
    low, high, step = interval.low, interval.high, interval.step
    assert low is not None
    assert high is not None
    if step is not None:  # Optuna wants the last value that is reached
        high = float(
            Decimal(str(low)) + (Decimal(str(high)) - Decimal(str(low))) // Decimal(str(step)) * Decimal(str(step))
        )
    if not _is_whole(config, name, low, high):
        return {"low": low, "high": high, "log": interval.log, "step": step, "integer": False}
    if step is not None and step != int(step):
        raise InputError("a parameter of whole numbers has whole steps", where=f"space.{name}", value=step)
    return {"low": int(low), "high": int(high), "log": interval.log, "step": int(step or 1), "integer": True}


def _is_whole(config: Config, name: str, low: float, high: float) -> bool:
    """Whether the parameter is of whole numbers: its Config takes both ends, and nothing between two neighbours."""
    ends = low == int(low) and high == int(high) and all(_refusal(config, name, end) is None for end in (low, high))
    return ends and _refusal(config, name, low + 0.5) is not None


def _refusal(config: Config, name: str, value: Any) -> str | None:
    """Why the Config does not take this value, everything else being as it is; None where it does."""
    try:
        found = type(config).model_validate(with_values(config.model_dump(mode="json"), {name: value}))
    except ValidationError as error:
        return error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
    return None if _laid_out(found) == _laid_out(config) else _ALIKE


def _laid_out(config: Config) -> tuple[Any, ...]:
    """What of a member is part of the plan beside its parameters: there it is the same for all trials."""
    return config.specialists, config.reads_few, dict(input_files(config))


def _suggested(trial: Trial, name: str, each: Mapping[str, Any]) -> Any:
    if "choices" in each:
        return trial.suggest_categorical(name, each["choices"])
    if each["integer"]:
        return trial.suggest_int(name, each["low"], each["high"], step=each["step"], log=each["log"])
    return trial.suggest_float(name, each["low"], each["high"], step=each["step"], log=each["log"])


def _places(value: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every mapping, list and value below, with its dotted name."""
    below = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, each in below:
        yield f"{above}{key}", each
        yield from _places(each, f"{above}{key}.")


def _with(tree: Any, keys: Sequence[str], value: Any) -> Any:
    if not keys:
        return value
    first, rest = keys[0], keys[1:]
    if isinstance(tree, list):
        return [_with(each, rest, value) if str(place) == first else each for place, each in enumerate(tree)]
    return {**tree, first: _with(tree.get(first, {}), rest, value)}


def _entry(kind: str) -> Entry:
    """The registry's line of a member that trains."""
    return DETECTORS[kind] if kind in DETECTORS else ADAPTATIONS[kind]
