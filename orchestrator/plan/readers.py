"""The cells that read a detector: its scores, the attacks on it, the analyses of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.plan.axes import Axes, Source, all_of
from orchestrator.plan.cells import Cell, Json, Stage
from orchestrator.study.rooms import AnalysisChoice, AttackChoice, CorruptionChoice
from trainables.contract import Split

SCORING_VERSION = 1
"""Raised when the scoring loop or the metrics compute something else."""


def readers(axes: Axes, model: Cell, source: Source) -> Iterator[Cell]:
    """Scores on every test set, clean and under every corruption, then attacks and analyses."""
    for test in axes.tests:
        yield score(axes, model, test)
        for corruption in axes.study.corruptions:
            yield score(axes, model, test, corruption)
    yield from _attacks(axes, model, source)
    yield from _analyses(axes, model, source)


def score(axes: Axes, model: Cell, test: str, corruption: CorruptionChoice | None = None) -> Cell:
    """A detector's scores of one generator's test images and its reals'."""
    read = axes.reading("test", [test], axes.test_reals[test], Split.TEST)
    return Cell(
        stage=Stage.SCORE,
        method=corruption.kind if corruption else "clean",
        version=corruption.entry.version if corruption else 1,
        needs=(model.id,),
        params={
            "corruption": corruption.parameters if corruption else None,
            "scoring": SCORING_VERSION,
            "image": model.params.get("image", axes.image),  # a table of scores has seen none
            "test": test,
            "reals": list(axes.test_reals[test]),
        },
        reads=(read,),
        data=read.digest,
        tags=replace(model.tags, test=test, variant=corruption.name if corruption else ""),
    )


def _attacks(axes: Axes, model: Cell, source: Source) -> Iterator[Cell]:
    """On the target's images; of a source detector, on those of every generator that it was trained on."""
    attacked = source.generators if model.tags.target == source.name else (model.tags.target,)
    for attack in axes.study.attacks:
        for test in attacked:
            if test in axes.tests and _wanted(attack, model):
                yield _attack(axes, model, test, attack)


def _attack(axes: Axes, model: Cell, test: str, attack: AttackChoice) -> Cell:
    read = axes.reading("test", [test], axes.test_reals[test], Split.TEST)
    return Cell(
        stage=Stage.ATTACK,
        method=attack.kind,
        version=attack.entry.version,
        needs=(model.id,),
        params={
            "attack": attack.parameters,
            "image": model.params["image"],
            "test": test,
            "reals": list(axes.test_reals[test]),
            "seed": model.tags.seed,
        },
        reads=(read,),
        data=read.digest,
        tags=replace(model.tags, test=test, variant=attack.name),
    )


def _analyses(axes: Axes, model: Cell, source: Source) -> Iterator[Cell]:
    """Of images of real sources, of the generators that were trained on, and of all others that are tested."""
    unseen = axes.targets_of(source)
    seen: Json = list(source.generators) if len(source.generators) > 1 else source.generators[0]
    for analysis in axes.study.analyses:
        if _wanted(analysis, model):
            reals = all_of(axes.test_reals[fake] for fake in source.generators)
            read = axes.reading("test", [*source.generators, *unseen], reals, Split.TEST)
            yield Cell(
                stage=Stage.ANALYSE,
                method=analysis.kind,
                version=analysis.entry.version,
                needs=(model.id,),
                params={
                    "analysis": analysis.parameters,
                    "image": model.params["image"],
                    "seen": seen,
                    "unseen": list(unseen),
                    "reals": list(reals),
                    "seed": model.tags.seed,
                },
                reads=(read,),
                data=read.digest,
                tags=replace(model.tags, variant=analysis.name),
            )


def _wanted(choice: AttackChoice | AnalysisChoice, model: Cell) -> bool:
    return choice.adaptations == "all" or model.tags.adaptation in choice.adaptations
