"""What the user asks: a study, as frozen values with every default written out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationInfo,
    field_serializer,
    field_validator,
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
    one_or_several,
    tracking_address,
    without_password,
)
from orchestrator.study.choice import distinct_choices
from orchestrator.study.generators import GeneratorSequence, Sources
from orchestrator.study.resources import StageResources
from orchestrator.study.rooms import (
    ORACLE,
    Adaptations,
    AnalysisChoice,
    AttackChoice,
    Corruptions,
    DetectorChoice,
    LayoutChoice,
    TunedChoice,
)
from orchestrator.study.spaces import OUTSIDE, check_space
from orchestrator.study.tuning import SOURCE_VAL, RuleName, Tuning, trials_address
from trainables.contract import Config
from trainables.data.choosing import Choosing
from trainables.data.preprocess import Preprocess
from trainables.data.splits import Fractions
from trainables.errors import InputError
from trainables.registry import SELECTIONS

Folder = Annotated[Path, BeforeValidator(local_folder)]
"""A local folder; a study's file gives it relative to itself."""


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
    benchmark: Literal["smoke", "demo", "large", "ranking", "private"] | None = None

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
            whenever they are read. Where detectors see them in several ways, each way has an equal part. Nothing is
            ever removed, and studies that share a folder do not share the figure.
    """

    folder: Folder | None = None
    gigabytes: float = Field(default=100, ge=0)


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
        preprocess: the way in which images are made into squares of pixels, for all detectors without one of their own.
        train_reals, test_reals: the real sources of the source domain, and those of every target: ``all``, names, or
            ``own``: those that came with the generator's fakes.
        detectors, adaptations: what is compared. ``source_only`` is always part of the grid, listed or not.
        train_generators: fakes that a detector is trained on, each against its real sources; or ``all``. A mapping of
            several ``generators`` is one detector, trained on all of them at once. None where all detectors are from
            outside.
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
    detectors: Annotated[tuple[DetectorChoice, ...], Field(min_length=1), AfterValidator(distinct_choices)]
    train_generators: Sources | None = None
    test_generators: Names = "all"
    adaptations: Adaptations = ()
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1), AfterValidator(distinct)] = (0,)
    corruptions: Corruptions = ()
    attacks: Annotated[tuple[AttackChoice, ...], AfterValidator(distinct_choices)] = ()
    analyses: Annotated[tuple[AnalysisChoice, ...], AfterValidator(distinct_choices)] = ()
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

    def preprocess_of(self, detector: DetectorChoice) -> Preprocess:
        """How a detector sees images, both classes alike, wherever it meets them."""
        return detector.preprocess or self.preprocess

    @property
    def preprocesses(self) -> Mapping[str, Preprocess]:
        """Every way in which images are seen, once: the study's by a blank name, others by their first detector."""
        first = {self.preprocess: ""}
        for detector in self.detectors:
            first.setdefault(self.preprocess_of(detector), detector.name)
        return {name: preprocess for preprocess, name in first.items()}

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
        searched = choice.kind in search_spaces.names() and not choice.config.ready
        tuning = choice.tuning or (self.tuning if searched else None)
        if tuning is None or tuning == "none":
            return None
        # A detector has no target, and an oracle is judged by what made it: the study's rule has no say there.
        judged = SOURCE_VAL if isinstance(choice, DetectorChoice) else self.rule
        objective = ORACLE if ORACLE in choice.entry.traits else judged
        return tuning.model_copy(update={"objective": objective})

    @field_validator("train_generators")
    @classmethod
    def _named_where_something_is_trained(cls, given: Sources | None, info: ValidationInfo) -> Sources | None:
        detectors = info.data.get("detectors", ())  # not there: a mistake in them is told first
        if given is None and any(OUTSIDE not in detector.entry.traits for detector in detectors):
            fix = "write `train_generators: all`, or list generators"
            raise InputError("this key is required: it is what detectors are trained on", fix=fix)
        return given

    @model_validator(mode="after")
    def _no_detector_is_another(self) -> Study:
        """A ``preprocess`` that is the study's makes no other detector of one without."""
        seen = (each.model_copy(update={"preprocess": self.preprocess_of(each)}) for each in self.detectors)
        try:
            distinct_choices(tuple(seen))
        except InputError as error:
            raise error.at(f"detectors.{error.where}") from None
        return self

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
