"""The audit of a folder, or of a study's images before it runs, as ``orchestrator data audit`` makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestrator.campaign import Campaign
from orchestrator.images import index_once
from orchestrator.plan.cells import Stage
from reports.audit import AuditPart, audit_part, write_audit
from reports.statistics import Resampler
from trainables.auditing.audit import Audit, Findings, audit
from trainables.data.assemble import assemble
from trainables.data.choosing import Choosing
from trainables.data.reader import Reader
from trainables.data.splits import Fractions
from trainables.errors import InputError

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """An audit, as a page shows it and as plain values, and the files it was written to, the page first."""

    part: AuditPart
    findings: Findings
    files: list[Path]


def audit_folder(
    folder: Path, layout: str | None = None, out: Path | None = None, progress: Progress | None = None
) -> Made:
    """Audit a folder's images as they are stored.

    Args:
        folder: its index, if `data index` has made one beside it, saves reading what is known.
        layout: as for ``index_once``.
        out: folder of the page and its tables; beside ``folder`` if not given.
        progress: called now and then with images read and images in all.

    Raises:
        InputError: the layout is not recognised, or its images make no data set; see ``assemble``.
    """
    folder = folder.resolve()
    kept = folder.with_name(f"{folder.name}.index.parquet")
    index = index_once(folder, layout, kept=kept if kept.exists() else None, progress=progress)
    manifest = assemble([(index, Choosing(unusable="skip"))], Fractions(), overlap="drop", complete=False)
    return _written(audit(manifest), folder.name, (out or folder.parent) / f"{folder.name}.audit.html")


def audit_study(study: Path, out: Path | None = None, progress: Progress | None = None) -> Made:
    """Audit a study's images as its ``preprocess`` makes them: the same figures as its report will have.

    Args:
        study: its file.
        out: folder of the page and its tables; in the study's storage if not given.
        progress: called now and then with images read and images in all.

    Raises:
        InputError: the study is not valid, or its images are not there.
    """
    campaign = Campaign.open(study)
    if absent := campaign.images.to_be_made:
        fix = f"orchestrator data make {absent.benchmark} {absent.root}"
        raise InputError("this benchmark is still to be made", where="data.root", value=str(absent.root), fix=fix)
    campaign.images.read_with(progress=progress)
    against: Any = next(cell for cell in campaign.plan() if cell.stage is Stage.AUDIT).params["against"]
    manifest, preprocess = campaign.images.manifest, campaign.study.preprocess
    with TemporaryDirectory() as cache:
        found = audit(manifest, against, preprocess=preprocess, reader=Reader(manifest, preprocess, Path(cache), 0))
    name = campaign.study.name
    return _written(found, name, (out or campaign.folder / "audit") / f"{name}.audit.html")


def _written(found: Audit, title: str, page: Path) -> Made:
    part = audit_part(found.findings, found.scores, found.pictures, Resampler())
    return Made(part, found.findings, write_audit(part, title, page))
