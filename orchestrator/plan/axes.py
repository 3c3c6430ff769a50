"""What a study asks about, as names and images: the axes along which its cells lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Json, Reading, Stage
from orchestrator.plan.sampling import Taken, balanced
from orchestrator.study.generators import SourceGroup
from orchestrator.study.model import Study
from orchestrator.study.rooms import ORACLE, AdaptationChoice, DetectorChoice
from trainables.contract import Split
from trainables.errors import InputError


@dataclass(frozen=True, slots=True)
class Source:
    """What a source detector is trained on: one generator, or a group of several at once.

    Attributes:
        name: of the generator or of the group.
        generators: one, or two and more.
        taken: of which of them not all images are taken, and how many are, by split.
    """

    name: str
    generators: tuple[str, ...]
    taken: Taken

    @property
    def params(self) -> dict[str, Json]:
        """What cells say of it; a group is known by its members, not by its name."""
        if len(self.generators) == 1:
            return {"source": self.generators[0]}
        taken: dict[str, Json] = {split: dict(counts) for split, counts in self.taken.items()}
        return {"source": list(self.generators), "taken": taken}


@dataclass(frozen=True)
class Axes:
    """The axes of a study as names, and the images that lie along them."""

    study: Study
    catalogue: Catalogue

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Each gives a source detector; members of groups are no source by themselves, unless they are listed.

        Raises:
            InputError: a generator is not in the data, or a group has a generator's name.
        """
        chosen, key = self.study.train_generators or (), "train_generators"
        if isinstance(chosen, str):
            return tuple(Source(name, (name,), {}) for name in self.catalogue.choose(chosen, self.catalogue.fakes, key))
        return tuple(self._source(given, f"{key}.{place}") for place, given in enumerate(chosen))

    def _source(self, given: str | SourceGroup, where: str) -> Source:
        if isinstance(given, str):
            return Source(given, self.catalogue.choose([given], self.catalogue.fakes, "train_generators"), {})
        known = (*self.catalogue.fakes, *self.catalogue.reals)
        if given.name in known:
            fix = "give the group another `name:`"
            raise InputError("a generator has this name", where=f"{where}.name", value=given.name, fix=fix)
        fakes = self.catalogue.choose(given.generators, self.catalogue.fakes, f"{where}.generators")
        reals = all_of(self._reals(self.study.train_reals, fake, "train_reals") for fake in fakes)
        return Source(given.name, fakes, balanced(self.catalogue, fakes, reals) if given.balanced else {})

    @cached_property
    def learnt(self) -> tuple[str, ...]:
        """Every generator that some source detector is trained on."""
        return all_of(source.generators for source in self.sources)

    @cached_property
    def tests(self) -> tuple[str, ...]:
        """The generators that every detector is tested on."""
        return self.catalogue.choose(self.study.test_generators, self.catalogue.fakes, "test_generators")

    @cached_property
    def train_reals(self) -> Mapping[str, tuple[str, ...]]:
        """The reals that stand against each generator that is learnt."""
        return {fake: self._reals(self.study.train_reals, fake, "train_reals") for fake in self.learnt}

    @cached_property
    def test_reals(self) -> Mapping[str, tuple[str, ...]]:
        """The reals that stand against each test generator; of what is learnt and not tested, for its analyses."""
        fakes = dict.fromkeys((*self.tests, *(self.learnt if self.study.analyses else ())))
        return {fake: self._reals(self.study.test_reals, fake, "test_reals") for fake in fakes}

    def _reals(self, chosen: str | Sequence[str], fake: str, key: str) -> tuple[str, ...]:
        return self.catalogue.reals_of(chosen, fake, key)

    def reals_of(self, source: Source) -> tuple[str, ...]:
        """The reals that a source detector is trained with."""
        return all_of(self.train_reals[fake] for fake in source.generators)

    def targets_of(self, source: Source) -> tuple[str, ...]:
        """The test generators that its detector is adapted to: those it was not trained on."""
        return tuple(test for test in self.tests if test not in source.generators)

    @cached_property
    def targets(self) -> Mapping[str, Sequence[str]]:
        """The generators that some detector is adapted to, with the reals that stand against each."""
        wanted = {target for source in self.sources for target in self.targets_of(source)}
        return {fake: self.test_reals[fake] for fake in self.tests if fake in wanted}

    @cached_property
    def image(self) -> Json:
        """The way in which the study makes images into squares of pixels."""
        return self.study.preprocess.model_dump(mode="json")

    def image_of(self, detector: DetectorChoice) -> Json:
        """The way in which a detector, and all that reads it, does."""
        return self.study.preprocess_of(detector).model_dump(mode="json")

    @cached_property
    def trained_adaptations(self) -> tuple[AdaptationChoice, ...]:
        """Those with cells of their own."""
        return tuple(a for a in self.study.adaptations if "identity" not in a.entry.traits)

    def computing(self, stage: Stage) -> dict[str, Json]:
        """What of the resources determines the result of a cell of the stage: ``workers``, and what is not as usual."""
        return self.study.resources.of(stage).parameters

    def watched(self, adaptation: AdaptationChoice) -> bool:
        """Whether what the detector says of the images that rules look at is kept of every epoch.

        Never of an oracle, which the target's labels made; always of what is tuned, so that a trial can be judged.
        """
        tuned = self.study.tuning_of(adaptation) is not None
        return (self.study.keeps_epochs or tuned) and ORACLE not in adaptation.entry.traits

    def third(self, source: Source, target: str) -> tuple[str, ...]:
        """The generators of the study that are neither, and have held-out images."""
        others = (name for name in all_of([self.learnt, self.tests]) if name not in (*source.generators, target))
        return tuple(name for name in others if self.catalogue.count([name], Split.VAL))

    def of_source(self, source: Source) -> Reading:
        """The images that a source detector is trained with, and its epoch chosen."""
        return self.reading(
            "source", source.generators, self.reals_of(source), Split.TRAIN, Split.VAL, taken=source.taken
        )

    def reading(
        self, role: str, fakes: Sequence[str], reals: Sequence[str], *splits: Split, taken: Taken | None = None
    ) -> Reading:
        """The images of these generators and real sources in these splits, as what they are to a cell."""
        if taken:
            return self.catalogue.reading(role, fakes, reals, *splits, taken=taken)
        key = (role, tuple(fakes), tuple(reals), splits)
        if key not in self._readings:  # a grid has far fewer sets of images than cells
            self._readings[key] = self.catalogue.reading(role, fakes, reals, *splits)
        return self._readings[key]

    @cached_property
    def _readings(self) -> dict[tuple[str, tuple[str, ...], tuple[str, ...], tuple[Split, ...]], Reading]:
        return {}


def all_of(several: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Every name once, in the order in which they come."""
    return tuple(dict.fromkeys(name for names in several for name in names))


def labelled(adaptation: AdaptationChoice) -> tuple[Split, ...]:
    """The splits of the target that an adaptation reads with labels."""
    if ORACLE in adaptation.entry.traits:
        return (Split.TRAIN, Split.VAL)
    return (Split.FEW,) if "few" in adaptation.entry.traits or adaptation.config.reads_few else ()
