"""The report of a study: one page, and the tables and figures beside it, from the store alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.plan.cells import Cell, CellId
from orchestrator.store.records import Record
from reports.alarms import alarm_frame
from reports.audit import audit_frames, audit_of
from reports.comparison import comparison_frame, ranking, recovery_frame
from reports.continual_tables import continual_part
from reports.detectors_part import detectors_part
from reports.drawing import standalone
from reports.figures import (
    attack_figure,
    curves_figure,
    gains_figure,
    matrices_figure,
    severity_figure,
)
from reports.frames import cost_frame, curve_frame, failure_frame, grid_frame, matrix_frame, summary_frame
from reports.gains import gains_frame
from reports.layout import Drawings, Frames, page
from reports.loading import Progress, load_results
from reports.rank_figure import critical_difference_figure
from reports.results import Folders, Results
from reports.robustness import attack_frames
from reports.severity import curves_of, drop_frame, severity_frame
from reports.tuning_part import tuning_part
from reports.validation import validation_of
from reports.validation_figures import correlation_figure
from trainables.writing import write_bytes

MATRIX_METRICS = ("accuracy", "auroc")


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """The files of a report.

    Attributes:
        html: the page; open this.
        results_csv, results_parquet: one row a score cell, with intervals.
        gains_csv: every gain over every baseline, by pair and on average.
        further: the page's other tables, as CSV.
        matrices: one CSV a detector, method and metric.
        figures: SVG files.
    """

    html: Path
    results_csv: Path
    results_parquet: Path
    gains_csv: Path
    further: list[Path]
    matrices: list[Path]
    figures: list[Path]

    def files(self) -> list[Path]:
        """All of them, the page first."""
        tables = (self.results_csv, self.results_parquet, self.gains_csv, *self.further)
        return [self.html, *tables, *self.matrices, *self.figures]


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
        MixedSelectionError: the adapted models were chosen by more than one rule; oracles stand apart.
    """
    tell = progress or _silent
    tell("reading the scores")
    results = load_results(plan_cells, records, artifacts, progress=progress)
    tell("comparing the methods")
    frames = _frames(results)
    tell("drawing")
    drawings = {detector: _drawings(ours, frames, detector) for detector, ours in results.alone.items()}
    tell("writing")
    _write(out / "report.html", page(study, results, frames, drawings, unusable))
    write_bytes(out / "results.parquet", frames.grid.to_parquet(index=False), durable=False)
    return ReportPaths(
        html=out / "report.html",
        results_csv=_write_table(out / "results.csv", frames.grid),
        results_parquet=out / "results.parquet",
        gains_csv=_write_table(out / "gains.csv", frames.gains),
        further=[
            _write_table(out / "summary.csv", frames.summary),
            _write_table(out / "detectors.csv", frames.detectors.frame),
            _write_table(out / "comparison.csv", frames.comparison),
            _write_table(out / "recovery.csv", frames.recoveries),
            _write_table(out / "alarms.csv", frames.alarms),
            _write_table(out / "validators.csv", frames.validation.correlations),
            _write_table(out / "selection.csv", frames.validation.choices),
            _write_table(out / "checkpoints.csv", frames.validation.checkpoints),
            _write_table(out / "corruptions.csv", frames.drops),
            _write_table(out / "severity.csv", frames.severities),
            _write_table(out / "attacks.csv", frames.attacks),
            _write_table(out / "costs.csv", frames.costs),
            *(_write_table(out / f"audit_{name}.csv", frame) for name, frame in audit_frames(frames.audit).items()),
            *(_write_table(out / f"{name}.csv", frame) for name, frame in frames.tuning.frames.items()),
            *(_write_table(out / f"{name}.csv", frame) for name, frame in frames.continual.frames.items()),
        ],
        matrices=list(_write_matrices(results, out)),
        figures=[
            *_write_figures(results, drawings, out / "figures"),
            *_write_svgs(frames.detectors.figures, out / "figures"),
            *_write_svgs(frames.tuning.figures, out / "figures"),
            *_write_svgs(frames.continual.figures, out / "figures"),
        ],
    )


def _silent(step: str) -> None:
    del step


def _frames(results: Results) -> Frames:
    attacks, means = attack_frames(results)
    gains = gains_frame(results)
    curves = curves_of(results)
    summary, audit = summary_frame(results), audit_of(results)
    return Frames(
        grid=grid_frame(results),
        gains=gains,
        comparison=comparison_frame(results, gains),
        recoveries=recovery_frame(results),
        alarms=alarm_frame(results, gains),
        summary=summary,
        drops=drop_frame(results, curves),
        severities=severity_frame(results, curves),
        attacks=attacks,
        attack_means=means,
        costs=cost_frame(results),
        failures=failure_frame(results),
        curves=curve_frame(results),
        validation=validation_of(results),
        audit=audit,
        tuning=tuning_part(results),
        continual=continual_part(results),
        detectors=detectors_part(results, summary, audit.baselines),
    )


def _drawings(results: Results, frames: Frames, detector: str) -> Drawings:
    compared = not frames.gains[frames.gains["detector"] == detector].empty
    swept = not frames.severities[frames.severities["detector"] == detector].empty
    learnt = not frames.curves[frames.curves["detector"] == detector].empty
    ranks, _, _ = ranking(results, detector)
    attacked = frames.attack_means[frames.attack_means["detector"] == detector]
    judged = frames.validation.correlations
    return Drawings(
        gains=gains_figure(frames.gains, detector, results.adaptations, results.baselines) if compared else "",
        ranks=critical_difference_figure(ranks, detector) if ranks else "",
        curves=curves_figure(frames.curves, detector, results.adaptations) if learnt else "",
        severity=severity_figure(frames.severities, detector, results.adaptations) if swept else "",
        validators=correlation_figure(judged, detector, frames.validation.rules)
        if detector in set(judged["detector"])
        else "",
        attacks=tuple(
            (str(attack), attack_figure(frames.attack_means, detector, str(attack), results.adaptations))
            for attack in dict.fromkeys(attacked["attack"])
        ),
    )


def _write_matrices(results: Results, out: Path) -> Iterator[Path]:
    for detector, ours in results.alone.items():
        for adaptation in (*ours.adaptations, *ours.oracles):
            for metric in MATRIX_METRICS:
                matrix = matrix_frame(ours, detector, adaptation, metric).reset_index()
                yield _write_table(out / f"matrix_{detector}_{adaptation}_{metric}.csv", matrix)


def _write_figures(results: Results, drawings: Mapping[str, Drawings], folder: Path) -> Iterator[Path]:
    for detector, drawn in drawings.items():
        figures = {"matrix": matrices_figure(results.alone[detector], detector)}
        figures |= {"gains": drawn.gains, "curves": drawn.curves}
        figures |= {"ranks": drawn.ranks, "severity": drawn.severity, "validators": drawn.validators}
        figures |= {f"attack_{attack}": svg for attack, svg in drawn.attacks}
        yield from _write_svgs({f"{name}_{detector}": svg for name, svg in figures.items() if svg}, folder)


def _write_svgs(figures: Mapping[str, str], folder: Path) -> Iterator[Path]:
    for name, svg in figures.items():
        path = folder / f"{name}.svg"
        _write(path, standalone(svg))
        yield path


def _write_table(path: Path, frame: pd.DataFrame) -> Path:
    _write(path, frame.to_csv(index=False, lineterminator="\n"))
    return path


def _write(path: Path, text: str) -> None:
    write_bytes(path, text.encode(), durable=False)
