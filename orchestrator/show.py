"""What the command line prints: plain aligned text, the same on a terminal and in a pipe."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trainables.registry import REGISTRIES


def table(rows: Iterable[Sequence[object]], *, indent: str = "") -> str:
    """Rows as aligned columns; a column of numbers is aligned right."""
    cells = [[("" if value is None else str(value)) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(_is_number(value) for value in column[1:]) for column in zip(*cells, strict=True)]
    return "\n".join(
        indent + "  ".join(v.rjust(w) if r else v.ljust(w) for v, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    )


def as_json(value: object) -> str:
    """Indented JSON; paths and enumerations as text."""
    return json.dumps(value, indent=2, default=str)


def duration(seconds: float | None) -> str:
    """``8 s``, ``3 min``, ``2.5 h``; ``?`` where it is not known."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def members(room: str) -> list[dict[str, Any]]:
    """What may be named in a study: each member of a room with its summary and parameters."""
    if room == "spaces":
        return [{"name": name, "summary": summary} for name, summary in _spaces()]
    return [
        {
            "name": name,
            "summary": entry.summary,
            "version": entry.version,
            "traits": sorted(entry.traits),
            "parameters": dict(_parameters(entry.config)),
        }
        for name, entry in REGISTRIES[room].items()
    ]


def members_text(room: str) -> str:
    """The members of a room for a reader: a line each, and under it its parameters with their defaults."""
    blocks = []
    for member in members(room):
        rows = [(name, p["default"], p["about"]) for name, p in member.get("parameters", {}).items()]
        head = f"{member['name']}: {member['summary']}"
        blocks.append("\n".join([head, table(rows, indent="    ")] if rows else [head]))
    return "\n\n".join(blocks) if blocks else f"there are no {room} yet"


def _parameters(config: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every parameter by key path, those of nested models too."""
    about = _attribute_docs(config)
    for name, field in config.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            yield from _parameters(nested, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", {"default": _default(field), "about": field.description or about.get(name, "")}


def _default(field: FieldInfo) -> Any:
    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, bool | int | float | str | list | dict | None) else str(value)


def _attribute_docs(config: type[BaseModel]) -> Mapping[str, str]:
    """First lines of the ``Attributes:`` section of a Config's docstring, by name."""
    lines = (config.__doc__ or "").partition("Attributes:")[2].splitlines()
    pairs = (line.strip().partition(": ") for line in lines if ": " in line)
    return {name.strip(): text for names, _, text in pairs for name in names.split(",")}


def _spaces() -> Iterator[tuple[str, str]]:
    import search_spaces

    for module in pkgutil.iter_modules(search_spaces.__path__):
        doc = importlib.import_module(f"search_spaces.{module.name}").__doc__ or ""
        yield module.name, doc.strip().partition("\n")[0]


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit() or not text
