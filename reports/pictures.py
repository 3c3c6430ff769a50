"""The analyses' pictures, made small enough to live inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.records import Status
from reports.results import Results

_WIDTH = 1400
_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a data URI, with what it shows."""

    title: str
    uri: str
    width: int
    height: int


Pictures = dict[str, dict[str, list[Picture]]]
"""By analysis and adaptation."""


def pictures(results: Results, detector: str, limit: int) -> tuple[Pictures, int]:
    """The first pictures of a detector's models, and how many the limit left out."""
    found: Pictures = {}
    shown = left = 0
    for cell in results.of(Stage.ANALYSE):
        record = results.records.get(cell.id)
        if cell.tags.detector != detector or not record or record.status is not Status.DONE or not record.files:
            continue
        path = results.folders.folder(cell.id) / record.files[0]
        if path.suffix not in (".png", ".jpg", ".webp") or not path.is_file():
            continue
        if shown < limit:
            with Image.open(path) as image:
                found.setdefault(cell.tags.variant, {}).setdefault(cell.tags.adaptation, []).append(
                    _picture(cell, image)
                )
            shown += 1
        else:
            left += 1
    return found, left


def _picture(cell: Cell, image: Image.Image) -> Picture:
    small = image.convert("RGB")
    if small.width > _WIDTH:
        small = small.resize((_WIDTH, round(small.height * _WIDTH / small.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY)
    uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
    tags = cell.tags
    place = tags.source if tags.source == tags.target else f"{tags.source} → {tags.target}"
    return Picture(f"{place}, seed {tags.seed}", uri, small.width, small.height)
