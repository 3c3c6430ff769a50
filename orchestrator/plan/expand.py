"""From a study and what images there are to all of its cells."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Cell, Json, Reading, Stage, Tags, combine
from orchestrator.plan.coverage import require_images
from orchestrator.plan.graph import Plan, plan_of
from orchestrator.plan.tuned import awaiting, tuning_of
from orchestrator.plan.validation import validation
from orchestrator.study.model import (
    AdaptationChoice,
    AnalysisChoice,
    AttackChoice,
    ContinualChoice,
    CorruptionChoice,
    DetectorChoice,
    GeneratorSequence,
    Study,
    TunedChoice,
)
from orchestrator.study.spaces import described
from orchestrator.study.tuning import SOURCE_VAL
from trainables.contract import Split

SOURCE_ONLY = "source_only"
ORACLE = "oracle"
"""Trait of a method that reads the target's labels, and the selection of what it makes."""
THIRD = "third"
"""Trait of a rule that looks at generators which are neither the source nor the target."""
TRAINING_VERSION = 2
"""Raised when the fit loop, or what all detectors share, computes something else: every model is then another."""
AUDIT_VERSION = 1
"""Raised when the audit measures something else."""
SCORING_VERSION = 1
"""Raised when the scoring loop or the metrics compute something else."""
TUNING_VERSION = 1
"""Raised when the search asks for other trials, or judges them in another way."""


def expand(study: Study, catalogue: Catalogue) -> Plan:
    """Every cell of a study, parents first.

    Each (detector, source, seed) is trained once and read by all of its adaptations, scores, attacks and analyses.
    An adaptation with the trait ``identity`` has no cell: its rows are the source detector's own.

    Raises:
        InputError: a generator of the study is not in the data, or has no images in a split it needs.
    """
    return plan_of(study.name, _Expansion(study, catalogue).cells())


@dataclass(frozen=True)
class _Expansion:
    """The study's axes as names, and the cells along them."""

    study: Study
    catalogue: Catalogue

    @cached_property
    def sources(self) -> tuple[str, ...]:
        return self.catalogue.choose(self.study.train_generators, self.catalogue.fakes, "train_generators")

    @cached_property
    def tests(self) -> tuple[str, ...]:
        return self.catalogue.choose(self.study.test_generators, self.catalogue.fakes, "test_generators")

    @cached_property
    def train_reals(self) -> Mapping[str, tuple[str, ...]]:
        """The reals that stand against each source generator."""
        return {fake: self._reals(self.study.train_reals, fake, "train_reals") for fake in self.sources}

    @cached_property
    def test_reals(self) -> Mapping[str, tuple[str, ...]]:
        """The reals that stand against each test generator; of a source that is not tested, for its analyses."""
        fakes = dict.fromkeys((*self.tests, *(self.sources if self.study.analyses else ())))
        return {fake: self._reals(self.study.test_reals, fake, "test_reals") for fake in fakes}

    def _reals(self, chosen: str | Sequence[str], fake: str, key: str) -> tuple[str, ...]:
        return self.catalogue.reals_of(chosen, fake, key)

    @cached_property
    def image(self) -> Json:
        return self.study.preprocess.model_dump(mode="json")

    @cached_property
    def trained_adaptations(self) -> tuple[AdaptationChoice, ...]:
        return tuple(a for a in self.study.adaptations if "identity" not in a.entry.traits)

    def cells(self) -> Iterator[Cell]:
        self._check_splits()
        yield self._audit()
        for detector in self.study.detectors:
            for seed in self.study.seeds:
                for source in self.sources:
                    model = yield from self._tuned(self._train(detector, source, seed), detector)
                    yield from self._read(model)
                    for target in self.tests:
                        if target != source:
                            yield from self._adaptations(model, target)
                    for sequence in self.study.sequences:
                        if sequence.generators[0] == source:
                            yield from self._learnt(model, sequence)

    def _check_splits(self) -> None:
        source = {"train_generators": self.sources, "train_reals": _all_of(self.train_reals.values())}
        target = {"test_generators": self.tests, "test_reals": _all_of(self.test_reals[fake] for fake in self.tests)}
        require_images(self.catalogue, source, Split.TRAIN, Split.VAL)
        require_images(self.catalogue, target, Split.TEST)
        if self.trained_adaptations:
            require_images(self.catalogue, target, Split.ADAPT)
        for split in dict.fromkeys(split for a in self.trained_adaptations for split in _labelled(a)):
            require_images(self.catalogue, target, split)
        if self.study.analyses:
            seen = {
                "train_generators": self.sources,
                "test_reals": _all_of(self.test_reals[fake] for fake in self.sources),
            }
            require_images(self.catalogue, seen, Split.TEST)

    def _reading(self, role: str, fakes: Sequence[str], reals: Sequence[str], *splits: Split) -> Reading:
        key = (role, tuple(fakes), tuple(reals), splits)
        if key not in self._readings:  # a grid has far fewer sets of images than cells
            self._readings[key] = self.catalogue.reading(role, fakes, reals, *splits)
        return self._readings[key]

    @cached_property
    def _readings(self) -> dict[tuple[str, tuple[str, ...], tuple[str, ...], tuple[Split, ...]], Reading]:
        return {}

    def _workers(self, stage: Stage) -> int:
        return self.study.resources.of(stage).workers

    def _audit(self) -> Cell:
        """Of all images of the generators that the study reads, each against its own reals."""
        against = {
            fake: _all_of([self.train_reals.get(fake, ()), self.test_reals.get(fake, ())])
            for fake in dict.fromkeys((*self.sources, *self.tests))
        }
        read = self.catalogue.whole(tuple(against), _all_of(against.values()))
        return Cell(
            stage=Stage.AUDIT,
            method="shortcut",
            params={
                "image": self.image,
                "against": {fake: list(reals) for fake, reals in against.items()},
                "manifest": self.catalogue.manifest,
                "audit": AUDIT_VERSION,
            },
            reads=(read,),
            data=read.digest,
            tags=Tags(detector="", source="", target="", adaptation="", seed=0, selection=self.study.rule),
        )

    def _train(self, detector: DetectorChoice, source: str, seed: int) -> Cell:
        read = self._reading("source", [source], self.train_reals[source], Split.TRAIN, Split.VAL)
        return Cell(
            stage=Stage.TRAIN,
            method=detector.kind,
            version=detector.entry.version,
            params={
                "detector": detector.parameters,
                "image": self.image,
                "source": source,
                "reals": list(self.train_reals[source]),
                "seed": seed,
                "selection": SOURCE_VAL,
                "workers": self._workers(Stage.TRAIN),
                "training": TRAINING_VERSION,
            },
            reads=(read,),
            data=read.digest,
            tags=Tags(
                detector=detector.name,
                source=source,
                target=source,
                adaptation=SOURCE_ONLY,
                seed=seed,
                selection=SOURCE_VAL,
            ),
        )

    def _tuned(self, cell: Cell, choice: TunedChoice) -> Generator[Cell, None, Cell]:
        """The cell; where it is tuned, the search before it, and in its place what waits for that."""
        tuning = self.study.tuning_of(choice)
        if tuning is not None:
            search = {**tuning.model_dump(mode="json"), "space": described(choice.kind, choice.config, tuning)}
            tune = tuning_of(cell, {**search, "version": TUNING_VERSION})
            yield tune
            cell = awaiting(cell, tune)
        yield cell
        return cell

    def _adaptations(self, model: Cell, target: str) -> Iterator[Cell]:
        for adaptation in self.trained_adaptations:
            adapted = yield from self._tuned(self._adapt(model, target, adaptation), adaptation)
            if self._watched(adaptation):
                yield self._validate(adapted)
            yield from self._read(adapted)

    def _watched(self, adaptation: AdaptationChoice) -> bool:
        """Whether what the detector says of the images that rules look at is kept of every epoch.

        Never of an oracle, which the target's labels made; always of what is tuned, so that a trial can be judged.
        """
        tuned = self.study.tuning_of(adaptation) is not None
        return (self.study.keeps_epochs or tuned) and ORACLE not in adaptation.entry.traits

    def _validate(self, adapted: Cell) -> Cell:
        """Every rule's figure of every epoch of an adaptation, beside what the target's test labels say of it."""
        target = adapted.tags.target
        read = self._reading("test", [target], self.test_reals[target], Split.TEST)
        return validation(adapted, self.study.selection, read)

    def _watched_sets(self, source: str, target: str) -> Json:
        """Digests of the images that are looked at beside the source's and the target's own, by what they are for.

        Not those that the study's rules need but those that any rule could need: a rule that is named later is then a
        function of what was kept.
        """
        reals = self.test_reals[target]
        third = [name for name in self._third(source, target) if self.catalogue.count([name], Split.VAL)]
        labelled = all(self.catalogue.count([name], Split.VAL) for name in (target, *reals))
        return {
            "third": {name: self._reading("third", [name], [], Split.VAL).digest for name in third},
            "oracle": self._reading("oracle", [target], reals, Split.VAL).digest if labelled else None,
            "test": self._reading("test", [target], reals, Split.TEST).digest,
        }

    def _third(self, source: str, target: str) -> tuple[str, ...]:
        """The generators of the study that are neither."""
        return tuple(name for name in _all_of([self.sources, self.tests]) if name not in (source, target))

    def _learnt(self, model: Cell, sequence: GeneratorSequence) -> Iterator[Cell]:
        """The source detector on all generators of a sequence, and every method's steps along it."""
        for test in sequence.generators:
            yield self._score(model, test)
        for method in sequence.methods:
            before = model
            for step in range(1, len(sequence.generators)):
                before = self._step(before, sequence, step, method)
                yield before
                for test in sequence.generators:
                    yield self._score(before, test)

    def _step(self, before: Cell, sequence: GeneratorSequence, step: int, method: ContinualChoice) -> Cell:
        """A method's training on the next generator, with labels, from where its last step left the detector."""
        first, earlier, new = sequence.generators[0], sequence.generators[:step], sequence.generators[step]
        reads = (
            self._reading("earlier", earlier, _all_of(self.train_reals[g] for g in earlier), Split.TRAIN),
            self._reading("target", [new], self.train_reals[new], Split.TRAIN, Split.VAL),
        )
        return Cell(
            stage=Stage.ADAPT,
            method=method.kind,
            version=method.version,
            needs=(before.id,),
            params={
                "adaptation": method.parameters,
                "image": self.image,
                "source": first,
                "target": new,
                "train_reals": list(self.train_reals[first]),
                "test_reals": list(self.train_reals[new]),
                "earlier": {name: list(self.train_reals[name]) for name in earlier},
                "seed": before.tags.seed,
                "selection": SOURCE_VAL,
                "workers": self._workers(Stage.ADAPT),
            },
            reads=reads,
            data=combine(read.role + read.digest for read in reads),
            tags=replace(
                before.tags, target=new, adaptation=method.name, selection=SOURCE_VAL, sequence=sequence.name
            ),
        )

    def _adapt(self, model: Cell, target: str, adaptation: AdaptationChoice) -> Cell:
        source = model.tags.source
        selection = ORACLE if ORACLE in adaptation.entry.traits else self.study.rule
        of_source = self._reading("source", [source], self.train_reals[source], Split.TRAIN, Split.VAL)
        of_target = self._reading("target", [target], self.test_reals[target], Split.ADAPT, *_labelled(adaptation))
        return Cell(
            stage=Stage.ADAPT,
            method=adaptation.kind,
            version=adaptation.version,
            needs=(model.id,),
            params={
                "adaptation": adaptation.parameters,
                "image": self.image,
                "source": source,
                "target": target,
                "train_reals": list(self.train_reals[source]),
                "test_reals": list(self.test_reals[target]),
                "seed": model.tags.seed,
                "selection": selection,
                "watched": self._watched_sets(source, target) if self._watched(adaptation) else None,
                "workers": self._workers(Stage.ADAPT),
            },
            reads=(of_source, of_target),
            data=combine(["source" + of_source.digest, "target" + of_target.digest]),
            tags=replace(model.tags, target=target, adaptation=adaptation.name, selection=selection),
        )

    def _read(self, model: Cell) -> Iterator[Cell]:
        """The cells that read a model: scores on every test set, then attacks and analyses."""
        for test in self.tests:
            yield self._score(model, test)
            for corruption in self.study.corruptions:
                yield self._score(model, test, corruption)
        yield from self._attacks(model)
        yield from self._analyses(model)

    def _score(self, model: Cell, test: str, corruption: CorruptionChoice | None = None) -> Cell:
        read = self._reading("test", [test], self.test_reals[test], Split.TEST)
        return Cell(
            stage=Stage.SCORE,
            method=corruption.kind if corruption else "clean",
            version=corruption.entry.version if corruption else 1,
            needs=(model.id,),
            params={
                "corruption": corruption.parameters if corruption else None,
                "scoring": SCORING_VERSION,
                "image": self.image,
                "test": test,
                "reals": list(self.test_reals[test]),
            },
            reads=(read,),
            data=read.digest,
            tags=replace(model.tags, test=test, variant=corruption.name if corruption else ""),
        )

    def _attacks(self, model: Cell) -> Iterator[Cell]:
        target = model.tags.target
        for attack in self.study.attacks:
            if target in self.tests and _wanted(attack, model):
                read = self._reading("test", [target], self.test_reals[target], Split.TEST)
                yield Cell(
                    stage=Stage.ATTACK,
                    method=attack.kind,
                    version=attack.entry.version,
                    needs=(model.id,),
                    params={
                        "attack": attack.parameters,
                        "image": self.image,
                        "test": target,
                        "reals": list(self.test_reals[target]),
                        "seed": model.tags.seed,
                    },
                    reads=(read,),
                    data=read.digest,
                    tags=replace(model.tags, test=target, variant=attack.name),
                )

    def _analyses(self, model: Cell) -> Iterator[Cell]:
        seen = model.tags.source
        unseen = [test for test in self.tests if test != seen]
        for analysis in self.study.analyses:
            if _wanted(analysis, model):
                reals = self.test_reals[seen]
                read = self._reading("test", [seen, *unseen], reals, Split.TEST)
                yield Cell(
                    stage=Stage.ANALYSE,
                    method=analysis.kind,
                    version=analysis.entry.version,
                    needs=(model.id,),
                    params={
                        "analysis": analysis.parameters,
                        "image": self.image,
                        "seen": seen,
                        "unseen": list(unseen),
                        "reals": list(reals),
                        "seed": model.tags.seed,
                    },
                    reads=(read,),
                    data=read.digest,
                    tags=replace(model.tags, variant=analysis.name),
                )


def _all_of(several: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Every name once, in the order in which they come."""
    return tuple(dict.fromkeys(name for names in several for name in names))


def _labelled(adaptation: AdaptationChoice) -> tuple[Split, ...]:
    """The splits of the target that are read with labels."""
    if ORACLE in adaptation.entry.traits:
        return (Split.TRAIN, Split.VAL)
    return (Split.FEW,) if "few" in adaptation.entry.traits or adaptation.config.reads_few else ()


def _wanted(choice: AttackChoice | AnalysisChoice, model: Cell) -> bool:
    return choice.adaptations == "all" or model.tags.adaptation in choice.adaptations
