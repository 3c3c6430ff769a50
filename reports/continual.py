"""Generators learnt one after the other: what a detector knows of each of them after each step.

R[t, i] is the test accuracy (or AUROC) on generator i after step t; generators are numbered 0 to T in the order in
which they are learnt, and step 0 is the source detector. The formulas are those of Lopez-Paz & Ranzato 2017 (arXiv
1706.08840), equations 2 to 4, and of Chaudhry et al. 2018 (arXiv 1801.10112), who define forgetting. All methods train
on labels: their figures stand apart from those of adaptations without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from orchestrator.plan.cells import Cell, CellId, Stage
from reports.frames import INTERVAL, Row, interval_columns
from reports.results import Results
from reports.statistics import Estimate, Floats, over_seeds

CONTINUAL_METRICS = ("accuracy", "auroc")
NAIVE, JOINT = "naive", "joint"
"""The methods that bound what the others reach; by kind, whatever a study calls them."""

_PLACE = ("plan", "detector", "sequence", "adaptation", "kind", "metric")


def average(r: Floats) -> Floats:
    """ACC: ``mean_i R[T, i]``, over all generators in the end.

    Args:
        r: R, (T + 1, T + 1), or (T + 1, T + 1, B) of B resamples; so for every figure below.
    """
    return np.asarray(r[-1].mean(axis=0))


def newly_learnt(r: Floats) -> Floats:
    """``mean_{i>0} R[i, i]``: each generator at the step that learnt it. What never learns has nothing to forget."""
    return _mean([r[i, i] for i in range(1, len(r))])


def backward_transfer(r: Floats) -> Floats:
    """BWT: ``mean_{i<T} (R[T, i] - R[i, i])``: what later steps made of earlier generators; below 0 for a loss."""
    return _mean([r[-1, i] - r[i, i] for i in range(len(r) - 1)])


def forgetting(r: Floats) -> Floats:
    """``mean_{i<T} (max_{t<T} R[t, i] - R[T, i])``: how far each generator fell from its best.

    A maximum of uncertain figures is too large on average, and more so in resamples: intervals lean upwards.
    """
    return np.asarray((r[:-1, :-1].max(axis=0) - r[-1, :-1]).mean(axis=0))


def unseen(r: Floats) -> Floats:
    """``mean_{i>0} R[i - 1, i]``: each generator just before it is learnt.

    Forward transfer (FWT) without its baseline, the accuracy of an untrained detector.
    """
    return _mean([r[i - 1, i] for i in range(1, len(r))])


FIGURES: Mapping[str, Callable[[Floats], Floats]] = {
    "average": average,
    "newly_learnt": newly_learnt,
    "backward_transfer": backward_transfer,
    "forgetting": forgetting,
    "unseen": unseen,
}
OVER_NAIVE = "average_over_naive"
COURSES = (
    *(*_PLACE, "generators", "seeds", "seeds_planned"),
    *(name + end for name in (*FIGURES, OVER_NAIVE) for end in INTERVAL),
)
MATRICES = (*_PLACE, "step", "learnt", "test", "seeds", *("value" + end for end in INTERVAL))


@dataclass(frozen=True, eq=False)
class Course:
    """A detector that learns a sequence by one method.

    Attributes:
        kind: the method's registry name; ``adaptation`` is what the study calls it.
        generators: in the order in which they are learnt.
        models: by seed, the source detector and the model after each step.
        scores: the cells that score a model on a generator, of this course and of others.
        recipe: of its training.
    """

    results: Results
    detector: str
    sequence: str
    adaptation: str
    kind: str
    generators: tuple[str, ...]
    models: Mapping[int, Sequence[CellId]]
    scores: Mapping[tuple[CellId, str], Cell]
    recipe: object

    def cells(self, step: int, generator: int) -> dict[int, Cell]:
        """The cells behind an entry of R, by seed."""
        test = self.generators[generator]
        found = {seed: self.scores.get((models[step], test)) for seed, models in self.models.items()}
        return {seed: cell for seed, cell in found.items() if cell is not None}

    def entry(self, step: int, generator: int, metric: str) -> tuple[Estimate | None, int]:
        """An entry of R as its mean over the seeds that know it, and their number."""
        estimates = self.results.estimates
        known = {s: estimates[c.id][metric] for s, c in self.cells(step, generator).items() if c.id in estimates}
        return (over_seeds(known, self.results.resampler) if known else None), len(known)

    def figure(self, figure: Callable[[Floats], Floats], metric: str, less: Course | None = None) -> Estimate | None:
        """A figure of R, seed by seed, and its mean over the seeds whose R is whole; None where there is none.

        Args:
            less: the figure of this course is taken off, over the seeds of both.
        """
        found = {seed: _of(figure, *r) for seed, r in self.whole[metric].items()}
        if less is not None:
            theirs = less.whole[metric]
            found = {seed: one - _of(figure, *theirs[seed]) for seed, one in found.items() if seed in theirs}
        return over_seeds(found, self.results.resampler) if found else None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those by which every entry of R is known."""
        return tuple(self.whole[CONTINUAL_METRICS[0]])

    @cached_property
    def whole(self) -> Mapping[str, Mapping[int, tuple[Floats, Floats]]]:
        """By metric, and by seed of which no entry is missing: R, (T + 1, T + 1), and its draws, (T + 1, T + 1, B)."""
        places = range(len(self.generators))
        cells = [[self.cells(step, place) for place in places] for step in places]
        known = self.results.estimates
        seeds = [s for s in self.models if all(s in found and found[s].id in known for row in cells for found in row)]
        return {
            metric: {
                seed: _arrays([[known[found[seed].id][metric] for found in row] for row in cells]) for seed in seeds
            }
            for metric in CONTINUAL_METRICS
        }


def courses_of(results: Results) -> tuple[Course, ...]:
    """Every detector, sequence and method of the plan: the lower bound first, the upper one last, others between.

    Sequences that begin alike share their first steps, whose cells carry the tags of one of them alone: what belongs to
    a course is found by what each step was trained from.
    """
    steps = {cell.id: cell for cell in results.sequential if cell.stage is Stage.ADAPT}
    scores = {(c.needs[0], c.tags.test): c for c in results.cells if c.stage is Stage.SCORE and not c.tags.variant}
    goes_on = {(parent, cell.tags.sequence) for cell in steps.values() for parent in cell.needs}
    ends: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in steps.values():
        if (cell.id, cell.tags.sequence) not in goes_on:
            ends.setdefault((cell.tags.detector, cell.tags.sequence, cell.tags.adaptation), []).append(cell)
    found = [_course(results, cells, steps, scores) for cells in ends.values()]
    order = list(dict.fromkeys((course.detector, course.sequence) for course in found))
    return tuple(sorted(found, key=lambda course: (order.index((course.detector, course.sequence)), _bound(course))))


def course_frame(courses: Sequence[Course]) -> pd.DataFrame:
    """One row a detector, sequence, method and metric: the figures of R with their 95 % intervals."""
    rows = []
    for course in courses:
        naive = lower_bound(course, courses)
        for metric in CONTINUAL_METRICS:
            row = {**_place(course, metric), "generators": " ".join(course.generators)}
            row |= {"seeds": len(course.seeds), "seeds_planned": len(course.models)}
            for name, figure in FIGURES.items():
                row |= interval_columns(name, course.figure(figure, metric))
            gain = course.figure(average, metric, naive) if naive not in (None, course) else None
            rows.append(row | interval_columns(OVER_NAIVE, gain))
    return pd.DataFrame(rows, columns=list(COURSES))


def matrix_entries(courses: Sequence[Course]) -> pd.DataFrame:
    """One row an entry of every R, known or not: the mean over seeds with its 95 % interval."""
    return pd.DataFrame([row for course in courses for row in _entries(course)], columns=list(MATRICES))


def lower_bound(course: Course, courses: Sequence[Course]) -> Course | None:
    """The first naive course of the same detector and sequence."""
    alike = (c for c in courses if (c.detector, c.sequence, c.kind) == (course.detector, course.sequence, NAIVE))
    return next(alike, None)


def _course(
    results: Results,
    ends: Sequence[Cell],
    steps: Mapping[CellId, Cell],
    scores: Mapping[tuple[CellId, str], Cell],
) -> Course:
    tags, params = ends[0].tags, ends[0].params
    chains = {end.tags.seed: tuple(_chain(end, steps)) for end in ends}
    # The order of the generators is that of the steps.
    learnt = [steps[model].tags.target for model in next(iter(chains.values()))[1:]]
    parameters = params["adaptation"]
    assert isinstance(parameters, dict)
    return Course(
        results=results,
        detector=tags.detector,
        sequence=tags.sequence,
        adaptation=tags.adaptation,
        kind=ends[0].method,
        generators=(tags.source, *learnt),
        models=chains,
        scores=scores,
        recipe=parameters["recipe"],
    )


def _chain(end: Cell, steps: Mapping[CellId, Cell]) -> list[CellId]:
    """The models of a course, the source detector first."""
    models = [end.id]
    while models[0] in steps:
        models.insert(0, steps[models[0]].needs[0])
    return models


def _bound(course: Course) -> int:
    return {NAIVE: 0, JOINT: 2}.get(course.kind, 1)


def _arrays(entries: Sequence[Sequence[Estimate]]) -> tuple[Floats, Floats]:
    values = [[entry.value for entry in row] for row in entries]
    return np.array(values), np.array([[entry.draws for entry in row] for row in entries], dtype=np.float64)


def _mean(entries: Sequence[Floats]) -> Floats:
    return np.asarray(np.stack(entries).mean(axis=0))


def _of(figure: Callable[[Floats], Floats], values: Floats, draws: Floats) -> Estimate:
    return Estimate(float(figure(values)), figure(draws))


def _place(course: Course, metric: str) -> Row:
    values = (course.results.plan, course.detector, course.sequence, course.adaptation, course.kind, metric)
    return dict(zip(_PLACE, values, strict=True))


def _entries(course: Course) -> Iterator[Row]:
    for metric in CONTINUAL_METRICS:
        for step, learnt in enumerate(course.generators):
            for place, test in enumerate(course.generators):
                found, seeds = course.entry(step, place, metric)
                row = {**_place(course, metric), "step": step, "learnt": learnt, "test": test, "seeds": seeds}
                yield row | interval_columns("value", found)
