"""From a study and what images there are to all of its cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Cell, Digest, Json, Stage, Tags, combine
from orchestrator.plan.coverage import require_images
from orchestrator.plan.graph import Plan, plan_of
from orchestrator.study.model import (
    AdaptationChoice,
    AnalysisChoice,
    AttackChoice,
    CorruptionChoice,
    DetectorChoice,
    Study,
)
from trainables.contract import Split

SOURCE_ONLY = "source_only"
TRAINING_VERSION = 1
"""Raised when the fit loop, or what all detectors share, computes something else: every model is then another."""
SCORING_VERSION = 1
"""Raised when the scoring loop or the metrics compute something else."""


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
    def train_reals(self) -> tuple[str, ...]:
        return self.catalogue.choose(self.study.data.train_reals, self.catalogue.reals, "data.train_reals")

    @cached_property
    def test_reals(self) -> tuple[str, ...]:
        return self.catalogue.choose(self.study.data.test_reals, self.catalogue.reals, "data.test_reals")

    @cached_property
    def image(self) -> Json:
        return self.study.image.model_dump(mode="json")

    @cached_property
    def trained_adaptations(self) -> tuple[AdaptationChoice, ...]:
        return tuple(a for a in self.study.adaptations if "identity" not in a.entry.traits)

    def cells(self) -> Iterator[Cell]:
        self._check_splits()
        for detector in self.study.detectors:
            for seed in self.study.seeds:
                for source in self.sources:
                    model = self._train(detector, source, seed)
                    yield model
                    yield from self._read(model)
                    for target in self.tests:
                        if target != source:
                            yield from self._adaptations(model, target)

    def _check_splits(self) -> None:
        source = {"train_generators": self.sources, "data.train_reals": self.train_reals}
        target = {"test_generators": self.tests, "data.test_reals": self.test_reals}
        require_images(self.catalogue, source, Split.TRAIN, Split.VAL)
        require_images(self.catalogue, target, Split.TEST)
        if self.trained_adaptations:
            require_images(self.catalogue, target, Split.ADAPT)
        if any(_reads_few(adaptation) for adaptation in self.trained_adaptations):
            require_images(self.catalogue, target, Split.FEW)
        if self.study.analyses:
            require_images(self.catalogue, {"train_generators": self.sources}, Split.TEST)

    def _digest(self, fakes: Sequence[str], reals: Sequence[str], *splits: Split) -> Digest:
        return self.catalogue.digest((*fakes, *reals), *splits)

    def _workers(self, stage: Stage) -> int:
        return self.study.resources.of(stage).workers

    def _train(self, detector: DetectorChoice, source: str, seed: int) -> Cell:
        return Cell(
            stage=Stage.TRAIN,
            method=detector.kind,
            version=detector.entry.version,
            params={
                "detector": detector.parameters,
                "image": self.image,
                "source": source,
                "reals": list(self.train_reals),
                "seed": seed,
                "selection": self.study.selection,
                "workers": self._workers(Stage.TRAIN),
                "training": TRAINING_VERSION,
            },
            data=self._digest([source], self.train_reals, Split.TRAIN, Split.VAL),
            tags=Tags(
                detector=detector.name,
                source=source,
                target=source,
                adaptation=SOURCE_ONLY,
                seed=seed,
                selection=self.study.selection,
            ),
        )

    def _adaptations(self, model: Cell, target: str) -> Iterator[Cell]:
        for adaptation in self.trained_adaptations:
            adapted = self._adapt(model, target, adaptation)
            yield adapted
            yield from self._read(adapted)

    def _adapt(self, model: Cell, target: str, adaptation: AdaptationChoice) -> Cell:
        splits = (Split.ADAPT, Split.FEW) if _reads_few(adaptation) else (Split.ADAPT,)
        source = model.tags.source
        return Cell(
            stage=Stage.ADAPT,
            method=adaptation.kind,
            version=adaptation.entry.version,
            needs=(model.id,),
            params={
                "adaptation": adaptation.parameters,
                "image": self.image,
                "source": source,
                "target": target,
                "train_reals": list(self.train_reals),
                "test_reals": list(self.test_reals),
                "seed": model.tags.seed,
                "selection": self.study.selection,
                "workers": self._workers(Stage.ADAPT),
            },
            data=combine(
                [
                    "source" + self._digest([source], self.train_reals, Split.TRAIN, Split.VAL),
                    "target" + self._digest([target], self.test_reals, *splits),
                ]
            ),
            tags=replace(model.tags, target=target, adaptation=adaptation.name),
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
                "reals": list(self.test_reals),
            },
            data=self._digest([test], self.test_reals, Split.TEST),
            tags=replace(model.tags, test=test, variant=corruption.name if corruption else ""),
        )

    def _attacks(self, model: Cell) -> Iterator[Cell]:
        target = model.tags.target
        for attack in self.study.attacks:
            if target in self.tests and _wanted(attack, model):
                yield Cell(
                    stage=Stage.ATTACK,
                    method=attack.kind,
                    version=attack.entry.version,
                    needs=(model.id,),
                    params={
                        "attack": attack.parameters,
                        "image": self.image,
                        "test": target,
                        "reals": list(self.test_reals),
                        "seed": model.tags.seed,
                    },
                    data=self._digest([target], self.test_reals, Split.TEST),
                    tags=replace(model.tags, test=target, variant=attack.name),
                )

    def _analyses(self, model: Cell) -> Iterator[Cell]:
        seen = model.tags.source
        unseen = [test for test in self.tests if test != seen]
        for analysis in self.study.analyses:
            if _wanted(analysis, model):
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
                        "reals": list(self.test_reals),
                        "seed": model.tags.seed,
                    },
                    data=self._digest([seen, *unseen], self.test_reals, Split.TEST),
                    tags=replace(model.tags, variant=analysis.name),
                )


def _reads_few(adaptation: AdaptationChoice) -> bool:
    return "few" in adaptation.entry.traits


def _wanted(choice: AttackChoice | AnalysisChoice, model: Cell) -> bool:
    return choice.adaptations == "all" or model.tags.adaptation in choice.adaptations
