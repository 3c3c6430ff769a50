"""The cells of detectors that learn one generator after the other, with labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.plan.axes import Axes, all_of
from orchestrator.plan.cells import Cell, Stage, combine
from orchestrator.plan.readers import score
from orchestrator.study.generators import GeneratorSequence
from orchestrator.study.rooms import ContinualChoice
from orchestrator.study.tuning import SOURCE_VAL
from trainables.contract import Split


def learnt(axes: Axes, model: Cell, sequence: GeneratorSequence) -> Iterator[Cell]:
    """The source detector on all generators of a sequence, and every method's steps along it."""
    for test in sequence.generators:
        yield score(axes, model, test)
    for method in sequence.methods:
        before = model
        for step in range(1, len(sequence.generators)):
            before = _step(axes, before, sequence, step, method)
            yield before
            for test in sequence.generators:
                yield score(axes, before, test)


def _step(axes: Axes, before: Cell, sequence: GeneratorSequence, step: int, method: ContinualChoice) -> Cell:
    """A method's training on the next generator, with labels, from where its last step left the detector."""
    first, earlier, new = sequence.generators[0], sequence.generators[:step], sequence.generators[step]
    reals = axes.train_reals
    reads = (
        axes.reading("earlier", earlier, all_of(reals[name] for name in earlier), Split.TRAIN),
        axes.reading("target", [new], reals[new], Split.TRAIN, Split.VAL),
    )
    return Cell(
        stage=Stage.ADAPT,
        method=method.kind,
        version=method.version,
        needs=(before.id,),
        params={
            "adaptation": method.parameters,
            "image": before.params["image"],
            "source": first,
            "target": new,
            "train_reals": list(reals[first]),
            "test_reals": list(reals[new]),
            "earlier": {name: list(reals[name]) for name in earlier},
            "seed": before.tags.seed,
            "selection": SOURCE_VAL,
            "watched": None,
            **axes.computing(Stage.ADAPT),
        },
        reads=reads,
        data=combine(read.role + read.digest for read in reads),
        tags=replace(before.tags, target=new, adaptation=method.name, selection=SOURCE_VAL, sequence=sequence.name),
    )
