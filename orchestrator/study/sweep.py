"""``sweep:`` of a corruption: one entry of a study's file that stands for a choice at every severity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from trainables.errors import InputError
from trainables.registry import find

SWEEP = "sweep"
"""The key, in a study's file only: a study that is loaded lists every severity."""
PRESET = "preset"

T = TypeVar("T")


def expanded(entry: Any, choice: Callable[[Any], T]) -> tuple[T, ...]:
    """The choices that an entry stands for: itself, or one for each value of its ``sweep``, named ``jpeg_95``.

    Args:
        entry: of a study's list of corruptions, as it was read.
        choice: makes a choice of an entry without ``sweep``.

    Raises:
        ValidationError: an entry is not valid; a swept value is told at its place in the sweep.
        InputError: the sweep itself is not; ``where`` is a key of the entry.
    """
    if not isinstance(entry, Mapping) or SWEEP not in entry:
        return (choice(entry),)
    parameter, values = _severities(entry)
    shared = {key: value for key, value in entry.items() if key != SWEEP}
    prefix = entry.get("name", entry["kind"])
    found: list[T] = []
    problems: dict[tuple[Any, ...], InitErrorDetails] = {}
    for place, value in enumerate(values):
        try:
            found.append(choice({**shared, parameter: value, "name": f"{prefix}_{value:.10g}"}))
        except ValidationError as error:
            problems = {_key(problem): problem for problem in _placed(error, parameter, place)} | problems
    if problems:
        raise ValidationError.from_exception_data(SWEEP, list(problems.values()))
    return tuple(found)


def _severities(entry: Mapping[str, Any]) -> tuple[str, Sequence[float]]:
    """The parameter that a sweep changes, and its values."""
    kind, asked = entry.get("kind"), entry[SWEEP]
    if not isinstance(kind, str):
        raise InputError("the mapping has no `kind`", value=dict(entry), fix="add `kind: <name>`: `orchestrator list`")
    member: Any = find("corruptions", kind).load()
    parameter: str = member.SEVERITY
    if not parameter:
        raise InputError("it has no severity to sweep", where=SWEEP, value=kind, fix="delete `sweep:`")
    if parameter in entry:
        raise InputError("the sweep sets this key", where=parameter, value=entry[parameter], fix="delete one of both")
    if asked == PRESET:
        return parameter, member.PRESET
    if not isinstance(asked, list | tuple) or not asked:
        fix = f"for example `{PRESET}`, which is {list(member.PRESET)}"
        raise InputError(f"must be `{PRESET}` or a list of values of `{parameter}`", where=SWEEP, value=asked, fix=fix)
    for place, value in enumerate(asked):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError("must be a number", where=f"{SWEEP}.{place}", value=value, fix=f"a value of `{parameter}`")
    return parameter, asked


def _placed(error: ValidationError, parameter: str, place: int) -> Iterator[InitErrorDetails]:
    """What is wrong with a swept entry, where the file has it: a value in the sweep, any other key where it stands."""
    for details in error.errors(include_url=False):
        loc = details["loc"]
        placed = InitErrorDetails(type=details["type"], loc=loc, input=details["input"], ctx=details.get("ctx", {}))
        if loc[:1] == (parameter,):
            placed["loc"] = (SWEEP, place, *loc[1:])
        yield placed


def _key(problem: InitErrorDetails) -> tuple[Any, ...]:
    # An error in a key that all values share is told once.
    return (*problem["loc"], str(problem["type"]))
