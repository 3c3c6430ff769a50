"""The trials of tunings in MLflow: children of their tuning's run, with tags ``tuning`` and ``trial``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator.plan.cells import Tags
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.records import Record
from orchestrator.store.run_view import TrialRun, trial_key, trial_runs
from orchestrator.store.tracking import PARENT, Child, Experiment

_STUDY = "study_run"
"""Tag of a trial's run: the parent of the study, so that one search finds all trials, whatever they are under."""


class TrialRuns:
    """The runs of one study's trials. Its methods raise what MLflow does: ``tracking.translated``.

    Args:
        artifacts: hold the tunings' tables of trials.
        study: the study's run.
        moved: is called after each trial that is told.
    """

    def __init__(self, experiment: Experiment, artifacts: Artifacts, study: str, moved: Callable[[], None]) -> None:
        self._experiment = experiment
        self._artifacts = artifacts
        self._study = study
        self._moved = moved
        self._children: dict[str, Child] | None = None

    def forget(self) -> None:
        """Look again before the next call."""
        self._children = None

    def show(self, record: Record, under: str, tags: Tags | None) -> None:
        """A run for each trial of a tuning; those that an earlier run of it had are taken over.

        Args:
            record: of any cell; those that are no tuning's have no trials.
            under: the tuning's run.
            tags: its place in the grid; the record's own if None.
        """
        for trial in self._to_show(record, tags, under):
            known = self._known().get(trial.key)
            if known is not None and known.mark == trial.mark:
                self._experiment.move(known.run, under)
                known.under = under
            else:
                self._create(trial, under)

    def lacks(self, record: Record, tags: Tags | None) -> bool:
        """Whether a trial of this tuning has no run that shows it, under whatever."""
        return next(self._to_show(record, tags), None) is not None

    def _known(self) -> dict[str, Child]:
        if self._children is None:
            self._children = self._experiment.children(f"tags.{_STUDY} = '{self._study}'", trial_key)
        return self._children

    def _to_show(self, record: Record, tags: Tags | None, under: str = "") -> Iterator[TrialRun]:
        """Those of a tuning's trials that no run shows; with ``under``, also those whose run is not there."""
        for trial in trial_runs(record, self._artifacts, tags):
            known = self._known().get(trial.key)
            if known is None or known.mark != trial.mark or (under and known.under != under):
                yield trial

    def _create(self, trial: TrialRun, under: str) -> None:
        if left := self._known().pop(trial.key, None):
            self._experiment.delete(left.run)
        tags = {PARENT: under, _STUDY: self._study, **trial.tags}
        child = Child(self._experiment.create(trial.name, tags, trial.started), under)
        self._experiment.log(child.run, trial.points, trial.params)
        self._experiment.end(child.run, trial.status, trial.ended)
        child.mark = trial.mark
        self._known()[trial.key] = child
        self._moved()
