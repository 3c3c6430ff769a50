"""What is wrong with a study, in the user's words: file, line, key path, the value found and the fix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.study.checks import SLUG
from orchestrator.study.choice import Choice
from orchestrator.study.model import Study
from orchestrator.study.source import KeyPath, Source
from trainables.composing import Part
from trainables.errors import InputError, nearest
from trainables.registry import REGISTRIES

LONGEST_VALUE = 120
MOVED = {"image": "preprocess:"}
"""Keys of earlier versions, and what is written today."""


def explain(error: ValidationError, source: Source) -> InputError:
    """All problems that pydantic found, as one error for the user."""
    found = [details for details in error.errors(include_url=False) if not _echo(details)]
    problems = [_problem(details, source) for details in sorted(found, key=lambda d: source.line(d["loc"]))]
    if len(problems) == 1:
        return problems[0]
    return InputError(f"{len(problems)} problems\n\n" + "\n\n".join(map(str, problems)), where=str(source.path))


def _echo(details: ErrorDetails) -> bool:
    """Whether this only repeats another problem: a list counts as too short when too few of its entries are valid."""
    return details["type"] == "too_short" and details["ctx"]["actual_length"] < len(details["input"])


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
            *above, key = source.written(details["loc"])
            return "unknown key", _place_of(str(key), _level(above, source.values))
        case "missing":
            return "this key is required", f"add `{details['loc'][-1]}:`"
        case _ if found is None:
            return "the key has no value", "give it one, or delete the line"
        case "tuple_type":
            return "must be a list", f"write [{found}]" if isinstance(found, str | int | float) else None
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            return "must be a mapping of keys to values", _keys_fix(
                _level(source.written(details["loc"]), source.values)
            )
        case "literal_error" | "enum":
            return "not one of the choices", _choices(found, str(context.get("expected", "")))
        case "union_tag_invalid":
            return f"unknown {context['discriminator']}", _choices(context["tag"], context["expected_tags"])
        case "union_tag_not_found":
            return f"the mapping has no {context['discriminator']}", None
        case "string_pattern_mismatch" if context["pattern"] == SLUG:
            return "not a safe name", "letters, digits, `.`, `_` and `-`, the first a letter or a digit"
        case "too_short" if context["min_length"] > 1:
            return "too few", f"list at least {context['min_length']}"
        case "too_short":
            return "must not be empty", "list at least one"
        case _:
            return re.sub(r"^(Input|Value|String) should", "must", details["msg"]), None


def _keys_fix(level: Mapping[str, Any]) -> str | None:
    return f"its keys are {', '.join(level)}" if level else None


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
    keys = _fields(model)
    if issubclass(model, Choice | Part) and keys.pop("config"):
        entry = REGISTRIES[model.room].get(str(values.get("kind"))) if isinstance(values, dict) else None
        keys.update(_fields(entry.config) if entry else {})
        keys.update(dict.fromkeys(model.only_in_file))
        keys = {name: keys[name] for name in keys if name not in model.elsewhere}
    return keys


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """The keys of a model as a file has them, with the types of their values."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model that a type holds: ``tuple[Choice, ...]`` and ``Choice | None`` both hold ``Choice``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)


def _place_of(key: str, level: Mapping[str, Any]) -> str:
    """Where an unknown key should have been: one level down, or under a similar name."""
    if key in MOVED:
        return f"write `{MOVED[key]}` at the top of the study"
    if key in Study.model_fields and key not in level:
        return f"write `{key}` at the top of the study, not here"
    below = [name for name, annotation in level.items() if key in _keys_of(annotation)]
    if below and not get_close_matches(key, level, n=1, cutoff=0.8):
        return " or ".join(f"write it under `{name}`" if name == below[0] else f"`{name}`" for name in below)
    return nearest(key, level)
