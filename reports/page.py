"""The report of a study: one page, and the tables and figures beside it, from the store alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.plan.cells import Cell, CellId
from orchestrator.store.atomic import write_bytes
from orchestrator.store.records import Record
from reports.figures import attack_figure, curves_figure, gains_figure, matrices_figure, standalone
from reports.frames import cost_frame, curve_frame, failure_frame, gains_frame, grid_frame, matrix_frame, summary_frame
from reports.layout import Drawings, Frames, page
from reports.results import Folders, Progress, Results, load_results
from reports.robustness import attack_frames

MATRIX_METRICS = ("accuracy", "auroc")


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """The files of a report.

    Attributes:
        html: the page; open this.
        results_csv, results_parquet: one row a score cell, with intervals.
        gains_csv: every gain over every baseline, by pair and on average.
        matrices: one CSV a detector, method and metric.
        figures: SVG files.
    """

    html: Path
    results_csv: Path
    results_parquet: Path
    gains_csv: Path
    matrices: list[Path] = field(default_factory=list)
    figures: list[Path] = field(default_factory=list)

    def files(self) -> list[Path]:
        """All of them, the page first."""
        return [self.html, self.results_csv, self.results_parquet, self.gains_csv, *self.matrices, *self.figures]


def build_report(
    study: Mapping[str, Any],
    plan_cells: Sequence[Cell],
    records: Mapping[CellId, Record],
    artifacts: Folders,
    out: Path,
    *,
    unusable: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> ReportPaths:
    """Write the report of whatever is done so far; the same store gives the same bytes.

    Args:
        study: resolved, as plain values.
        plan_cells: all cells of the plan; those without a record are shown as holes.
        records: of the ledger; those of other studies are passed over.
        artifacts: where the cells' files are.
        out: the report's folder.
        unusable: files that were skipped, each with the reason.
        progress: is told each step in words.

    Raises:
        MixedSelectionError: the plan's models were chosen by more than one rule.
    """
    tell = progress or _silent
    tell("reading the scores")
    results = load_results(plan_cells, records, artifacts, progress=progress)
    tell("comparing the methods")
    frames = _frames(results)
    tell("drawing")
    drawings = {detector: _drawings(results, frames, detector) for detector in results.detectors}
    tell("writing")
    paths = ReportPaths(
        out / "report.html",
        out / "results.csv",
        out / "results.parquet",
        out / "gains.csv",
        [out / name for name, _ in _matrices(results)],
        [],
    )
    _write_tables(results, frames, paths)
    paths.figures.extend(_write_figures(results, drawings, out / "figures"))
    _write(paths.html, page(study, results, frames, drawings, unusable))
    return paths


def _silent(step: str) -> None:
    del step


def _frames(results: Results) -> Frames:
    attacks, means = attack_frames(results)
    return Frames(
        grid=grid_frame(results),
        gains=gains_frame(results),
        summary=summary_frame(results),
        attacks=attacks,
        attack_means=means,
        costs=cost_frame(results),
        failures=failure_frame(results),
        curves=curve_frame(results),
    )


def _drawings(results: Results, frames: Frames, detector: str) -> Drawings:
    compared = not frames.gains[frames.gains["detector"] == detector].empty
    learnt = not frames.curves[frames.curves["detector"] == detector].empty
    attacked = frames.attack_means[frames.attack_means["detector"] == detector]
    return Drawings(
        gains=gains_figure(frames.gains, detector, results.adaptations, results.baselines) if compared else "",
        curves=curves_figure(frames.curves, detector, results.adaptations) if learnt else "",
        attacks=tuple(
            (str(attack), attack_figure(frames.attack_means, detector, str(attack), results.adaptations))
            for attack in dict.fromkeys(attacked["attack"])
        ),
    )


def _matrices(results: Results) -> Iterator[tuple[str, tuple[str, str, str]]]:
    for detector in results.detectors:
        for adaptation in results.adaptations:
            for metric in MATRIX_METRICS:
                yield f"matrix_{detector}_{adaptation}_{metric}.csv", (detector, adaptation, metric)


def _write_tables(results: Results, frames: Frames, paths: ReportPaths) -> None:
    _write(paths.results_csv, _csv(frames.grid))
    write_bytes(paths.results_parquet, frames.grid.to_parquet(index=False), durable=False)
    _write(paths.gains_csv, _csv(frames.gains))
    _write(paths.html.with_name("summary.csv"), _csv(frames.summary))
    _write(paths.html.with_name("attacks.csv"), _csv(frames.attacks))
    _write(paths.html.with_name("costs.csv"), _csv(frames.costs))
    for path, (_, place) in zip(paths.matrices, _matrices(results), strict=True):
        _write(path, matrix_frame(results, *place).to_csv(lineterminator="\n"))


def _write_figures(results: Results, drawings: Mapping[str, Drawings], folder: Path) -> Iterator[Path]:
    for detector, drawn in drawings.items():
        figures = {"matrix": matrices_figure(results, detector), "gains": drawn.gains, "curves": drawn.curves}
        figures |= {f"attack_{attack}": svg for attack, svg in drawn.attacks}
        for name, svg in figures.items():
            if svg:
                path = folder / f"{name}_{detector}.svg"
                _write(path, standalone(svg))
                yield path


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def _write(path: Path, text: str) -> None:
    write_bytes(path, text.encode(), durable=False)
