"""What is wrong with a study, in the user's words: file, line, key path, the value found and the fix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.study.model import Choice, Study
from orchestrator.study.source import KeyPath, Source
from trainables.errors import InputError, nearest
from trainables.registry import REGISTRIES

LONGEST_VALUE = 120


def explain(error: ValidationError, source: Source) -> InputError:
    """All problems that pydantic found, as one error for the user."""
    found = [details for details in error.errors(include_url=False) if not _echo(details)]
    problems = [_problem(details, source) for details in sorted(found, key=lambda d: source.line(d["loc"]))]
    if len(problems) == 1:
        return problems[0]
    return InputError(f"{len(problems)} problems\n\n" + "\n\n".join(map(str, problems)), where=str(source.path))


def _echo(details: ErrorDetails) -> bool:
    """Whether this only repeats another problem: a list counts as empty when none of its entries is valid."""
    return details["type"] == "too_short" and bool(details["input"])


def _problem(details: ErrorDetails, source: Source) -> InputError:
    keys: KeyPath = details["loc"]
    known = details.get("ctx", {}).get("error")
    if isinstance(known, InputError):
        deeper = tuple(known.where.split(".")) if known.where else ()
        where = source.where((*keys, *(int(k) if k.isdigit() else k for k in deeper)))
        return InputError(known.problem, where=where, value=_short(known.value), fix=known.fix)
    problem, fix = _words(details, source)
    value = None if details["type"] in ("missing", "extra_forbidden") else _short(details["input"])
    return InputError(problem, where=source.where(keys), value=value, fix=fix)


def _words(details: ErrorDetails, source: Source) -> tuple[str, str | None]:
    """Problem and fix, by pydantic's type of error."""
    found, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            return "unknown key", _place_of(str(details["loc"][-1]), _level(details["loc"][:-1], source.values))
        case "missing":
            return "this key is required", f"add `{details['loc'][-1]}:`"
        case _ if found is None:
            return "the key has no value", "give it one, or delete the line"
        case "tuple_type":
            return "must be a list", f"write [{found}]" if isinstance(found, str | int | float) else None
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a mapping of keys to values", None
        case "literal_error":
            return "not one of the choices", _choices(found, str(context.get("expected", "")))
        case "string_pattern_mismatch":
            return "not a safe name", "letters, digits, `.`, `_` and `-`, the first a letter or a digit"
        case "too_short":
            return "must not be empty", "list at least one"
        case _:
            return re.sub(r"^(Input|Value) should", "must", details["msg"]), None


def _choices(found: object, expected: str) -> str:
    return nearest(str(found), re.findall(r"'([^']*)'", expected)) if "'" in expected else f"choose from {expected}"


def _short(value: object) -> object:
    return value if len(repr(value)) <= LONGEST_VALUE else None


def _level(keys: KeyPath, values: Any) -> Mapping[str, Any]:
    """The keys that a study may have at a place, with the types of their values."""
    annotation: Any = Study
    for key in keys:
        if isinstance(key, str):
            annotation = _keys_of(annotation, values).get(key)
        values = values[key]
    return _keys_of(annotation, values)


def _keys_of(annotation: Any, values: Any = None) -> Mapping[str, Any]:
    model = _model_in(annotation)
    if model is None:
        return {}
    keys = {name: field.annotation for name, field in model.model_fields.items()}
    if issubclass(model, Choice) and keys.pop("config"):
        entry = REGISTRIES[model.room].get(str(values.get("kind"))) if isinstance(values, dict) else None
        keys.update({name: field.annotation for name, field in entry.config.model_fields.items()} if entry else {})
    return keys


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model that a type holds: ``tuple[Choice, ...]`` and ``Choice | None`` both hold ``Choice``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)


def _place_of(key: str, level: Mapping[str, Any]) -> str:
    """Where an unknown key should have been: one level down, or under a similar name."""
    below = [name for name, annotation in level.items() if key in _keys_of(annotation)]
    if below and not get_close_matches(key, level, n=1, cutoff=0.8):
        return " or ".join(f"write it under `{name}`" if name == below[0] else f"`{name}`" for name in below)
    return nearest(key, level)
