"""The generators that a study trains on: one at a time, several at once, or one after the other."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from orchestrator.study.checks import Slug, distinct, names_or
from orchestrator.study.choice import distinct_choices
from orchestrator.study.rooms import ContinualChoice
from trainables.contract import Config
from trainables.errors import InputError


class GeneratorSequence(Config):
    """Generators that detectors learn one after the other, with labels.

    Attributes:
        name: of the sequence; the generators' names, joined, if not given.
        generators: at least two; all of them train and test generators of the study.
        methods: each continues from its own step before.
    """

    name: Slug
    generators: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(distinct)]
    methods: Annotated[tuple[ContinualChoice, ...], Field(min_length=1), AfterValidator(distinct_choices)]

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_generators(cls, given: Any) -> Any:
        return _named(given, "-")


class SourceGroup(Config):
    """Generators that one detector is trained on at once: the union of their fakes against the union of their reals.

    Attributes:
        name: what tables call them; the generators' names, joined by ``+``, if not given.
        generators: at least two.
        balanced: of each generator's images the first so many by content digest that the fakes are together no more
            than the reals; otherwise all of them, and the classes are as unequal as they come.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    generators: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(distinct)]
    balanced: bool = True

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_generators(cls, given: Any) -> Any:
        return _named(given, "+")


def _named(given: Any, between: str) -> Any:
    """A mapping that lists generators, with a name: theirs, joined, if it has none."""
    generators = given.get("generators") if isinstance(given, dict) else None
    if not isinstance(generators, list | tuple) or "name" in given:
        return given
    return {"name": between.join(map(str, generators)), **given}


def _distinct_sources(values: Literal["all"] | tuple[str | SourceGroup, ...]) -> Any:
    """The sources, no two of them with one name, and no two names for one thing."""
    groups = [(place, value) for place, value in enumerate(values) if isinstance(value, SourceGroup)]
    for place, group in groups:
        others = [value for value in values[:place] if isinstance(value, SourceGroup)]
        if group.name in [value if isinstance(value, str) else value.name for value in values[:place]]:
            fix = "give one of them another `name:`"
            raise InputError("two have this name", where=f"{place}.name", value=group.name, fix=fix)
        for other in others:
            if (set(group.generators), group.balanced) == (set(other.generators), other.balanced):
                problem = f"the same generators as {other.name!r}: one thing under two names"
                raise InputError(problem, where=str(place), value=group.name, fix="delete one of them")
    return distinct(values)


Sources = Annotated[
    Annotated[Literal["all"], Tag("all")]
    | Annotated[
        tuple[
            Annotated[
                Annotated[str, Tag("generator")] | Annotated[SourceGroup, Tag("group")],
                Discriminator(lambda value: "generator" if isinstance(value, str) else "group"),
            ],
            ...,
        ],
        Tag("several"),
    ],
    Discriminator(lambda value: "all" if isinstance(value, str) else "several"),
    BeforeValidator(names_or("all", other=(dict, SourceGroup))),
    AfterValidator(_distinct_sources),
]
"""``all``, or at least one generator or group of generators."""
