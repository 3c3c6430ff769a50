"""The cells' own folders: checkpoints, scores, figures, and the record a worker leaves behind."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.plan.cells import CellId
from orchestrator.store.records import Record, Status
from trainables.writing import write_json

RECORD = "record.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What cells leave on disk, a folder a cell; only the cell's own worker writes there.

    Args:
        root: the storage folder.
    """

    root: Path

    def folder(self, cell: CellId) -> Path:
        """A cell's folder, whether it is there or not."""
        return self.root / "cells" / cell[:2] / cell

    def leave(self, record: Record) -> None:
        """File a cell's record in its folder: a worker's last step, after all files of the cell are in place."""
        write_json(self.folder(record.cell) / RECORD, record.to_json())

    def whole(self, cell: CellId) -> bool:
        """Whether a finished cell's record and files are all there."""
        return self._left(cell) is not None

    def left_behind(self, cells: Iterable[CellId]) -> list[Record]:
        """Those of the cells that were finished by a worker, though no driver may have committed them.

        A cell counts only if it is done and all of its files are there. A damaged record is told and passed over: the
        cell then runs again.
        """
        found = (self._left(cell) for cell in cells)
        return [record for record in found if record is not None]

    def _left(self, cell: CellId) -> Record | None:
        folder = self.folder(cell)
        try:
            value: Mapping[str, Any] = json.loads((folder / RECORD).read_bytes())
            record = Record.from_json(value)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s is damaged (%s); the cell will run again", folder / RECORD, error)
            return None
        whole = record.status is Status.DONE and all((folder / name).is_file() for name in record.files)
        return record if whole and record.cell == cell else None
