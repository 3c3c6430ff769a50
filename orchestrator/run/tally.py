"""How a run stands: counts by stage, what is running, what failed, and how long the rest will take."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.plan.cells import Cell, CellId
from orchestrator.plan.graph import Plan
from orchestrator.store.records import IN_PARTS, Record, Status

Clock = Callable[[], float]
"""Seconds that only go forward."""

HEADLINES = ("auroc", "val_auroc", "source_val_auroc", "accuracy", "best", "loss", "shortcut_auroc_max")
"""Of a cell's figures, the first of these is shown."""

ROBUST = "robust_accuracy_eps"
"""Of an attack's figures, the one at its largest budget is shown, which comes last."""


@dataclass(frozen=True, slots=True)
class Running:
    """A cell in flight: since when, and the last row it told."""

    cell: Cell
    since: float
    row: Mapping[str, float] = field(default_factory=dict)


class Tally:
    """The state of a run as its events tell it; every event costs a few dictionary look-ups."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.total: Counter[str] = Counter()
        self.running: dict[CellId, Running] = {}
        self.failures: dict[CellId, Record] = {}
        self._ended: dict[CellId, Record] = {}
        self._counts: Counter[tuple[str, Status]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._worked = 0.0
        self._start = self._busy_since = clock()

    def begin(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        """A run of ``plan`` starts, of which the ledger holds ``done``."""
        self.total.update(cell.stage.value for cell in plan)
        for record in done.values():
            if record.cell in plan.cells:
                self._file(record)
        self._start = self._busy_since = self.clock()

    def replanned(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        """The run goes on with another plan, of which the ledger holds ``done``; the clock and the work stay."""
        for counter in (self.total, self._ended, self._counts, self._seconds, self.failures):
            counter.clear()
        self.total.update(cell.stage.value for cell in plan)
        for record in done.values():
            self._file(record)

    def started(self, cell: Cell) -> None:
        """A cell is in flight."""
        if not self._worked and not self.running:
            self._busy_since = self.clock()
        self.running[cell.id] = Running(cell, self.clock())

    def progress(self, cell: Cell, row: Mapping[str, float]) -> None:
        """A cell in flight told a row."""
        since = self.running[cell.id].since if cell.id in self.running else self.clock()
        self.running[cell.id] = Running(cell, since, row)

    def finished(self, record: Record) -> None:
        """A cell ended; a later record of the same cell (a retry) replaces the earlier one."""
        self.running.pop(record.cell, None)
        self._file(record)
        self._worked += record.seconds

    def _file(self, record: Record) -> None:
        before = self._ended.get(record.cell)
        if before is not None:
            self._counts[before.stage, before.status] -= 1
            self._seconds[before.stage] -= before.seconds if before.status is Status.DONE else 0.0
            self.failures.pop(record.cell, None)
        self._ended[record.cell] = record
        self._counts[record.stage, record.status] += 1
        if record.status is Status.DONE:
            self._seconds[record.stage] += record.seconds
        elif record.status is Status.FAILED:
            self.failures[record.cell] = record

    def count(self, stage: str, status: Status) -> int:
        """Cells of a stage that ended this way."""
        return self._counts[stage, status]

    def ended(self, stage: str) -> int:
        """Cells of a stage that are done, failed or blocked."""
        return sum(self._counts[stage, status] for status in Status)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self.clock() - self._start

    def eta(self) -> float | None:
        """Seconds left: work left, at the mean cost of each stage, over the work done per second so far.

        None until a cell of every stage that is left has been seen.
        """
        left = 0.0
        for stage, total in self.total.items():
            cells, seen = total - self.ended(stage), self.count(stage, Status.DONE)
            if cells and not seen:
                return None
            left += cells * self._seconds[stage] / seen if cells else 0.0
        if left and not self._worked:
            return None
        return left * (self.clock() - self._busy_since) / self._worked if left else 0.0

    def head(self) -> str:
        """The run in one line: ``42/208  3:12  eta 4:05``; no time left where none is, or it is not known."""
        total = sum(self.total.values())
        eta = self.eta()
        left = f"  eta {span(eta)}" if eta else ""
        return f"{len(self._ended):>{len(str(total))}}/{total}  {span(self.elapsed)}{left}"


def reason(record: Record) -> str:
    """Why a cell failed, on one line."""
    if record.failure is None:
        return "no reason was filed"
    first = next(iter(record.failure.message.strip().splitlines()), "")
    return f"{record.failure.kind}: {first}" if first else record.failure.kind


def figure(row: Mapping[str, float]) -> str:
    """The figure to look at first, as ``auroc .981``."""
    robust = [name for name in row if name.startswith(ROBUST)]
    name = next((name for name in (*HEADLINES, *robust[-1:]) if name in row), None)
    if name is None:
        return ""
    text = f"{row[name]:.3f}"
    return f"{name} {text.removeprefix('0') if text.startswith('0.') else text}"


def parts(metrics: Mapping[str, float]) -> str:
    """What memory that ran out made of a model's batches; blank where it did not."""
    return f"(out of memory: batches in {metrics[IN_PARTS]:.0f} parts)" if IN_PARTS in metrics else ""


def position(row: Mapping[str, float]) -> str:
    """How far a cell in flight is: ``epoch 3``, or of a tuning ``trial 4/20``."""
    if "trials" in row:
        return f"trial {row['trial']:.0f}/{row['trials']:.0f}"
    return f"epoch {row['epoch']:.0f}" if "epoch" in row else ""


def span(seconds: float) -> str:
    """``0:07``, ``3:12``, ``2:05:00``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
