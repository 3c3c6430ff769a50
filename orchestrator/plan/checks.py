"""What is refused before anything starts: a study that asks for images, names or rules that are not there."""

from __future__ import annotations

from orchestrator.plan.axes import Axes, all_of, labelled
from orchestrator.plan.cells import Stage
from orchestrator.plan.coverage import require_few, require_held_out, require_images, require_third
from orchestrator.plan.fusing import check_families
from orchestrator.plan.graph import Plan
from orchestrator.plan.outside import check_outside
from orchestrator.study.rooms import ORACLE
from trainables.architecture import OnBackbone
from trainables.backbones.names import family
from trainables.backbones.published import FILES
from trainables.contract import Split
from trainables.errors import InputError
from trainables.few import Drawn
from trainables.registry import find

THIRD = "third"
"""Trait of a rule that looks at generators which are neither the source nor the target."""


def check(axes: Axes) -> None:
    """Whether the study's cells can all be done.

    Raises:
        InputError: a network takes no squares as small as it is given, a generator has no images in a split that is
            read, a rule has nothing to look at, or a sequence names what the study does not train on or test.
    """
    _check_sizes(axes)
    _check_images(axes)
    _check_rule(axes)
    _check_sequences(axes)
    check_families(axes)
    check_outside(axes)
    drawing = [a for a in axes.trained_adaptations if Split.FEW in labelled(a)]
    wanted = {a.name: a.config.k for a in drawing if isinstance(a.config, Drawn)}
    require_few(axes.catalogue, wanted, axes.targets)


def check_attacks(axes: Axes, plan: Plan) -> None:
    """Whether every attack of the study is made on some detector.

    Raises:
        InputError: the images that it is made with are of no generator that is tested, or nothing makes the detectors.
    """
    made = [(cell.method, cell.params["attack"]) for cell in plan if cell.stage is Stage.ATTACK]
    for place, attack in enumerate(axes.study.attacks):
        if (attack.kind, attack.parameters) not in made:
            raise InputError(
                "no detector would be attacked: one is with images of a generator that it was trained on, or adapted "
                "to, and that is tested",
                where=f"attacks.{place}",
                value=attack.name,
                fix="add a generator of `train_generators` to `test_generators`, attack detectors that are adapted "
                "(`adaptations`), or leave the attack out",
            )


def _check_sizes(axes: Axes) -> None:
    """Whether networks of torchvision take squares of the size that they are given; others tell once they are built."""
    for place, detector in enumerate(axes.study.detectors):
        config, size = detector.config, axes.study.preprocess_of(detector).size
        if not isinstance(config, OnBackbone) or config.architecture not in FILES:
            continue
        least = family(config.architecture).smallest(getattr(config, "stem_stride", 2))
        if size < least:
            own = f"detectors.{place}." if detector.preprocess else ""
            fix = f"make it {least} at least" + ("" if own else ", or give this detector a `preprocess` of its own")
            raise InputError(
                f"{detector.name} takes no squares of less than {least} pixels a side",
                where=f"{own}preprocess.size",
                value=size,
                fix=fix,
            )


def _check_images(axes: Axes) -> None:
    source = {"train_generators": axes.learnt, "train_reals": all_of(axes.train_reals.values())}
    target = {"test_generators": axes.tests, "test_reals": all_of(axes.test_reals[fake] for fake in axes.tests)}
    require_images(axes.catalogue, source, Split.TRAIN, Split.VAL)
    require_images(axes.catalogue, target, Split.TEST)
    if axes.trained_adaptations:
        require_images(axes.catalogue, target, Split.ADAPT)
    for split in dict.fromkeys(split for a in axes.trained_adaptations for split in labelled(a)):
        require_images(axes.catalogue, target, split)
    if axes.study.analyses:
        reals = all_of(axes.test_reals[fake] for fake in axes.learnt)
        require_images(axes.catalogue, {"train_generators": axes.learnt, "test_reals": reals}, Split.TEST)


def _check_rule(axes: Axes) -> None:
    """Whether there are the images that the study's first rule looks at; what others lack leaves them undefined."""
    if not any(axes.watched(adaptation) for adaptation in axes.trained_adaptations):
        return
    rule, traits = axes.study.rule, find("selections", axes.study.rule).traits
    if THIRD in traits:
        pairs = [(source, target) for source in axes.sources for target in axes.targets_of(source)]
        require_third(rule, {(source.name, target): axes.third(source, target) for source, target in pairs})
    if ORACLE in traits:
        require_held_out(axes.catalogue, rule, axes.targets)


def _check_sequences(axes: Axes) -> None:
    """Whether every generator of every sequence is trained on and tested, and no two sequences have one name."""
    sequences, sources = axes.study.sequences, [source.name for source in axes.sources]
    for number, sequence in enumerate(sequences):
        if sequence.name in [other.name for other in sequences[:number]]:
            where = f"sequences.{number}.name"
            raise InputError("two have this name", where=where, value=sequence.name, fix="give one another `name:`")
        for place, name in enumerate(sequence.generators):
            for key, names in (("train_generators", sources), ("test_generators", axes.tests)):
                if name not in names:
                    where, fix = f"sequences.{number}.generators.{place}", f"add it to `{key}`, or leave it out"
                    raise InputError(f"it is not among `{key}`", where=where, value=name, fix=fix)
