"""The cells that make a detector: trained on a source, adapted to a target; the search before, the rules after."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace

from orchestrator.plan.axes import Axes, Source, labelled
from orchestrator.plan.cells import Cell, Digest, Json, Stage, Tags, combine
from orchestrator.plan.tuned import awaiting, tuning_of
from orchestrator.plan.validation import validation
from orchestrator.study.rooms import ORACLE, SOURCE_ONLY, AdaptationChoice, DetectorChoice, TunedChoice
from orchestrator.study.spaces import described
from orchestrator.study.tuning import SOURCE_VAL
from trainables.contract import Split
from trainables.registry import find

TRAINING_VERSION = 2
"""Raised when the fit loop, or what all detectors share, computes something else: every model is then another."""
TUNING_VERSION = 1
"""Raised when the search asks for other trials, or judges them in another way."""


def trained(axes: Axes, detector: DetectorChoice, source: Source, seed: int) -> Cell:
    """A source detector."""
    read = axes.of_source(source)
    return Cell(
        stage=Stage.TRAIN,
        method=detector.kind,
        version=detector.entry.version,
        params=training(axes, detector.parameters, axes.image_of(detector), source, seed),
        reads=(read,),
        data=read.digest,
        tags=Tags(
            detector=detector.name,
            source=source.name,
            target=source.name,
            adaptation=SOURCE_ONLY,
            seed=seed,
            selection=SOURCE_VAL,
        ),
    )


def training(axes: Axes, parameters: Mapping[str, Json], image: Json, source: Source, seed: int) -> dict[str, Json]:
    """The parameters of every train cell; what comes of its detector sees the images as it does: ``image``."""
    return {
        "detector": dict(parameters),
        "image": image,
        **source.params,
        "reals": list(axes.reals_of(source)),
        "seed": seed,
        "selection": SOURCE_VAL,
        **axes.computing(Stage.TRAIN),
        "training": TRAINING_VERSION,
    }


def adapted(axes: Axes, model: Cell, source: Source, target: str, adaptation: AdaptationChoice) -> Cell:
    """A source detector, adapted to a generator that it was not trained on."""
    selection = ORACLE if ORACLE in adaptation.entry.traits else axes.study.rule
    of_source, reals = axes.of_source(source), axes.test_reals[target]
    of_target = axes.reading("target", [target], reals, Split.ADAPT, *labelled(adaptation))
    return Cell(
        stage=Stage.ADAPT,
        method=adaptation.kind,
        version=adaptation.version + find("selections", selection).version - 1,  # which chose the epoch
        needs=(model.id,),
        params={
            "adaptation": adaptation.parameters,
            "image": model.params["image"],
            **source.params,
            "target": target,
            "train_reals": list(axes.reals_of(source)),
            "test_reals": list(reals),
            "seed": model.tags.seed,
            "selection": selection,
            "watched": watched_sets(axes, source, target) if axes.watched(adaptation) else None,
            **axes.computing(Stage.ADAPT),
        },
        reads=(of_source, of_target),
        data=combine(["source" + of_source.digest, "target" + of_target.digest]),
        tags=replace(model.tags, target=target, adaptation=adaptation.name, selection=selection),
    )


def watched_sets(axes: Axes, source: Source, target: str) -> Json:
    """Digests of the images that are looked at beside the source's and the target's own, by what they are for.

    Not those that the study's rules need but those that any rule could need: a rule that is named later is then a
    function of what was kept.
    """
    reals = axes.test_reals[target]

    def digest(role: str, fake: str, against: tuple[str, ...], split: Split) -> Digest:
        return axes.reading(role, [fake], against, split).digest

    held_out = all(axes.catalogue.count([name], Split.VAL) for name in (target, *reals))
    return {
        "third": {name: digest("third", name, (), Split.VAL) for name in axes.third(source, target)},
        "oracle": digest("oracle", target, reals, Split.VAL) if held_out else None,
        "test": digest("test", target, reals, Split.TEST),
    }


def validated(axes: Axes, model: Cell) -> Cell:
    """Every rule's figure of every epoch of an adaptation, beside what the target's test labels say of it."""
    target = model.tags.target
    read = axes.reading("test", [target], axes.test_reals[target], Split.TEST)
    return validation(model, axes.study.selection, read)


def tuned(axes: Axes, cell: Cell, choice: TunedChoice) -> Generator[Cell, None, Cell]:
    """The cell; where it is tuned, the search before it, and in its place what waits for that."""
    tuning = axes.study.tuning_of(choice)
    if tuning is not None:
        search = {**tuning.model_dump(mode="json"), "space": described(choice.kind, choice.config, tuning)}
        tune = tuning_of(cell, {**search, "version": TUNING_VERSION})
        yield tune
        cell = awaiting(cell, tune)
    yield cell
    return cell
