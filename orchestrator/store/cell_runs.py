"""MLflow as a view of the ledger: how a cell's run is made, and how it is found again.

A study is a parent run, and each of its cells a child with tag ``cell_id``; the trials of a tuning are children of its
run. A child also carries ``record``, the mark of the record it shows; so every call here can be made again without
harm. Nothing else is read back from MLflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import time

from orchestrator.plan.cells import Cell, CellId, Reading, Tags
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.records import Record, Status
from orchestrator.store.run_view import (
    curve,
    ended,
    identity,
    mark,
    marks,
    outcome,
    parameters,
    parameters_of,
    points,
    step_of,
)
from orchestrator.store.target import Target
from orchestrator.store.tracking import PARENT, Child, Experiment, connected, translated
from orchestrator.store.trial_runs import TrialRuns

_STATUS = {Status.DONE: "FINISHED", Status.FAILED: "FAILED", Status.BLOCKED: "KILLED"}
_PICTURES = {".png", ".svg", ".html"}
_SMALL = 2_000_000


class CellRuns:
    """The runs of one study; the database, the experiment and the parent run are made if they are not there.

    Not thread-safe. Every method may raise ``Unreachable`` or ``Rejected``; after either, call ``forget``.

    Args:
        target: where they are.
        tags: the names of the plan's cells, where a record may carry those of another study.
        moved: is called after each trial that is told: a tuning of hundreds takes minutes, and is one call of ``put``.
    """

    def __init__(
        self, target: Target, tags: Mapping[CellId, Tags] | None = None, moved: Callable[[], None] = lambda: None
    ) -> None:
        self._tags = tags or {}
        self._artifacts = Artifacts(target.storage)
        self._children: dict[str, Child] | None = None
        with connected(target) as self._experiment:
            self._parent, self._mirrored, self._open = _find_parent(self._experiment, target)
        self._trials = TrialRuns(self._experiment, self._artifacts, self._parent, moved)

    def forget(self) -> None:
        """Look again before the next call: a request that failed may have done its work all the same."""
        self._children = None
        self._trials.forget()

    def rename(self, tags: Mapping[CellId, Tags]) -> None:
        """From now on these are the names of the plan's cells."""
        self._tags = tags

    def epoch(self, cell: Cell, row: Mapping[str, float]) -> None:
        """Add a row to the curves of a running cell."""
        with translated():
            child = self._known().get(cell.id)
            if child is None or not child.live:
                tags = {**identity(cell, self._tags.get(cell.id)), "status": "running"}
                child = self._create(cell.id, cell.name, tags, time(), cell.reads)
                self._experiment.log(child.run, params=parameters(cell.params))
            step = step_of(row, len(child.steps))
            if step not in child.steps:
                self._experiment.log(child.run, curve(row, step, time()))
                child.steps.add(step)

    def put(self, record: Record) -> None:
        """Make a cell's run show this record, and runs under it its trials; nothing is done if they already do."""
        with translated():
            child = self._known().get(record.cell)
            if child is None or child.mark != mark(record):
                child = self._told(child, record)
            self._trials.show(record, child.run, self._tags.get(record.cell))
            if child.mark != mark(record):  # last: a run that has ended has all of its trials
                self._experiment.end(child.run, _STATUS[record.status], ended(record) or time())
                child.mark, child.live = mark(record), False

    def shows(self, records: Iterable[Record]) -> bool:
        """Whether the parent run was ended with just these records mirrored, and not opened again since."""
        return not self._open and marks(records) == self._mirrored

    def missing(self, records: Sequence[Record], *, thorough: bool = False) -> list[Record]:
        """Those of the records that no run shows yet.

        Args:
            thorough: look at every run, even if the parent says that all of them are there; and at every trial's.
        """
        if not thorough and marks(records) == self._mirrored:
            return []
        with translated():
            shown = {cell: child.mark for cell, child in self._known().items()}
            return [
                record
                for record in records
                if shown.get(record.cell) != mark(record)
                or (thorough and self._trials.lacks(record, self._tags.get(record.cell)))
            ]

    def finish(self, records: Iterable[Record], artifacts: Sequence[Path] = (), *, complete: bool = True) -> None:
        """End the parent run: cells by status, and the report's files as artifacts.

        Args:
            records: all of the study.
            artifacts: files, or folders that are taken with all they hold.
            complete: whether every record is mirrored.
        """
        records = list(records)
        counts = {f"cells.{each.value}": str(sum(r.status is each for r in records)) for each in Status}
        shown = marks(records) if complete else ""
        with translated():
            self._experiment.log(self._parent, tags={**counts, "ledger": shown})
            for path in artifacts:
                self._experiment.attach(self._parent, path)
            whole = all(record.status is Status.DONE for record in records)
            self._experiment.end(self._parent, "FINISHED" if whole else "FAILED")
        self._mirrored, self._open = shown, False

    def _known(self) -> dict[str, Child]:
        if self._children is None:
            self._children = self._experiment.children(
                f"tags.`{PARENT}` = '{self._parent}'", lambda tags: tags["cell_id"]
            )
        return self._children

    def _create(
        self, cell: CellId, name: str, tags: Mapping[str, str], started: float, reads: Sequence[Reading]
    ) -> Child:
        # What a killed driver or an earlier attempt left would mix two curves in one chart.
        if left := self._known().pop(cell, None):
            self._experiment.delete(left.run)
        if not self._open:
            self._experiment.reopen(self._parent)
            self._open = True
        run = self._experiment.create(name, {PARENT: self._parent, **tags}, started)
        child = Child(run, self._parent, live=True)
        self._known()[cell] = child
        self._experiment.log_images(run, reads)
        return child

    def _told(self, child: Child | None, record: Record) -> Child:
        """The run of a cell with everything in it that its record tells, not ended yet."""
        tags = outcome(record, self._artifacts)
        if child is not None and child.live:
            self._experiment.log(child.run, points(record, child.steps), tags=tags)
        else:
            tags = {**identity(record, self._tags.get(record.cell)), **tags}
            child = self._create(record.cell, record.name, tags, record.started or time(), record.reads)
            self._experiment.log(child.run, points(record), parameters_of(record))
        self._attach(child, record)
        return child

    def _attach(self, child: Child, record: Record) -> None:
        if record.failure and record.failure.traceback:
            self._experiment.attach_text(child.run, record.failure.traceback, "traceback.txt")
        folder = self._artifacts.folder(record.cell)
        for path in (folder / name for name in record.files):
            if path.suffix in _PICTURES and path.is_file() and path.stat().st_size <= _SMALL:
                self._experiment.attach(child.run, path)


def _find_parent(experiment: Experiment, target: Target) -> tuple[str, str, bool]:
    """The study's run, the mark of the ledger it shows, and whether it is open; made if it is not there."""
    # One server may hold the same study twice, from the storages of two people.
    tags = {"stage": "study", "study": target.study, "storage": target.storage.as_uri()}
    where = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    for run in experiment.search(where, page=1):
        return run.info.run_id, run.data.tags.get("ledger", ""), run.info.status == "RUNNING"
    return experiment.create(target.study, tags), "", True
