"""Rules of a study that need no data: what a list of names may be, and what may not be there twice.

``where`` of an error raised here is the rest of the key path, below the field that is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from trainables.errors import InputError, nearest

T = TypeVar("T", bound=tuple[Hashable, ...] | str)

SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Slug = Annotated[str, StringConstraints(pattern=SLUG, max_length=80)]
"""A name that is safe as a folder, an MLflow experiment and a part of a cell's name."""


def distinct(values: T) -> T:
    """The values, none of them twice; a word such as ``all`` passes."""
    if not isinstance(values, str):
        for position, value in enumerate(values):
            if value in values[:position]:
                raise InputError("listed twice", where=str(position), value=value, fix="delete one of them")
    return values


def known(names: Literal["all"] | tuple[str, ...], all_names: Iterable[str], where: str) -> None:
    """Raise unless every name is one that the study has."""
    choices = tuple(all_names)
    for name in () if names == "all" else names:
        if name not in choices:
            raise InputError("the study has no such name", where=where, value=name, fix=nearest(name, choices))


def local_folder(value: Any) -> Any:
    """A path; an address such as ``s3://…`` is refused in words, not made a folder called ``s3:``."""
    if isinstance(value, str) and value.startswith("file:///"):
        return value.removeprefix("file://")
    if isinstance(value, str) and "://" in value:
        raise InputError("must be a local folder", value=value, fix="a folder that every node can reach")
    return value


def tracking_address(uri: str | None) -> str | None:
    """An address MLflow takes: a database or a server."""
    if uri is not None and "://" not in uri and not uri.startswith("databricks"):
        fix = "write sqlite:///mlflow.db (a file beside the study) or http://host:port"
        raise InputError("a tracking address names a database or a server", value=uri, fix=fix)
    return uri


def without_password(text: str) -> str:
    """The text with the password of every address in it (``postgresql://user:password@host``) made unreadable."""
    return re.sub(r"(://[^/\s:@]*):[^/\s@]+@", r"\1:***@", text)


def names_or(*words: str, other: tuple[type, ...] = ()) -> Callable[[Any], Any]:
    """A check that lets pass one of these words, or a list of names, or of other things, that is not empty."""
    entries = (str, *other)

    def check(value: Any) -> Any:
        if value in words or (isinstance(value, list | tuple) and value and all(isinstance(v, entries) for v in value)):
            return value
        if value in ([], ()):
            raise InputError("an empty list selects nothing", fix="write `all`, or list names")
        fix = f"write [{value}]" if isinstance(value, str) else None
        raise InputError(f"must be {', '.join(f'`{word}`' for word in words)} or a list of names", value=value, fix=fix)

    return check


Names = Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(names_or("all")), AfterValidator(distinct)]
"""``all``, or at least one name, each once."""

Reals = Annotated[
    Literal["all", "own"] | tuple[str, ...],
    BeforeValidator(names_or("all", "own")),
    AfterValidator(distinct),
]
"""``all``, ``own``, or at least one name, each once."""


def one_or_several(value: Any) -> Any:
    """A list of things; one thing alone is a list of one."""
    return value if isinstance(value, list | tuple) else (value,)
