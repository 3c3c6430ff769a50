"""The data audit on a page, and its tables: the shortcut baselines with their intervals, and what else was found."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.plan.cells import Stage
from orchestrator.store.records import Status
from orchestrator.store.tables import ROWS_FILE, read_rows
from reports.audit_tables import balance_table, class_table
from reports.audit_words import Baseline, notes, warnings
from reports.clusters import clustered_auroc
from reports.frames import interval_columns
from reports.results import Results
from reports.statistics import Estimate, Resampler
from reports.tables import Table
from trainables.auditing.audit import FINDINGS_FILE, ClassFacts, Findings, Unusable
from trainables.auditing.copies import Pair
from trainables.writing import write_bytes

SHORTCUTS = (
    *("generator", "against", "fakes", "reals", "auroc", "auroc_low", "auroc_high", "flagged", "reason"),
    *("lead_1", "lead_2", "lead_3"),
)
LEADING = ("generator", "fact", "auroc", "words")
CLASSES = (
    "generator",
    "family",
    "label",
    "images",
    "fact",
    "category",
    "share",
    "first_quartile",
    "median",
    "third_quartile",
)
COPIES = ("kind", "crosses", "first", "first_of", "second", "second_of")
LEFT_OUT = ("path", "generator", "why")

_AS_DIVIDED = "Images by generator and split, as a study divides them if it says nothing else."


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair of copies and its picture as a data URI; blank for none."""

    pair: Pair
    uri: str


@dataclass(frozen=True)
class AuditPart:
    """What the page says of the data.

    Attributes:
        hole: why there is no audit; blank if there is one, and then ``findings`` is it.
        baselines: one a fake generator, in the findings' order.
        copies: the pairs that are shown, then those that are only listed.
    """

    hole: str = ""
    findings: Findings | None = None
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    copies: Sequence[Shown] = ()

    @property
    def left_out(self) -> Sequence[Unusable]:
        """The first of the files that are left out."""
        return self.findings.left_out if self.findings else ()

    @property
    def flagged(self) -> list[Baseline]:
        """The baselines that are a warning, the worst first."""
        found = [baseline for baseline in self.baselines.values() if baseline.shortcut.flagged]
        return sorted(found, key=lambda baseline: -(baseline.shortcut.auroc or 0))

    @cached_property
    def warnings(self) -> list[str]:
        """What makes results on these data doubtful, the worst first."""
        if self.findings is None:
            return []
        return warnings(self.findings, self.flagged)

    @cached_property
    def notes(self) -> list[str]:
        """What is good to know."""
        return [] if self.findings is None else notes(self.findings, self.flagged)

    @property
    def tables(self) -> Sequence[tuple[str, Table]]:
        """What the images are like, and how many there are, each with its caption."""
        if self.findings is None:
            return ()
        facts = "Images as they are stored: shares of the commonest categories, and medians with their quartiles."
        balance = "Images by generator and split." if self.findings.preprocessed else _AS_DIVIDED
        return ((facts, class_table(self.findings)), (balance, balance_table(self.findings)))


def audit_of(results: Results) -> AuditPart:
    """The study's audit, from the audit cell's files alone."""
    for cell in results.of(Stage.AUDIT):
        record, folder = results.records.get(cell.id), results.folders.folder(cell.id)
        if record is None:
            return AuditPart(hole="The audit has not run yet.")
        if record.status is not Status.DONE:
            why = f": {record.failure.message}" if record.failure else ""
            return AuditPart(hole=f"The audit {record.status.value}{why}.")
        if not (folder / FINDINGS_FILE).is_file():
            return AuditPart(hole="The files of the audit are no longer in the store.")
        findings = Findings.model_validate_json((folder / FINDINGS_FILE).read_bytes())
        scores = read_rows(folder / ROWS_FILE) if (folder / ROWS_FILE).is_file() else pd.DataFrame()
        pictures = {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}
        return audit_part(findings, scores, pictures, results.resampler)
    return AuditPart(hole="This plan has no audit.")


def audit_part(
    findings: Findings, scores: pd.DataFrame, pictures: Mapping[str, bytes], resampler: Resampler
) -> AuditPart:
    """An audit as the page shows it.

    Args:
        scores: columns ``trainables.auditing.audit.SCORES``.
        pictures: PNG files by name.
    """
    tables = {str(name): part for name, part in scores.groupby("against")} if len(scores) else {}
    baselines = {
        each.generator: Baseline(each, _estimate(tables.get(each.generator), resampler)) for each in findings.shortcuts
    }
    shown = [Shown(pair, _uri(pictures.get(pair.picture))) for pair in findings.copies.pairs]
    return AuditPart(findings=findings, baselines=baselines, copies=shown)


def shortcut_frame(part: AuditPart) -> pd.DataFrame:
    """One row a fake generator: its shortcut baseline with the 95 % interval, or why there is none."""
    rows = [
        {
            **each.shortcut.model_dump(include={"generator", "fakes", "reals", "reason"}),
            "against": " ".join(each.shortcut.against),
            **interval_columns("auroc", each.estimate),
            "flagged": each.shortcut.flagged,
            **{f"lead_{k}": lead.words for k, lead in enumerate(each.leads, start=1)},
        }
        for each in part.baselines.values()
    ]
    return pd.DataFrame(rows, columns=list(SHORTCUTS))


def audit_frames(part: AuditPart) -> dict[str, pd.DataFrame]:
    """Every table of the audit, by name."""
    shortcuts, classes = (part.findings.shortcuts, part.findings.classes) if part.findings else ((), ())
    leads = [{"generator": each.generator, **lead.model_dump()} for each in shortcuts for lead in each.leads]
    return {
        "shortcut": shortcut_frame(part),
        "shortcut_facts": pd.DataFrame(leads, columns=list(LEADING)),
        "classes": pd.DataFrame([row for each in classes for row in _class_rows(each)], columns=list(CLASSES)),
        "copies": pd.DataFrame([_pair_row(shown.pair) for shown in part.copies], columns=list(COPIES)),
        "left_out": pd.DataFrame([each.model_dump() for each in part.left_out], columns=list(LEFT_OUT)),
    }


def template_environment() -> Environment:
    """Renders the page's templates; all but figures of our own is escaped."""
    environment = Environment(
        loader=FunctionLoader(lambda name: files("reports").joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup
    return environment


def write_audit(part: AuditPart, title: str, out: Path) -> list[Path]:
    """Write an audit as one page, ``out``, and its tables as CSV beside it; returns the files, the page first."""
    css = Markup(files("reports").joinpath("page.css").read_text("utf-8"))
    page = template_environment().get_template("audit_page.html").render(title=title, css=css, audit=part)
    write_bytes(out, page.encode())
    tables = {out.with_name(f"{out.stem}.{name}.csv"): frame for name, frame in audit_frames(part).items()}
    for path, frame in tables.items():
        write_bytes(path, frame.to_csv(index=False, lineterminator="\n").encode())
    return [out, *tables]


def _estimate(scores: pd.DataFrame | None, resampler: Resampler) -> Estimate | None:
    return None if scores is None else clustered_auroc(scores, resampler)


def _uri(picture: bytes | None) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode() if picture else ""


def _pair_row(pair: Pair) -> dict[str, str]:
    first, second = pair.of
    return {**pair.model_dump(include={"kind", "crosses", "first", "second"}), "first_of": first, "second_of": second}


def _class_rows(facts: ClassFacts) -> Iterator[dict[str, object]]:
    start = facts.model_dump(include={"generator", "family", "label", "images"})
    for fact, shares in facts.shares.items():
        for category, share in shares.items():
            yield {**start, "fact": fact, "category": category, "share": share}
    for fact, values in facts.quartiles.items():
        yield {**start, "fact": fact, **dict(zip(CLASSES[-3:], values, strict=True))}
