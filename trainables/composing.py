"""Methods put together: what each of them adds to one training, and which go together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pydantic import ConfigDict, Field, SerializeAsAny, model_serializer, model_validator

from trainables.contract import AdaptationData, Config, Context, Outcome
from trainables.errors import InputError, nearest
from trainables.recipe import Recipe
from trainables.registry import ADAPTATIONS, Entry, find

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.fit import Fitted
    from trainables.objective import Objective

PART = "part"
"""Trait of an adaptation whose module has ``objective(config, detector, data, context) -> Objective | None``."""

ADVERSARY, NO_ADVERSARY, ON_ADVERSARY = "adversary", "no adversary", "on adversary"
"""Traits: brings a domain discriminator; takes its place; needs one."""

_OF_EVERY_TRAINING = frozenset({"epoch", "loss", "classification", "learning_rate", "seconds", "images_per_second"})
"""Columns of the curves that say nothing of a method."""


class Part(Config):
    """A method that is part of a composition: ``coral``, or ``{kind: coral, weight: 5}``.

    Attributes:
        kind: registry name of an adaptation that can be part of a composition.
        config: its parameters but for ``recipe``, which is the composition's.
    """

    room: ClassVar[str] = "adaptations"
    only_in_file: ClassVar[tuple[str, ...]] = ()
    elsewhere: ClassVar[tuple[str, ...]] = ("recipe",)

    kind: str
    config: SerializeAsAny[Config]

    @property
    def entry(self) -> Entry:
        """The registry's line of this method."""
        return find("adaptations", self.kind)

    @model_validator(mode="before")
    @classmethod
    def _from_name_or_mapping(cls, value: Any) -> Any:
        given = {"kind": value} if isinstance(value, str) else value
        if not isinstance(given, dict):
            return given if isinstance(given, cls) else _refuse("must be a name, or a mapping with `kind`", value)
        if isinstance(given.get("config"), Config):
            return given
        given = dict(given)
        kind = given.pop("kind", None)
        if not isinstance(kind, str):
            _refuse("the mapping has no `kind`", value)
        parts = [name for name, entry in ADAPTATIONS.items() if PART in entry.traits]
        if kind not in parts:
            raise InputError("not a method that can be composed", value=kind, fix=nearest(kind, parts))
        for key in (key for key in cls.elsewhere if key in given):
            fix = f"write `{key}` beside `base` and `with`"
            raise InputError(f"a part has no {key} of its own", where=key, value=kind, fix=fix)
        return {"kind": kind, "config": find("adaptations", kind).config.model_validate(given)}

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.config.model_dump(mode="json", exclude=set(self.elsewhere))}

    def objective(self, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
        """What it adds to the training; None where all of its weights are 0."""
        found: Objective | None = self.entry.load().objective(self.config, detector, data, context)
        return found


class Composition(Config):
    """Methods that are one training.

    Attributes:
        base: a method by name, or a mapping with ``kind`` and its parameters.
        also: the methods beside it, likewise; written ``with`` in a study.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    base: Part = Field(default_factory=lambda: Part.model_validate("dann"))
    also: tuple[Part, ...] = Field(default=(), alias="with")

    @model_validator(mode="after")
    def _go_together(self) -> Composition:
        check_together(self.parts)
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """All methods, the base first."""
        return (self.base, *self.also)

    @property
    def title(self) -> str | None:
        """The methods' names, the base first: ``dann-coral``."""
        return "-".join(part.kind for part in self.parts) if self.also else None

    @property
    def revision(self) -> int:
        """The versions of all methods: a change of one of them is a change of the composition."""
        return sum(part.entry.version - 1 for part in self.parts)


def _refuse(problem: str, value: object) -> NoReturn:
    raise InputError(problem, value=value, fix="such as `coral`, or {kind: coral, weight: 5}")


def check_together(parts: Sequence[Part]) -> None:
    """Whether these methods, the base first, can be one training.

    Raises:
        InputError: one comes twice; two discriminators; a method that needs a discriminator without one, or beside
            one that takes its place. ``where`` is the key of the method that is in the way.
    """
    kinds = [part.kind for part in parts]
    places = {kind: f"with.{position - 1}" if position else "base" for position, kind in enumerate(kinds)}
    if twice := [kind for kind in kinds if kinds.count(kind) > 1]:
        problem, where = "a method comes twice in a composition", places[twice[0]]
        raise InputError(problem, where=where, value=twice[0], fix="delete one of them")
    having = {
        trait: [p.kind for p in parts if trait in p.entry.traits] for trait in (ADVERSARY, NO_ADVERSARY, ON_ADVERSARY)
    }
    brings, replaces, needs = having.values()
    if needs and replaces:
        problem = f"{needs[0]} reads the entropy of a domain discriminator, and {replaces[0]} has none"
        fix = f"leave {replaces[0]} out" + ("" if brings else ", and add `dann` or `cdan`")
        raise InputError(problem, where=places[replaces[0]], value=kinds, fix=fix)
    if needs and not brings:
        raise _without_adversary(kinds).at(places[needs[0]])
    if len(brings) > 1:
        problem, where = "two methods bring a domain discriminator", places[brings[1]]
        raise InputError(problem, where=where, value=brings, fix="leave one of them out")
    if brings and replaces:
        problem = f"{replaces[0]} takes the place of the domain discriminator that {brings[0]} brings"
        raise InputError(problem, where=places[replaces[0]], value=kinds, fix=f"leave {brings[0]} or {replaces[0]} out")


def check_alone(kind: str) -> None:
    """Whether this adaptation can be a training by itself.

    Raises:
        InputError: it changes the domain discriminator that another method brings.
    """
    if ON_ADVERSARY in ADAPTATIONS[kind].traits:
        raise _without_adversary([kind])


def _without_adversary(kinds: Sequence[str]) -> InputError:
    needs = next(kind for kind in kinds if ON_ADVERSARY in ADAPTATIONS[kind].traits)
    fix = f"write {{kind: compose, base: dann, with: [{', '.join(kinds)}]}}, or `cdan` for `dann`"
    return InputError(f"{needs} works on a domain discriminator, and there is none", value=list(kinds), fix=fix)


Build = Callable[["Detector", AdaptationData, Context], "Objective | None"]


def train_on(
    builds: Iterable[Build], recipe: Recipe, detector: Detector, data: AdaptationData, context: Context
) -> Outcome:
    """Train on with the task's term and all of these; nothing is done where all of their weights are 0.

    Args:
        builds: make each method's part of the objective.
        recipe: of the further training, which starts from the source detector.

    Returns:
        Figures of the source's validation images, and what the methods tell of themselves, of the chosen epoch; and
        ``predicted_prior``, the share of the target that is called fake afterwards.
    """
    from trainables.pseudo import with_prior

    return with_prior(train_together(builds, recipe, detector, data, context), detector, data, context)


def train_together(
    builds: Iterable[Build], recipe: Recipe, detector: Detector, data: AdaptationData, context: Context
) -> Outcome:
    """``train_on`` as a part of a longer stage, without the last figure."""
    from trainables.fit import fit
    from trainables.objective import SUPERVISED, Objective

    built = [part for part in (build(detector, data, context) for build in builds) if part is not None]
    # A change of another method's discriminator is nothing by itself.
    if all(part.relabel and not part.adversary for part in built):
        return Outcome()
    objective = reduce(Objective.joined, built, SUPERVISED)
    return _told(fit(detector, objective, recipe, data.source_train, data.source_val, context, target=data.target))


def _told(fitted: Fitted) -> Outcome:
    outcome, row = fitted.outcome(), fitted.curves[fitted.chosen]
    own = {key: row[key] for key in row if key not in _OF_EVERY_TRAINING and not key.startswith("val_")}
    return replace(outcome, metrics={**outcome.metrics, **own})
