"""What the command line prints: plain aligned text, the same on a terminal and in a pipe."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any, cast

from orchestrator.plan.cells import CellId
from orchestrator.plan.cost import StageCost
from orchestrator.plan.graph import Plan
from orchestrator.run.tally import figure, reason, span
from orchestrator.store.records import Record, Status
from trainables.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.run.driver import RunSummary
    from orchestrator.standing import StatusReport
    from orchestrator.store.state import Running
    from reports.audit import AuditPart
    from reports.audit_words import Baseline
    from reports.tables import Figure
    from trainables.data.manifest import Manifest
    from trainables.indexing.index import Index

WATCH_SECONDS = 2.0
MOST_LISTED = 20


def table(rows: Iterable[Sequence[object]], *, indent: str = "") -> str:
    """Rows as aligned columns, the first row the heads; a column of numbers is aligned right."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    columns = list(zip(*cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_is_number(value) for value in column[1:]) for column in columns]
    return "\n".join(
        indent + "  ".join(v.rjust(w) if r else v.ljust(w) for v, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    )


def as_json(value: object) -> str:
    """Indented JSON; paths and enumerations as text."""
    return json.dumps(value, indent=2, default=str)


def duration(seconds: float | None) -> str:
    """``8 s``, ``3 min``, ``2.5 h``; ``?`` where it is not known."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plan_text(costs: Sequence[StageCost]) -> str:
    """Cells and the work left by stage; work is divided among all the workers there are."""
    rows = [(c.stage.value, c.cells, c.done, c.cells - c.done, duration(c.seconds_left)) for c in costs]
    seconds = [c.seconds_left for c in costs]
    total = None if None in seconds else sum(s for s in seconds if s is not None)
    cells, done = sum(c.cells for c in costs), sum(c.done for c in costs)
    return table(
        [
            ("stage", "cells", "done", "left", "work left"),
            *rows,
            ("all", cells, done, cells - done, duration(total)),
        ]
    )


def outlook_text(costs: Sequence[StageCost], to_be_made: bool) -> str:
    """What the table does not say: how long that is on this machine, and that images come first."""
    left = [cost.seconds_left for cost in costs if cost.cells > cost.done]
    known = [seconds for seconds in left if seconds is not None]
    cores = os.cpu_count() or 1
    lines = ["\nimages: not made yet; `orchestrator run` makes them first"] if to_be_made else []
    if left and len(known) == len(left):
        lines.append(
            f"\nabout {duration(sum(known) / cores)} on this machine, with a cell on each of its {cores} cores"
        )
    elif left:
        lines.append("\nhow long it takes is known once a cell of each kind has run")
    return "".join(lines).strip("\n") if lines else "nothing is left to run"


def plan_values(plan: Plan, records: Mapping[CellId, Record], costs: Sequence[StageCost]) -> dict[str, Any]:
    """The plan for a machine: its hash, its stages, and every cell with what it needs and how it stands."""
    return {
        "study": plan.study,
        "hash": plan.hash,
        "stages": [asdict(cost) for cost in costs],
        "cells": [
            {
                "id": cell.id,
                "name": cell.name,
                "stage": cell.stage.value,
                "needs": list(cell.needs),
                "status": _standing(cell.id, records),
            }
            for cell in plan
        ],
    }


def cells_text(plan: Plan, records: Mapping[CellId, Record]) -> str:
    """Every cell of a plan: how it stands, id and name."""
    return table([("status", "id", "name"), *((_standing(c.id, records), c.id, c.name) for c in plan)])


def _standing(cell: CellId, records: Mapping[CellId, Record]) -> str:
    return records[cell].status.value if cell in records else "to do"


def summary_text(summary: RunSummary, study: Path, page: Path) -> str:
    """How a run ended, where its report is, and what to do next."""
    counts = [(summary.done, "done"), (summary.failed, "failed"), (summary.blocked, "blocked")]
    ended = ", ".join(f"{count} {word}" for count, word in counts if count or word == "done")
    lines = [f"{ended}; {summary.executed} cells run in {span(summary.seconds)}"]
    if summary.failed:
        lines.append(f"  why:         orchestrator status {study}")
        lines.append(f"  once mended: orchestrator run {study} --retry-failed")
    if page.is_file():
        lines.append(f"report: {page}")
    return "\n".join(lines)


def status_text(report: StatusReport) -> str:
    """Cells by stage and status, what is running, and why cells failed."""
    heads = ("stage", "cells", "done", "failed", "blocked", "left")
    rows = [
        (s.stage.value, s.cells, s.done, s.failed, s.blocked, s.cells - s.done - s.failed - s.blocked)
        for s in report.stages
    ]
    blocks = [f"{report.study}: {report.phase}", table([heads, *rows])]
    if report.running:
        now = time.time()
        running = [(r.name, _reached(r), figure(r.metrics), span(now - r.started)) for r in report.running]
        blocks.append(table([("running", "epoch", "figure", "for"), *running]))
    if report.troubles:
        blocks.append(_troubles_text(report.troubles))
    return "\n\n".join(blocks)


def _reached(cell: Running) -> str | int | None:
    """The last epoch that ended; of a tuning, the last trial."""
    told = cell.metrics
    return f"trial {told['trial']:.0f} of {told['trials']:.0f}" if "trials" in told else cell.epoch


def _troubles_text(troubles: Sequence[Record]) -> str:
    failed = [record for record in troubles if record.status is Status.FAILED]
    lines = [f"  {record.name}\n{indent(_why(record), '    ')}" for record in failed[:MOST_LISTED]]
    if len(failed) > MOST_LISTED:
        lines.append(f"  and {len(failed) - MOST_LISTED} more: --json has them all, with tracebacks")
    if blocked := len(troubles) - len(failed):
        lines.append(f"  {blocked} cells are blocked by these")
    return "\n".join(["failed", *lines])


def _why(record: Record) -> str:
    """Why a cell failed, in a line; what the user can mend with what was found and a fix."""
    failure = record.failure
    if failure is None or failure.kind != InputError.__name__:
        return reason(record)
    return f"{failure.kind}: {failure.message}"


def status_values(report: StatusReport) -> dict[str, Any]:
    """The same for a machine, with every traceback."""
    return {
        "study": report.study,
        "phase": report.phase,
        "stages": [asdict(stage) for stage in report.stages],
        "running": [asdict(running) for running in report.running],
        "troubles": [
            {"cell": r.cell, "name": r.name, "status": r.status.value, "failure": r.failure and asdict(r.failure)}
            for r in report.troubles
        ],
    }


def images_text(manifest: Manifest) -> str:
    """Images by generator and split, then files that are left out, converted, or there twice."""
    summary = manifest.summary()
    summary["label"] = summary["label"].map(_LABELS)
    blocks = [table([tuple(summary.columns), *summary.itertuples(index=False)])]
    if manifest.not_taken:
        blocks.append(f"and {manifest.not_taken} more in the folders, which the study does not take")
    blocks += _listed(("not used", "why"), manifest.problems, "problem")
    blocks += _listed(("converted", "how"), manifest.notes, "note")
    blocks += _listed(("there twice, counted once", "generator"), manifest.duplicates, "generator")
    return "\n\n".join(blocks)


def index_text(index: Index) -> str:
    """What a folder holds, as its layout has it, then files that are unusable, converted, or copies of another."""
    frame = index.frame
    usable, repeated = frame["problem"] == "", frame.duplicated("pixels", keep="first")
    blocks = [f"layout: {index.layout}", table(_generators(frame))]
    blocks += _listed(("unusable", "why"), frame[~usable], "problem")
    blocks += _listed(("converted", "how"), frame[usable & (frame["note"] != "")], "note")
    first = frame[~repeated].set_index("pixels")["path"]
    copies = frame[usable & repeated]
    blocks += _listed(("copy", "of"), copies.assign(of=copies["pixels"].map(first)), "of")
    return "\n\n".join(blocks)


_LABELS = {0: "real", 1: "fake"}


def _generators(frame: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """One row a generator and whatever else the layout tells apart, after the heads."""
    told = [name for name in ("family", "partner", "channel", "part") if (frame[name] != "").any()]
    keys = ["label", "generator", *told]
    yield (*keys, "images", "unusable", "format", "pixels a side")
    for values, rows in frame.groupby(keys, sort=True):
        usable = rows[rows["problem"] == ""]
        sides = usable[["width", "height"]].to_numpy()
        size = f"{sides.min()}-{sides.max()}" if len(usable) else ""
        formats = "/".join(sorted(set(usable["format"])))
        label, *names = cast("tuple[int, ...]", values)
        yield (_LABELS[label], *names, len(usable), len(rows) - len(usable), formats, size)


def _listed(heads: tuple[str, str], rows: pd.DataFrame, column: str) -> list[str]:
    """A table of the first few paths, each with what a column says of it; nothing if there are none."""
    first = rows.head(MOST_LISTED)
    found = [(_one_line(path), said) for path, said in zip(first["path"], first[column], strict=True)]
    more = [(f"and {len(rows) - MOST_LISTED} more", "")] if len(rows) > MOST_LISTED else []
    return [table([heads, *found, *more])] if found else []


def _one_line(path: str) -> str:
    """A path in which no line ends, whatever its name."""
    return path if path.isprintable() else repr(path)[1:-1]


def audit_text(part: AuditPart) -> str:
    """What an audit found: warnings, what is good to know, the shortcut baselines, and what the images are like."""
    lines = [*(f"warning: {warning}" for warning in part.warnings), *part.notes]
    blocks = ["\n".join(lines)]
    if part.baselines:
        heads = ("generator", "shortcut AUROC", "95 %", "facts that tell most")
        blocks.append(table([heads, *(_baseline_row(name, each) for name, each in part.baselines.items())]))
    for caption, shown in part.tables:
        rows = [(*names, *map(_figure_text, figures)) for names, figures in shown.rows]
        blocks.append(f"{caption}\n{table([shown.columns, *rows])}")
    pairs = [(_one_line(s.pair.first), _one_line(s.pair.second), s.pair.crosses) for s in part.copies[:MOST_LISTED]]
    blocks += [table([("copy", "of", "in two"), *pairs])] if pairs else []
    left_out = [(_one_line(each.path), each.why) for each in part.left_out[:MOST_LISTED]]
    blocks += [table([("left out", "why"), *left_out])] if left_out else []
    return "\n\n".join(blocks)


def _baseline_row(name: str, baseline: Baseline) -> tuple[str, ...]:
    told = "; ".join(lead.words for lead in baseline.leads)
    return (name, baseline.text, baseline.ends, told or baseline.shortcut.reason)


def _figure_text(figure: Figure) -> str:
    return f"{figure.text} ({figure.interval})" if figure.interval else figure.text


def watched(look: Callable[[], StatusReport], draw: Callable[[StatusReport], str]) -> Iterator[str]:
    """One drawing after the other while a run is going on; on a terminal each takes the place of the last."""
    clear = "\033[H\033[2J" if sys.stdout.isatty() else ""
    while True:
        report = look()
        yield clear + draw(report)
        if report.phase != "running":
            return
        time.sleep(WATCH_SECONDS)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Tells how many are done of how many on standard error: a bar on a terminal, one line elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    plain = not sys.stderr.isatty()
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=plain)
    task = bar.add_task(what, rate="")
    begun = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal begun
        if not done:
            begun = time.monotonic()
        rate = f"{done / max(time.monotonic() - begun, 1e-3):.0f}/s" if done else ""
        if plain and done >= total:
            print(f"{what}: {done}, {rate}", file=sys.stderr)
        # Not before the first count and not after the last: the terminal has room for one live view.
        if done < total:
            bar.start()
        bar.update(task, completed=done, total=total, rate=rate)
        if done >= total:
            bar.stop()

    try:
        yield advance
    finally:
        bar.stop()


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit() or not text
