"""What a study can name: the registry, and the search spaces, with parameters and defaults where there are any."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import search_spaces
from orchestrator.show import table
from orchestrator.study.spaces import recorded
from trainables.errors import InputError, nearest
from trainables.registry import REGISTRIES, Entry


def members(room: str) -> list[dict[str, Any]]:
    """What may be named in a study: each member of a room with its summary and parameters."""
    if room == "spaces":
        return list(_spaces())
    return [
        {
            "name": name,
            "summary": entry.summary,
            "version": entry.version,
            "traits": sorted(entry.traits),
            "parameters": _parameters_of(entry),
        }
        for name, entry in REGISTRIES[room].items()
    ]


def members_text(room: str) -> str:
    """The members of a room for a reader: a line each, and under it its parameters with their defaults.

    What all that train have in common, the recipe, is told once; a member's own lines say where its defaults differ.
    Members of which none has parameters are lines one under the other.
    """
    described = members(room)
    blocks = [_block(f"{member['name']}: {member['summary']}", _own(member)) for member in described]
    if any(_recipes(member.get("parameters", {})) for member in described):
        blocks.append(
            _block("recipe: of every member that trains, with the defaults of those that name no other", _recipe())
        )
    between = "\n\n" if any(member.get("parameters") for member in described) else "\n"
    return between.join(blocks) if blocks else f"there are no {room} yet"


def member_text(room: str, name: str, width: int = 100) -> str:
    """One member for a reader: what it is and where it comes from, and all that is known of each parameter.

    Args:
        width: characters of a line.

    Raises:
        InputError: the room has no member of this name.
    """
    described = {member["name"]: member for member in members(room)}
    if name not in described:
        raise InputError(f"unknown name in {room}", value=name, fix=nearest(name, described))
    member = described[name]
    paragraphs = [f"{name}: {member['summary']}", *_paragraphs(room, name, width)]
    parameters = [_parameter_text(key, value, width) for key, value in member.get("parameters", {}).items()]
    return "\n\n".join([*paragraphs, *(["\n".join(parameters)] if parameters else [])])


def _paragraphs(room: str, name: str, width: int) -> Iterator[str]:
    """What the member's module says of it; lists and blocks keep their lines."""
    module = f"search_spaces.{name}" if room == "spaces" else REGISTRIES[room][name].module
    doc = inspect.cleandoc(importlib.import_module(module).__doc__ or "").replace("``", "`")
    for paragraph in doc.split("\n\n"):
        own_lines = any(line.startswith((" ", "- ", "|")) for line in paragraph.splitlines())
        yield paragraph if own_lines else textwrap.fill(paragraph, width)


def _parameter_text(name: str, parameter: Mapping[str, Any], width: int) -> str:
    """``name: default``, and below it the whole of what its docstring says."""
    if "range" in parameter:
        return f"  {name}: {parameter['range']}"
    about = textwrap.fill(
        parameter["about"].replace("``", "`"), width, initial_indent=" " * 6, subsequent_indent=" " * 6
    )
    return "\n".join(filter(None, [f"  {name}: {_yaml(parameter['default'])}", about]))


def _block(head: str, parameters: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (name, p["range"], "") if "range" in p else (name, _yaml(p["default"]), _clause(p["about"]))
        for name, p in parameters.items()
    ]
    return "\n".join([head, table(rows, indent="    ")] if rows else [head])


def _recipe() -> Mapping[str, Mapping[str, Any]]:
    from trainables.recipe import Recipe

    return dict(_parameters(Recipe))


def _own(member: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """A member's parameters, but for those of a recipe that have the defaults of every recipe."""
    parameters = member.get("parameters", {})
    usual = {f"{path}.{name}": each for path in _recipes(parameters) for name, each in _recipe().items()}
    return {
        name: parameter
        for name, parameter in parameters.items()
        if name not in usual or parameter["default"] != usual[name]["default"]
    }


def _recipes(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The key paths that have every parameter of a recipe below them: ``recipe``, whatever else a member calls one."""
    names = _recipe()
    paths = dict.fromkeys(name.rpartition(".")[0] for name in parameters)
    return tuple(path for path in paths if parameters.keys() >= {f"{path}.{name}" for name in names})


def _yaml(value: Any) -> str:
    """A value as one would write it in a study."""
    return value if isinstance(value, str) else json.dumps(value)


def _clause(text: str) -> str:
    """The text up to its first full stop, colon or semicolon; to its first full stop where that is a value alone."""
    first = re.split(r"(?<!et al)[.;:](?:\s|$)", text, maxsplit=1)[0]
    if re.fullmatch(r"``[^`]*``", first):
        first = re.split(r"(?<!et al)\.(?:\s|$)", text, maxsplit=1)[0]
    return first.replace("``", "`")


def _parameters_of(entry: Entry) -> dict[str, dict[str, Any]]:
    """A member's parameters; none where its room's members have no ``Config``."""
    config = getattr(entry.load(), "Config", None)
    return dict(_parameters(config)) if config else {}


def _parameters(
    config: type[BaseModel], defaults: BaseModel | None = None, prefix: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every parameter by key path, those of nested models too; ``defaults`` are those of the outer model's own."""
    about = _attribute_docs(config)
    for name, field in config.model_fields.items():
        default = field.get_default(call_default_factory=True) if defaults is None else getattr(defaults, name)
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            within = default if isinstance(default, BaseModel) else None
            yield from _parameters(nested, within, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", {"default": _plain(default), "about": about.get(name, "")}


def _plain(default: Any) -> Any:
    if default is PydanticUndefined:
        return "(required)"
    if isinstance(default, tuple):
        return list(default)
    return default if isinstance(default, bool | int | float | str | list | dict | None) else str(default)


def _attribute_docs(config: type[BaseModel]) -> Mapping[str, str]:
    """What the ``Attributes:`` sections of a Config's docstring, and of those it inherits from, say by name."""
    found: dict[str, str] = {}
    for owner in reversed(config.__mro__):
        found.update(_own_docs(vars(owner).get("__doc__") or ""))
    return found


def _own_docs(docstring: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc(docstring).partition("Attributes:\n")[2].splitlines():
        text = line.removeprefix("    ")
        if text.startswith(" "):
            found.update({name: f"{found[name]} {text.strip()}" for name in names})
        else:
            heads, _, text = text.partition(": ")
            names = [name.strip() for name in heads.split(",")]
            found.update(dict.fromkeys(names, text))
    return found


def _spaces() -> Iterator[dict[str, Any]]:
    """The search spaces, each with the values that a trial may take, by the parameter's dotted name."""
    for name in search_spaces.names():
        doc = importlib.import_module(f"search_spaces.{name}").__doc__ or ""
        ranges = recorded(search_spaces.find_space(name))
        parameters = {key: {"range": _range(each)} for key, each in ranges.items()}
        yield {"name": name, "summary": doc.strip().partition("\n")[0], "parameters": parameters}


def _range(space: Mapping[str, Any]) -> str:
    """``0.1 to 3, log``; ``64, 256 or 1024``."""
    if "choices" in space:
        *first, last = (_yaml(choice) for choice in space["choices"])
        return f"{', '.join(first)} or {last}" if first else last
    step = f", in steps of {space['step']:g}" if space["step"] not in (None, 1) else ""
    return f"{space['low']:g} to {space['high']:g}{', log' if space['log'] else ''}{step}"
