"""A run as its user sees it: a live view on a terminal, plain lines in a pipe or a job's log."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.plan.cells import Cell, CellId, Stage
from orchestrator.plan.graph import Plan
from orchestrator.run.listen import Listener
from orchestrator.run.tally import Clock, Running, Tally, figure, parts, position, reason, span
from orchestrator.store.records import Record, Status

REFRESH_HZ = 4.0
SUMMARY_EVERY = 5.0
LINES = 6
"""Running cells and failures shown at once; of more, the number."""

_QUIET: Mapping[str, str] = {Stage.SCORE: "scored", Stage.VALIDATE: "validated"}
"""Stages whose cells come by the dozen and are summed up, and the word for it."""


def view_for(stream: TextIO) -> Listener:
    """A live view where ``stream`` is a terminal that can draw one, plain lines elsewhere."""
    if stream.isatty():
        console = Console(file=stream)
        if not console.is_dumb_terminal:
            return LiveView(console)
    return PlainView(stream)


class PlainView:
    """A line for every model, attack and analysis that is done and every failure, and for tunings now and then.

    Scores are summed up.

    Args:
        stream: where lines go; a reader that went away stops the lines, never the run.
    """

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self._stream: TextIO | None = stream
        self._tally = Tally(clock)
        self._told = clock()
        self._quiet: Counter[str] = Counter()

    def begin(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        self._tally.begin(plan, done)
        self._told = self._tally.clock()
        ended = sum(self._tally.ended(stage) for stage in self._tally.total)
        self._say(f"{plan.study}: {len(plan) - ended} cells to run" + (f", {ended} done before" if ended else ""))

    def replanned(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        self._tally.replanned(plan, done)

    def started(self, cell: Cell) -> None:
        self._tally.started(cell)

    def progress(self, cell: Cell, row: Mapping[str, float]) -> None:
        self._tally.progress(cell, row)
        if cell.stage is Stage.TUNE and self._tally.clock() - self._told >= SUMMARY_EVERY:
            self._tell(f"{cell.name} {position(row)} {figure(row)}".rstrip())

    def finished(self, record: Record) -> None:
        self._tally.finished(record)
        if record.status is Status.FAILED:
            self._tell(f"FAILED {record.name}: {reason(record)}")
        elif record.status is Status.DONE and record.stage not in _QUIET:
            told = record.name, figure(record.metrics), parts(record.metrics)
            self._tell(" ".join(("done", *filter(None, told))))
        else:
            self._quiet[_QUIET[record.stage] if record.status is Status.DONE else "blocked"] += 1
            self.tick()

    def tick(self) -> None:
        if self._quiet and self._tally.clock() - self._told >= SUMMARY_EVERY:
            self._sum_up()

    def end(self) -> None:
        if self._quiet:
            self._sum_up()

    def _sum_up(self) -> None:
        self._tell(", ".join(f"{what} {count}" for what, count in self._quiet.items()))
        self._quiet.clear()

    def _tell(self, what: str) -> None:
        self._told = self._tally.clock()
        self._say(f"[{self._tally.head()}] {what}")

    def _say(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


class LiveView:
    """Bars by stage, running cells with their last epoch, time left, and the latest failures, drawn in place.

    Drawing happens in rich's own thread, at most ``REFRESH_HZ`` times a second; an event only changes counts.
    """

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self._tally = Tally(clock)
        self._lock = threading.Lock()
        self._title = ""
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=REFRESH_HZ)

    def begin(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        with self._lock:
            self._title = plan.study
            self._tally.begin(plan, done)
        self._live.start()

    def replanned(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        with self._lock:
            self._tally.replanned(plan, done)

    def started(self, cell: Cell) -> None:
        with self._lock:
            self._tally.started(cell)

    def progress(self, cell: Cell, row: Mapping[str, float]) -> None:
        with self._lock:
            self._tally.progress(cell, row)

    def finished(self, record: Record) -> None:
        with self._lock:
            self._tally.finished(record)

    def tick(self) -> None:
        """Nothing: rich draws by its own clock."""

    def end(self) -> None:
        with self._lock:
            self._tally.running.clear()
        self._live.stop()

    def _draw(self) -> RenderableType:
        with self._lock:
            return render(self._tally, self._title)


def render(tally: Tally, title: str) -> Group:
    """The live view's picture of a run at this moment."""
    parts: list[RenderableType] = [Text(f"{title}  {tally.head()}", style="bold"), _bars(tally)]
    if tally.running:
        parts.append(_running(tally.running.values(), tally.clock()))
    parts.extend(_failures(tally))
    return Group(*parts)


def _bars(tally: Tally) -> Table:
    grid = Table.grid(padding=(0, 2))
    for stage in (s.value for s in Stage if tally.total[s.value]):
        bad = [(tally.count(stage, status), status.value) for status in (Status.FAILED, Status.BLOCKED)]
        ended, total = tally.ended(stage), tally.total[stage]
        grid.add_row(
            Text(stage),
            ProgressBar(total=total, completed=ended, width=32),
            Text(f"{ended}/{total}", justify="right"),
            Text(", ".join(f"{count} {word}" for count, word in bad if count), style="red"),
        )
    return grid


def _running(running: Iterable[Running], now: float) -> Table:
    longest_first = sorted(running, key=lambda one: one.since)
    grid = Table.grid(padding=(0, 2))
    for one in longest_first[:LINES]:
        name = Text(one.cell.name, overflow="ellipsis", no_wrap=True)
        grid.add_row(
            Text("▸", style="cyan"), name, Text(position(one.row)), Text(figure(one.row)), Text(span(now - one.since))
        )
    if len(longest_first) > LINES:
        grid.add_row("", Text(f"and {len(longest_first) - LINES} more", style="dim"))
    return grid


def _failures(tally: Tally) -> list[Text]:
    latest = list(tally.failures.values())[-LINES:]
    lines = [Text(f"✗ {r.name}: {reason(r)}", style="red", overflow="ellipsis", no_wrap=True) for r in latest]
    more = len(tally.failures) - len(latest)
    return [*lines, Text(f"and {more} more failed: see `orchestrator status`", style="red")] if more else lines
