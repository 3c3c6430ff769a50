"""The page a method author reads: what a member is given, and what it hands back.

A *member* is one file in ``detectors/``, ``adaptation/``, ``attacks/``, ``corruptions/``, ``analyses/``,
``generators/`` or ``layouts/`` and one line in ``registry.py``. The file holds a ``Config`` and the one function of its
room:

==============  =====================================================================
room            function of the member's module
==============  =====================================================================
detectors       ``build(config, classes) -> trainables.detector.Detector``
adaptation      ``adapt(config, detector, data: AdaptationData, context) -> Outcome``
attacks         ``attack(config, detector, images: Images, context) -> Outcome``
corruptions     ``corrupt(config, pixels, rng) -> pixels``, one image at a time
analyses        ``analyse(config, detector, groups: Mapping[str, Images], context) -> Outcome``
generators      ``fingerprint(config, image, rng) -> image``, one image at a time
layouts         ``recognises(root) -> bool`` and ``scan(config, root) -> Iterator[Found]``
==============  =====================================================================

A detector is trained by the one fit loop, unless its traits say otherwise; its module then holds one function more:

=============  ======================================================================================
trait          function
=============  ======================================================================================
``prepared``   ``prepare(config, detector, source, context) -> None``, before it is trained
``objective``  ``objective(config) -> Objective``, what it is trained for
``solved``     ``solve(config, detector, source, source_val, context) -> Outcome`` instead of training
``fused``      ``fuse(config, detector, parts, source, source_val, context) -> Outcome``: the same, of
               detectors trained before it, one for each of ``config.specialists``
``outside``    ``look_up(config, manifest, generators) -> dict``: P(fake) of their test images by digest,
               and no ``build``: the detector is somebody else's
=============  ======================================================================================

A corruption's module also names its severity, for sweeps and severity curves: ``SEVERITY``, a numeric key of its
Config; ``PRESET``, values of it from mild to strong; ``UNIT``, what an axis calls them; and ``NEUTRAL``, the mildest
value there is: the farther from it, the stronger. Where nothing is mild or strong the first three are ``""``, ``()``
and ``""``, and there is no fourth. The size of what it returns depends on its Config and the size of the image alone.

Importing a member must not import torch (reading a study's Config stays instant): a member imports torch,
and whatever needs it, inside its function. The conformance suite holds every member to this.

Shapes: N images, H height, W width, C classes, D features. Label 1 is fake, always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from trainables.errors import InputError, LabelLeakError, nearest

if TYPE_CHECKING:
    from torch import nn

    from trainables.detector import Detector
    from trainables.selection.rule import Rule

REAL, FAKE = 0, 1

Precision = Literal["fp32", "bf16", "fp16"]
"""Of floating-point numbers: 32 bits, bfloat16 or half."""


class Pixels(Protocol):
    """(N, H, W, 3) RGB uint8, 0-255: an array, a memory map, or several of them one after the other.

    Indexing with a slice or an integer array gives an ordinary array; nothing is read before that.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]: ...


EVERY_KEY = {"every_key": True}
"""Context of a dump that has the keys of ``Config.LATER`` whatever their values: all that may be named."""


class Config(BaseModel):
    """Parameters of one member: frozen, unknown keys refused, every default written out in the cell's id.

    Attributes:
        LATER: keys that joined when there were results already. A new key would give every cell that trains a new id,
            so a dump leaves these out where they have their default. That default is neutral: it says what was done
            before there was the key, so a dump means what it meant then. It is as fixed as the ids are: a member that
            wants another one says so in its own default (``recipe: Recipe = Recipe(patience=5)``).
    """

    LATER: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def reads_few(self) -> bool:
        """Whether an adaptation with these parameters reads the ``few`` split though its traits do not say so."""
        return False

    @property
    def ready(self) -> bool:
        """Whether a detector with these parameters comes as it shall be, so that its train stage trains nothing."""
        return False

    @model_validator(mode="before")
    @classmethod
    def _keep_nested_defaults(cls, given: Any) -> Any:
        """``recipe: {epochs: 5}`` changes the epochs of this Config's own recipe, and nothing else of it."""
        if not isinstance(given, dict):
            return given
        defaults = {name: field.default for name, field in cls.model_fields.items() if name in given}
        return given | {
            name: default.model_dump() | given[name]
            for name, default in defaults.items()
            if isinstance(default, BaseModel) and isinstance(given[name], dict)
        }

    @model_serializer(mode="wrap")
    def _dumped(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Without the keys of ``LATER`` that have their default, unless a member's own default has them otherwise.

        Left out there, too, they would be read as that again.
        """
        dumped: dict[str, Any] = dump(self)
        if info.context == EVERY_KEY:
            return dumped
        for name, wanted in _written_below(type(self)).items():
            if isinstance(dumped.get(name), dict) and not wanted <= dumped[name].keys():
                whole = getattr(self, name).model_dump(mode=info.mode, context=EVERY_KEY)
                dumped[name] |= {key: whole[key] for key in wanted - dumped[name].keys()}
        for name, neutral in _neutral(type(self)).items():
            if getattr(self, name) == neutral:
                dumped.pop(name, None)
        return dumped

    @property
    def specialists(self) -> tuple[Specialist, ...]:
        """Of a detector that is ``fused``: those that it is made of, the same for all that are made of the same."""
        return ()

    def mend_missing(self, key: str) -> str:
        """What to do where the file that this key names is not there."""
        otherwise = "" if type(self).model_fields[key].is_required() else ", or leave the key out"
        return f"put it there{otherwise}; nothing is downloaded"

    @property
    def title(self) -> str | None:
        """What tables call the member with these parameters; None: by its kind, which tells enough."""
        return None

    @property
    def revision(self) -> int:
        """Counts the changes of other members' code that this one runs; added to its own version."""
        return 0


@cache
def _neutral(kind: type[Config]) -> Mapping[str, Any]:
    """The keys that may be left out, with the values at which they are."""
    return {name: kind.model_fields[name].default for name in kind.LATER}


@cache
def _written_below(kind: type[Config]) -> Mapping[str, frozenset[str]]:
    """Of each nested Config that may leave keys out, those that its default has in its dump."""
    defaults = {name: field.default for name, field in kind.model_fields.items()}
    return {
        name: frozenset(default.model_dump())
        for name, default in defaults.items()
        if isinstance(default, Config) and default.LATER
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialist:
    """A detector of one family against the rest, trained on purpose on few images of the rest.

    Its class 1 is that family; of the family ``real`` it is class 0, so that 1 is fake here, too.

    Attributes:
        kind: its registry name.
        config: its parameters.
        family: ``real``, ``gan`` or ``dm``; all images of its generators are trained on.
        ratio: the share of the images of every generator and real source of the rest, above 0 and rounded up.
    """

    kind: str
    config: Config
    family: str
    ratio: float


def of_preset(given: Any, presets: Mapping[str, Any], what: str) -> Any:
    """What a preset stands for, where its name is given; anything else as it is.

    Raises:
        InputError: there is no preset of this name.
    """
    if not isinstance(given, str):
        return given
    if given not in presets:
        raise InputError(f"no such preset of {what}", value=given, fix=nearest(given, presets))
    return presets[given]


class Split(StrEnum):
    """The disjoint parts of every generator's images.

    ``fusion`` is a second labelled part to train on, for detectors that are fused from trained ones; it is empty
    unless a study asks for it.
    """

    TRAIN = "train"
    VAL = "val"
    ADAPT = "adapt"
    FEW = "few"
    FUSION = "fusion"
    TEST = "test"

    @property
    def trained_on(self) -> bool:
        """Whether detectors learn from its images; by those of the others they are chosen and judged."""
        return self not in (Split.VAL, Split.TEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Labelled images.

    Attributes:
        pixels: (N, H, W, 3) uint8.
        labels: (N,) int64: 0 real, 1 fake; for a detector that tells kinds of fakes apart, which kind, from 1.
        ids: N content digests, one an image; they name an image in every table.
        generators: N names, one an image: its generator, or the source of a real image.
        views: squares an image is seen through; those of one image follow each other, and its score is their mean.
        top: of so many of them, those that score highest; of all if not given.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    ids: Sequence[str]
    generators: Sequence[str]
    views: int = 1
    top: int | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def without_labels(self) -> Unlabelled:
        """The view adaptation gets of a target."""
        return Unlabelled(pixels=self.pixels, ids=self.ids)

    def take(self, index: NDArray[np.int64]) -> Images:
        """The images at these positions, in this order."""
        return Images(
            pixels=self.pixels[index],
            labels=self.labels[index],
            ids=[self.ids[i] for i in index],
            generators=[self.generators[i] for i in index],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlabelled:
    """Target images as an adaptation method may see them: asking for a label raises ``LabelLeakError``."""

    pixels: Pixels
    ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> NoReturn:
        raise LabelLeakError("target images are unlabelled: adaptation and selection must not read target labels")

    @property
    def generators(self) -> NoReturn:
        # The generator's name gives the label away (`real sources` against a fake generator).
        raise LabelLeakError("target images are unlabelled: the generator of an image gives its label away")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptationData:
    """What an adaptation method may read.

    Attributes:
        source_train, source_val: labelled images of the generator the detector was trained on.
        target: unlabelled images of the generator it is adapted to (the ``adapt`` split).
        few: labelled images of the target's ``few`` split; None unless the method reads them.
        oracle_train, oracle_val: labelled images of the target's ``train`` and ``val`` splits, for the traits
            ``oracle`` and ``continual`` alone; None for every other method.
        earlier: labelled images to train on of the generators that a ``continual`` method has learnt before, in the
            order in which it did; nothing for every other method.
    """

    source_train: Images
    source_val: Images
    target: Unlabelled
    few: Images | None = None
    oracle_train: Images | None = None
    oracle_val: Images | None = None
    earlier: Sequence[Images] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a stage hands back; the detector itself is changed in place.

    Attributes:
        metrics: final figures, few and flat.
        curves: one row an epoch (``{"epoch": 1, "loss": …}``).
        rows: a table of the stage's own (attacks: one row an image and budget), stored as Parquet.
        files: names of files written under ``context.folder``, first the one to look at.
        images: how many images passed through the model, for the throughput figure.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Sequence[Mapping[str, float]] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    files: Sequence[str] = ()
    images: int = 0


class Context(Protocol):
    """Where a stage runs: the same loop runs alone, in a Tune trial and in a Ray Train worker.

    Attributes:
        device: a torch device string, ``cpu`` or ``cuda:0``.
        rank, world_size: this process among those that train together; 0 and 1 when alone.
        folder: the cell's own folder, the only place it may write.
        seed: the cell's seed; everything random derives from it.
        cache: this node's folder of what several cells would compute alike (``trainables.features``); None where
            nothing is kept.
        accumulate: parts that a batch is taken in, their gradients added up: more where memory was short. The step
            is the same but for BatchNorm, and for terms that compare a whole batch, which see one part at a time.
        precision: that a fit's detector computes in, and keeps.
    """

    device: str
    rank: int
    world_size: int
    folder: Path
    seed: int
    cache: Path | None
    accumulate: int
    precision: Precision

    def prepare(self, module: nn.Module) -> nn.Module:
        """The module on the device, wrapped for data-parallel training when world_size > 1."""
        ...

    def report(self, row: Mapping[str, float]) -> None:
        """Tell the outside how far the cell is: one flat row an epoch."""
        ...

    def watch(self, detector: Detector) -> Mapping[str, float]:
        """An epoch has ended: keep what the detector now says of the images that the rules of selection look at.

        Called after every epoch, by every rank, and before ``save_state``; nothing random is drawn, and the detector
        stays as it is. Where nothing is watched it costs nothing.

        Returns:
            The figures of the study's own rule for the epoch's row; none where that is ``source_val``.
        """
        ...

    @property
    def rule(self) -> Rule:
        """The study's rule: which epoch's weights are kept, where the method does not fix that itself."""
        ...

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values of every rank, concatenated along the first axis in rank order; the same on every rank."""
        ...

    def save_state(self, state: Any) -> None:
        """Keep a tree of tensors, numbers and strings, so that an interrupted stage goes on from here.

        It replaces the state kept before; every rank calls it with the same state.
        """
        ...

    def load_state(self) -> Any | None:
        """The state last kept for this cell, the same on every rank; None if it starts from nothing."""
        ...
