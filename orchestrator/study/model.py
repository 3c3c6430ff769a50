"""What the user asks: a study, as frozen values with every default written out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SerializeAsAny,
    StringConstraints,
    model_serializer,
    model_validator,
)

from trainables.contract import Config
from trainables.data.preprocess import Preprocess
from trainables.data.splits import Fractions
from trainables.errors import InputError
from trainables.registry import Entry, find

Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
"""A name that is safe as a folder, an MLflow experiment and a part of a cell's name."""


class Choice(Config):
    """A member picked by name, with its parameters: ``dann`` or ``{kind: dann, weight: 0.5}``.

    Attributes:
        kind: the member's registry name.
        name: what tables call it, to tell variants of one member apart; its kind if not given.
        config: the member's parameters, defaults filled in.
    """

    room: ClassVar[str]

    kind: str
    name: Slug
    config: SerializeAsAny[Config]

    @property
    def entry(self) -> Entry:
        """The registry's line of this member."""
        return find(self.room, self.kind)

    @property
    def parameters(self) -> dict[str, Any]:
        """What determines the member's result: its config, as plain JSON."""
        return self.config.model_dump(mode="json")

    @model_validator(mode="before")
    @classmethod
    def _from_name_or_mapping(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, dict):
            raise InputError("expected a name, or a mapping with `kind`", value=value)
        if "config" in value:
            return value
        given = dict(value)
        kind = given.pop("kind", None)
        if not isinstance(kind, str):
            raise InputError("the mapping has no `kind`", value=value, fix="add `kind: <name>`: `orchestrator list`")
        name = given.pop("name", kind)
        return {"kind": kind, "name": name, "config": find(cls.room, kind).config.model_validate(given)}

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, **self.parameters}


class DetectorChoice(Choice):
    room = "detectors"


class AdaptationChoice(Choice):
    room = "adaptations"


class CorruptionChoice(Choice):
    room = "corruptions"


class AttackChoice(Choice):
    room = "attacks"


class AnalysisChoice(Choice):
    room = "analyses"


class Data(Config):
    """Where the images are, and how they are divided.

    Attributes:
        root: a folder with ``real/<source>/…`` and ``fake/<generator>/…``; relative to the study's file.
        benchmark: a preset of the procedural benchmark; ``run`` makes it at ``root`` when that is absent.
        splits: shares of the five splits, where the folder's manifest does not fix them.
        train_reals, test_reals: the real sources of the source domain, and those of every target.
        unusable: what to do about files that are no usable image: ``refuse`` to start, or ``skip`` them and list
            them in the report. They are never replaced.
        cache: folder for decoded images on each node; in the storage if not given.
    """

    root: Path
    benchmark: Literal["smoke", "demo", "ranking", "private"] | None = None
    splits: Fractions = Fractions()
    train_reals: Literal["all"] | tuple[str, ...] = "all"
    test_reals: Literal["all"] | tuple[str, ...] = "all"
    unusable: Literal["refuse", "skip"] = "refuse"
    cache: Path | None = None


class Resources(Config):
    """What one cell gets.

    Attributes:
        cpus: per worker; also the threads torch may use.
        gpus: per worker; a fraction shares one device between cells.
        workers: processes that train one model together; 2 or more always use Ray Train.
        launcher: ``inline`` trains in the trial's own warm process; ``train`` uses a TorchTrainer (own process
            group, failure handling and checkpoints: for long GPU cells); ``auto`` is ``train`` from 2 workers on.
    """

    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    workers: PositiveInt = 1
    launcher: Literal["auto", "inline", "train"] = "auto"

    @model_validator(mode="after")
    def _inline_is_alone(self) -> Resources:
        if self.launcher == "inline" and self.workers > 1:
            raise InputError(
                "launcher `inline` trains in one process", value=f"workers: {self.workers}", fix="use `auto` or `train`"
            )
        if 0 < self.gpus < 1 and self.workers > 1:
            raise InputError(
                "NCCL cannot run two workers on one GPU", value=f"gpus: {self.gpus}", fix="use whole GPUs, or 1 worker"
            )
        return self

    @property
    def distributed(self) -> bool:
        """Whether a training cell goes through Ray Train."""
        return self.launcher == "train" or self.workers > 1


class StageResources(Config):
    """Resources by stage; a stage that is not named uses ``default``. Scoring rides with the model's stage."""

    default: Resources = Resources()
    train: Resources | None = None
    adapt: Resources | None = None
    attack: Resources | None = None
    analyse: Resources | None = None

    def of(self, stage: str) -> Resources:
        """The resources of a cell of this stage."""
        found: Resources | None = getattr(self, stage, None)
        return found or self.default


class Tracking(Config):
    """Where MLflow keeps its runs.

    Attributes:
        uri: a tracking server or database; ``sqlite`` in the storage if not given.
        experiment: the study's name if not given.
    """

    uri: str | None = None
    experiment: Slug | None = None


class Study(BaseModel):
    """A whole grid: train generators × test generators × adaptations, for every detector and seed.

    Attributes:
        name: of the study; folders and the MLflow experiment carry it.
        data, image: the images, and the one way they are made into squares of pixels.
        detectors, adaptations: what is compared. ``source_only`` is always part of the grid.
        train_generators: fakes that a detector is trained on, each against all real sources.
        test_generators: fakes that every detector is tested on and adapted to; ``all`` in the data.
        seeds: each one a training of its own.
        corruptions: test images are scored clean, and once more under each of these.
        attacks, analyses: done to each source detector on its own generator and to each adapted one on its target.
        selection: the rule that picks the checkpoint of a training or an adaptation.
        resources: cpus, gpus and workers of a cell.
        storage: folder of the ledger, checkpoints, scores, reports and the MLflow database.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Slug
    description: str = ""
    data: Data
    image: Preprocess = Preprocess()
    detectors: tuple[DetectorChoice, ...] = Field(min_length=1)
    train_generators: tuple[str, ...] = Field(min_length=1)
    test_generators: Literal["all"] | tuple[str, ...] = "all"
    adaptations: tuple[AdaptationChoice, ...] = ()
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    corruptions: tuple[CorruptionChoice, ...] = ()
    attacks: tuple[AttackChoice, ...] = ()
    analyses: tuple[AnalysisChoice, ...] = ()
    selection: Literal["source_val"] = "source_val"
    resources: StageResources = StageResources()
    storage: Path = Path("../results")
    tracking: Tracking = Tracking()
