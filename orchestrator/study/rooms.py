"""What a study chooses from the rooms of the registry: one kind of choice for each room."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, TypeAdapter, model_validator

from orchestrator.study.checks import Names
from orchestrator.study.choice import Choice, distinct_choices
from orchestrator.study.spaces import OUTSIDE, check_space
from orchestrator.study.sweep import SWEEP, expanded
from orchestrator.study.tuning import Tuning
from trainables.backbones.names import as_member
from trainables.composing import check_alone
from trainables.data.preprocess import Preprocess
from trainables.errors import InputError
from trainables.registry import ADAPTATIONS

SOURCE_ONLY = "source_only"
ORACLE = "oracle"
"""Trait of a method that reads the target's labels, and the selection of what it makes."""
CONTINUAL = "continual"
"""Trait of a method that is a step of a sequence of generators."""


class TunedChoice(Choice):
    """A member that trains, and how its parameters are searched for.

    Attributes:
        tuning: of this member; the study's own if not given, and ``none`` for the parameters as they are.
    """

    tuning: Tuning | Literal["none"] | None = None

    @model_validator(mode="after")
    def _can_be_tuned(self) -> Self:
        if isinstance(self.tuning, Tuning):
            try:
                check_space(self.kind, self.config, self.tuning)
            except InputError as error:
                raise error.at(f"tuning.{error.where}" if error.where else "tuning") from None
        return self


class DetectorChoice(TunedChoice):
    """A detector, and the way in which it sees images.

    Attributes:
        preprocess: of this detector, in training and in test: it replaces the study's wholly; the study's if not given.
    """

    room = "detectors"

    preprocess: Preprocess | None = None

    @classmethod
    def _member(cls, kind: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return as_member(kind, given)

    @model_validator(mode="after")
    def _looks_at_images(self) -> Self:
        if self.preprocess is not None and OUTSIDE in self.entry.traits:
            problem, fix = "scores are looked up: this detector is shown no image", "delete `preprocess:`"
            raise InputError(problem, where="preprocess", value=self.kind, fix=fix)
        return self


class AdaptationChoice(TunedChoice):
    room = "adaptations"

    @model_validator(mode="after")
    def _can_be_alone(self) -> AdaptationChoice:
        check_alone(self.kind)
        if CONTINUAL in self.entry.traits:
            fix = "write it under `sequences`, in `methods`"
            raise InputError("this method learns a sequence of generators", value=self.kind, fix=fix)
        return self


class ContinualChoice(Choice):
    """A method that learns one generator after the other."""

    room = "adaptations"

    @model_validator(mode="after")
    def _learns_sequences(self) -> ContinualChoice:
        if CONTINUAL not in self.entry.traits:
            having = [name for name, entry in ADAPTATIONS.items() if CONTINUAL in entry.traits]
            fix = f"write one of {', '.join(having)}"
            raise InputError("this method does not learn sequences of generators", value=self.kind, fix=fix)
        return self


class CorruptionChoice(Choice):
    """A corruption. In a file, ``{kind: jpeg, sweep: preset}`` stands for one choice at every severity."""

    room = "corruptions"
    only_in_file = (SWEEP,)


class AttackChoice(Choice):
    """An attack, and whose detectors it is made on.

    Attributes:
        adaptations: names of adaptations (``source_only``: the source detectors), or ``all``.
    """

    room = "attacks"

    adaptations: Names = "all"


class AnalysisChoice(Choice):
    """An analysis, and whose detectors it looks into.

    Attributes:
        adaptations: names of adaptations (``source_only``: the source detectors), or ``all``.
    """

    room = "analyses"

    adaptations: Names = (SOURCE_ONLY,)


class LayoutChoice(Choice):
    """How a data folder lies on disk."""

    room = "layouts"


def _with_every_severity(entries: Any) -> Any:
    """The corruptions of a file, each sweep as its choices; an error is told where the file has the entry."""
    if not isinstance(entries, list | tuple):
        return entries
    groups = _WRITTEN_CORRUPTIONS.validate_python(entries)
    owners = [position for position, group in enumerate(groups) for _ in group]
    try:
        return distinct_choices(tuple(choice for group in groups for choice in group))
    except InputError as error:
        position, _, key = str(error.where).partition(".")
        owner = owners[int(position)]
        swept = isinstance(entries[owner], dict) and SWEEP in entries[owner]
        raise error.at(f"{owner}.{SWEEP if swept else key}".rstrip(".")) from None


_WRITTEN_CORRUPTIONS: TypeAdapter[tuple[tuple[CorruptionChoice, ...], ...]] = TypeAdapter(
    tuple[
        Annotated[
            tuple[CorruptionChoice, ...],
            BeforeValidator(lambda entry: expanded(entry, CorruptionChoice.model_validate)),
        ],
        ...,
    ]
)


Corruptions = Annotated[tuple[CorruptionChoice, ...], BeforeValidator(_with_every_severity)]
"""No two of one name or of one effect."""


def _with_source_only(choices: tuple[AdaptationChoice, ...]) -> tuple[AdaptationChoice, ...]:
    """The adaptations with ``source_only`` among them: everything else is compared with it."""
    for position, choice in enumerate(choices):
        if (choice.name == SOURCE_ONLY) != (choice.kind == SOURCE_ONLY):
            raise InputError(
                f"`{SOURCE_ONLY}` is the name of the unadapted detector, and its only name",
                where=f"{position}.name",
                value=choice.name,
                fix="delete `name:`" if choice.kind == SOURCE_ONLY else "choose another `name:`",
            )
    if any(choice.kind == SOURCE_ONLY for choice in choices):
        return choices
    return (AdaptationChoice.model_validate(SOURCE_ONLY), *choices)


Adaptations = Annotated[
    tuple[AdaptationChoice, ...], AfterValidator(distinct_choices), AfterValidator(_with_source_only)
]
