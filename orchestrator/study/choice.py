"""A member picked by name, with its parameters, and what two choices of one study must not have in common."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from pydantic import SerializeAsAny, model_serializer, model_validator

from orchestrator.study.checks import Slug
from orchestrator.study.inputs import parameters
from trainables.contract import Config
from trainables.errors import InputError
from trainables.registry import Entry, find


class Choice(Config):
    """A member picked by name, with its parameters: ``dann`` or ``{kind: dann, weight: 0.5}``.

    Attributes:
        kind: the member's registry name.
        name: what tables call it, to tell variants of one member apart; its kind if not given, and of a composition
            the kinds of its methods.
        config: the member's parameters, defaults filled in.
    """

    room: ClassVar[str]
    only_in_file: ClassVar[tuple[str, ...]] = ()
    elsewhere: ClassVar[tuple[str, ...]] = ()

    kind: str
    name: Slug
    config: SerializeAsAny[Config]

    @property
    def entry(self) -> Entry:
        """The registry's line of this member."""
        return find(self.room, self.kind)

    @property
    def version(self) -> int:
        """Of the code that computes the member's result."""
        return self.entry.version + self.config.revision

    @property
    def parameters(self) -> dict[str, Any]:
        """What determines the member's result: its config as plain JSON, files by their content."""
        return parameters(self.config)

    @model_validator(mode="before")
    @classmethod
    def _from_name_or_mapping(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        given = {"kind": value} if isinstance(value, str) else value
        if not isinstance(given, dict):
            raise InputError("must be a name, or a mapping with `kind`", value=value)
        if isinstance(given.get("config"), Config):
            return given
        given = dict(given)
        kind = given.pop("kind", None)
        if not isinstance(kind, str):
            raise InputError("the mapping has no `kind`", value=value, fix="add `kind: <name>`: `orchestrator list`")
        kind, given = cls._member(kind, given)
        own = {key: given.pop(key) for key in cls.model_fields if key in given}
        config = find(cls.room, kind).config.model_validate(given)
        return {"name": config.title or kind, **own, "kind": kind, "config": config}

    @classmethod
    def _member(cls, kind: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The registry name that a ``kind`` of a file stands for, and the parameters that come with it."""
        return kind, given

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        own = {key: getattr(self, key) for key in type(self).model_fields if key != "config"}
        return {**own, **self.config.model_dump(mode="json")}


C = TypeVar("C", bound=Choice)


def distinct_choices(choices: tuple[C, ...]) -> tuple[C, ...]:
    """The choices, no two of them with one name, and no two names for one thing."""
    for position, choice in enumerate(choices):
        for other in choices[:position]:
            if choice.name == other.name:
                fix = "give one of them another `name:`" if _asked(choice) != _asked(other) else "delete one of them"
                raise InputError("two have this name", where=f"{position}.name", value=choice.name, fix=fix)
            if _asked(choice) == _asked(other):
                raise InputError(
                    f"the same parameters as {other.name!r}: they would be one cell under two names",
                    where=str(position),
                    value=choice.name,
                    fix="delete one of them, or change a parameter",
                )
    return choices


def _asked(choice: Choice) -> tuple[Any, ...]:
    """What two choices must not have in common: one that is tuned and one as it is go together."""
    return choice.kind, choice.config, getattr(choice, "tuning", None), getattr(choice, "preprocess", None)
