"""What the user asks: a study, as frozen values with every default written out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializeAsAny,
    Tag,
    TypeAdapter,
    field_serializer,
    model_serializer,
    model_validator,
)

import search_spaces
from orchestrator.study.checks import (
    Names,
    Reals,
    Slug,
    distinct,
    known,
    local_folder,
    names_or,
    one_or_several,
    tracking_address,
    without_password,
)
from orchestrator.study.inputs import parameters
from orchestrator.study.spaces import check_space
from orchestrator.study.sweep import SWEEP, expanded
from orchestrator.study.tuning import SOURCE_VAL, RuleName, Tuning, trials_address
from trainables.backbones.names import as_member
from trainables.composing import check_alone
from trainables.contract import Config, Precision
from trainables.data.choosing import Choosing
from trainables.data.preprocess import Preprocess
from trainables.data.splits import Fractions
from trainables.errors import InputError
from trainables.registry import ADAPTATIONS, SELECTIONS, Entry, find

Folder = Annotated[Path, BeforeValidator(local_folder)]
"""A local folder; a study's file gives it relative to itself."""
SOURCE_ONLY = "source_only"
CONTINUAL = "continual"
"""Trait of a method that is a step of a sequence of generators."""


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


def _asked(choice: Choice) -> tuple[Any, ...]:
    """What two choices must not have in common: the same parameters tuned and as they are go together."""
    return choice.kind, choice.config, getattr(choice, "tuning", None)


def _distinct_choices(choices: tuple[C, ...]) -> tuple[C, ...]:
    """The choices, no two of them with one name, and no two names for one thing."""
    for position, choice in enumerate(choices):
        for other in choices[:position]:
            if choice.name == other.name:
                fix = "give one of them another `name:`" if choice.config != other.config else "delete one of them"
                raise InputError("two have this name", where=f"{position}.name", value=choice.name, fix=fix)
            if _asked(choice) == _asked(other):
                raise InputError(
                    f"the same parameters as {other.name!r}: they would be one cell under two names",
                    where=str(position),
                    value=choice.name,
                    fix="delete one of them, or change a parameter",
                )
    return choices


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
    room = "detectors"

    @classmethod
    def _member(cls, kind: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return as_member(kind, given)


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


class GeneratorSequence(Config):
    """Generators that detectors learn one after the other, with labels.

    Attributes:
        name: of the sequence; the generators' names, joined, if not given.
        generators: at least two; all of them train and test generators of the study.
        methods: each continues from its own step before.
    """

    name: Slug
    generators: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(distinct)]
    methods: Annotated[tuple[ContinualChoice, ...], Field(min_length=1), AfterValidator(_distinct_choices)]

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


def _with_every_severity(entries: Any) -> Any:
    """The corruptions of a file, each sweep as its choices; an error is told where the file has the entry."""
    if not isinstance(entries, list | tuple):
        return entries
    groups = _WRITTEN_CORRUPTIONS.validate_python(entries)
    owners = [position for position, group in enumerate(groups) for _ in group]
    try:
        return _distinct_choices(tuple(choice for group in groups for choice in group))
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
    tuple[AdaptationChoice, ...], AfterValidator(_distinct_choices), AfterValidator(_with_source_only)
]


class LayoutChoice(Choice):
    """How a data folder lies on disk."""

    room = "layouts"


class DataFolder(Choosing):
    """A folder of images, and what the study takes of it.

    Attributes:
        root: the folder; relative to the study's file.
        layout: how its images lie in it; recognised from the tree if not given.
        benchmark: a preset of the procedural benchmark; ``run`` makes it at ``root`` when that is absent.
    """

    root: Folder
    generators: Names = "all"
    channels: Names = "all"
    layout: LayoutChoice | None = None
    benchmark: Literal["smoke", "demo", "ranking", "private"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_more_than_a_path(cls, given: Any) -> Any:
        if isinstance(given, str):
            raise InputError("must be a mapping with `root`", value=given, fix=f"write {{root: {given}}}")
        return given


class Cache(Config):
    """Decoded images on each node.

    Attributes:
        folder: in the storage if not given; on a cluster rather a fast local disk.
        gigabytes: of this study's image sets, reals first, read or not; those that would take more are decoded again
            whenever they are read. Nothing is ever removed, and studies that share a folder do not share the figure.
    """

    folder: Folder | None = None
    gigabytes: float = Field(default=100, ge=0)


class Resources(Config):
    """What one cell gets.

    Attributes:
        cpus: per worker; also the threads torch may use.
        gpus: per worker; a fraction shares one device between cells.
        workers: processes that train one model together; 2 or more always use Ray Train.
        launcher: ``inline`` trains in the trial's own warm process; ``train`` uses a TorchTrainer (own process
            group, failure handling and checkpoints: for long GPU cells); ``auto`` is ``train`` from 2 workers on.
        accumulate: parts that a fit takes each batch in, their gradients added up, where memory is short; they are
            doubled by themselves where it runs out.
        precision: that a fit computes the detector's body in, by autocast; the detector keeps it, and is scored,
            attacked and looked into in the same. ``bf16`` for CPUs and GPUs that have it, ``fp16``, with scaled losses,
            for older GPUs.
        channels_last: lay the weights of convolutions out as images lie in memory, faster for most networks.

    What would give another detector, however alike, is part of the id of a cell that trains: ``workers`` and
    ``accumulate``, for BatchNorm sees a share of each batch; ``precision``, for its rounding is coarse enough to count
    as another seed's chance. The last two are left out of the id at their defaults. ``cpus``, ``gpus`` and
    ``channels_last`` change the order of sums and no more, and are not in it.
    """

    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    workers: PositiveInt = 1
    launcher: Literal["auto", "inline", "train"] = "auto"
    accumulate: int = Field(default=1, ge=1, le=64)
    precision: Precision = "fp32"
    channels_last: bool = False

    @model_validator(mode="after")
    def _inline_is_alone(self) -> Resources:
        if self.launcher == "inline" and self.workers > 1:
            raise InputError(
                "launcher `inline` trains in one process", value=f"workers: {self.workers}", fix="use `auto` or `train`"
            )
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise InputError("a worker gets a share of one GPU, or whole GPUs", value=self.gpus, fix="round it")
        if 0 < self.gpus < 1 and self.workers > 1:
            raise InputError(
                "NCCL cannot run two workers on one GPU", value=f"gpus: {self.gpus}", fix="use whole GPUs, or 1 worker"
            )
        return self

    @property
    def distributed(self) -> bool:
        """Whether a training cell goes through Ray Train."""
        return self.launcher == "train" or self.workers > 1

    @property
    def parameters(self) -> dict[str, Any]:
        """What of this determines the result of a cell that trains."""
        neutral = {"accumulate": 1, "precision": "fp32"}
        changed = {name: getattr(self, name) for name, value in neutral.items() if getattr(self, name) != value}
        return {"workers": self.workers, **changed}


class StageResources(Config):
    """Resources by stage; a stage that is not named uses ``default``. Scoring rides with the model's stage."""

    default: Resources = Resources()
    audit: Resources | None = None
    train: Resources | None = None
    adapt: Resources | None = None
    attack: Resources | None = None
    analyse: Resources | None = None

    def of(self, stage: str) -> Resources:
        """The resources of a cell of this stage."""
        named: Resources | None = getattr(self, stage) if stage in type(self).model_fields else None
        return named or self.default


class Tracking(Config):
    """Where MLflow keeps its runs.

    Attributes:
        uri: a tracking server or database; ``sqlite`` in the storage if not given.
        experiment: the study's name if not given.
    """

    uri: Annotated[str | None, AfterValidator(tracking_address)] = None
    experiment: Slug | None = None

    @field_serializer("uri")
    def _shown(self, uri: str | None) -> str | None:
        # What is serialised is kept beside the results, printed in the report and sent to MLflow.
        return without_password(uri) if uri else uri


class Trials(Config):
    """Where Optuna keeps the trials of tunings.

    Attributes:
        uri: a database (``postgresql://…``) that several drivers may share; a file in the storage if not given.
    """

    uri: Annotated[str | None, AfterValidator(trials_address)] = None

    @field_serializer("uri")
    def _shown(self, uri: str | None) -> str | None:
        return without_password(uri) if uri else uri


def _rules(given: Any) -> Any:
    """The rules of a study: one, several, or ``all``."""
    if given == "all":
        return (SOURCE_VAL, *(name for name in SELECTIONS if name != SOURCE_VAL))
    return one_or_several(given)


class Study(BaseModel):
    """A whole grid: train generators × test generators × adaptations, for every detector and seed.

    Attributes:
        name: of the study; folders and the MLflow experiment carry it.
        data: one folder of images, or a list of several that are joined.
        splits: shares of the splits, where a folder's layout does not fix them.
        overlap: what to do where a layout's own splits share images, or nearly equal ones: ``refuse`` to start, or
            ``drop`` the copies outside the test split and list them in the report.
        preprocess: the one way in which images are made into squares of pixels.
        train_reals, test_reals: the real sources of the source domain, and those of every target: ``all``, names, or
            ``own``: those that came with the generator's fakes.
        detectors, adaptations: what is compared. ``source_only`` is always part of the grid, listed or not.
        train_generators: fakes that a detector is trained on, each against its real sources; or ``all``. A mapping of
            several ``generators`` is one detector, trained on all of them at once.
        test_generators: fakes that every detector is tested on and adapted to; ``all`` in the data.
        seeds: each one a training of its own.
        corruptions: test images are scored clean, and once more under each of these.
        attacks, analyses: done to each source detector on its own generator and to each adapted one on its target.
        selection: the rule that picks the epoch of an adaptation (a source detector's is always ``source_val``); of a
            list the first one does, and the others are reported beside it; ``all`` is ``source_val`` and all others.
        tuning: of every detector and adaptation that has a search space and none of its own; nothing if not given.
        trials: where Optuna keeps the trials.
        sequences: generators that are learnt one after the other.
        resources: cpus, gpus and workers of a cell.
        storage: folder of the ledger, checkpoints, scores, reports and the MLflow database.
        cache: decoded images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    name: Slug
    description: str = ""
    data: Annotated[tuple[DataFolder, ...], BeforeValidator(one_or_several), Field(min_length=1)]
    splits: Fractions = Fractions()
    overlap: Literal["refuse", "drop"] = "refuse"
    preprocess: Preprocess = Preprocess()
    train_reals: Reals = "all"
    test_reals: Reals = "all"
    detectors: Annotated[tuple[DetectorChoice, ...], Field(min_length=1), AfterValidator(_distinct_choices)]
    train_generators: Sources
    test_generators: Names = "all"
    adaptations: Adaptations = ()
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1), AfterValidator(distinct)] = (0,)
    corruptions: Annotated[tuple[CorruptionChoice, ...], BeforeValidator(_with_every_severity)] = ()
    attacks: Annotated[tuple[AttackChoice, ...], AfterValidator(_distinct_choices)] = ()
    analyses: Annotated[tuple[AnalysisChoice, ...], AfterValidator(_distinct_choices)] = ()
    selection: Annotated[
        tuple[RuleName, ...], BeforeValidator(_rules), Field(min_length=1), AfterValidator(distinct)
    ] = (SOURCE_VAL,)
    tuning: Tuning | None = None
    trials: Trials = Trials()
    sequences: tuple[GeneratorSequence, ...] = ()
    resources: StageResources = StageResources()
    storage: Folder = Path("../results")
    cache: Cache = Cache()
    tracking: Tracking = Tracking()

    @property
    def rule(self) -> str:
        """The rule that picks the epoch of every adaptation."""
        return self.selection[0]

    @property
    def keeps_epochs(self) -> bool:
        """Whether what the detector says of the images that rules look at is kept of every epoch."""
        return self.selection != (SOURCE_VAL,)

    def tuning_of(self, choice: TunedChoice) -> Tuning | None:
        """How a detector or an adaptation is tuned, by what rule; None where its parameters are taken as they are."""
        tuning = choice.tuning or (self.tuning if choice.kind in search_spaces.names() else None)
        if tuning is None or tuning == "none":
            return None
        objective = SOURCE_VAL if isinstance(choice, DetectorChoice) else self.rule
        return tuning.model_copy(update={"objective": objective})

    @model_validator(mode="after")
    def _one_rule_judges(self) -> Study:
        """The rule that picks epochs also judges trials: nothing in one table was chosen by another."""
        asked = [("tuning", self.tuning, self.rule)]
        for room, choices, rule in (
            ("detectors", self.detectors, SOURCE_VAL),
            ("adaptations", self.adaptations, self.rule),
        ):
            asked += [(room, choice.tuning, rule) for choice in choices if isinstance(choice.tuning, Tuning)]
        for where, tuning, rule in asked:
            if tuning is not None and tuning.objective not in (None, rule):
                rule_of_study = f"; or make it the study's rule: `selection: [{tuning.objective}]`"
                other = "" if where == "detectors" else rule_of_study
                raise InputError(
                    "trials are judged by the rule that picks epochs",
                    where=f"{where}.objective" if where == "tuning" else where,
                    value=f"objective: {tuning.objective}",
                    fix=f"write `{rule}`, or leave it out{other}",
                )
        return self

    @model_validator(mode="after")
    def _what_is_tuned_can_be(self) -> Study:
        for choice in (*self.detectors, *self.adaptations):
            tuning = self.tuning_of(choice)
            if tuning is None:
                continue
            try:
                check_space(choice.kind, choice.config, tuning)
            except InputError as error:
                raise error.at(f"tuning.{error.where}") from None
            stage = "train" if isinstance(choice, DetectorChoice) else "adapt"
            if tuning.scheduler != "none" and self.resources.of(stage).distributed:
                raise InputError(
                    "`scheduler: asha` stops what trains in the trial's own process, not what Ray Train trains",
                    where=f"resources.{stage}",
                    value=choice.name,
                    fix="ask for `scheduler: none`, or for `launcher: inline` and one worker",
                )
        return self

    @model_validator(mode="after")
    def _readers_name_adaptations(self) -> Study:
        names = [adaptation.name for adaptation in self.adaptations]
        for position, attack in enumerate(self.attacks):
            known(attack.adaptations, names, f"attacks.{position}.adaptations")
        for position, analysis in enumerate(self.analyses):
            known(analysis.adaptations, names, f"analyses.{position}.adaptations")
        return self
