"""Where a worker finds what its cells read, and where it leaves what they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.plan.cells import Cell, CellId
from orchestrator.store.artifacts import Artifacts
from trainables.data.preprocess import Preprocess

if TYPE_CHECKING:
    from trainables.data.manifest import Manifest
    from trainables.data.reader import Reader


@dataclass(frozen=True, slots=True)
class Place:
    """The paths of one study, the same on every node; small enough to travel with every job.

    Attributes:
        storage: the study's storage.
        index: the study's manifest, a Parquet file.
        cache: this node's folder of decoded images.
        budget: bytes that the study's images may take there in each way in which they are seen; the sets that would
            take more are streamed.
        provenance: versions and the git commit, for every record.
    """

    storage: Path
    index: Path
    cache: Path
    budget: float = 100e9
    provenance: tuple[tuple[str, str], ...] = field(default=())

    @property
    def artifacts(self) -> Artifacts:
        """The cells' folders."""
        return Artifacts(self.storage)

    @property
    def inputs(self) -> Path:
        """The folder of files that the study names, under the names of their contents."""
        return self.storage / "inputs"

    @property
    def scratch(self) -> Path:
        """Ray's own books of the present run: never read again, cleared when the run ends."""
        return self.storage / "ray"

    def folder(self, cell: CellId) -> Path:
        """A cell's own folder, there to be written to."""
        folder = self.artifacts.folder(cell)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def manifest(self) -> Manifest:
        """What is known of the study's images; kept in a warm process from cell to cell."""
        return _manifest(self.index, self.index.stat().st_mtime_ns)

    def reader(self, cell: Cell) -> Reader:
        """The study's images as a cell sees them; kept open in a warm process from cell to cell."""
        return _reader(self.manifest(), preprocess_of(cell), self.cache, self.budget)


def preprocess_of(cell: Cell) -> Preprocess:
    """How the images of a cell are made into squares of pixels."""
    return Preprocess.model_validate(cell.params["image"])


@lru_cache(maxsize=2)
def _manifest(index: Path, changed: int) -> Manifest:
    del changed  # part of the key: a new index is read anew
    from trainables.data.manifest import Manifest

    return Manifest.load(index)


@lru_cache(maxsize=16)  # detectors that see images in several ways take turns in one process
def _reader(manifest: Manifest, preprocess: Preprocess, cache: Path, budget: float) -> Reader:
    from trainables.data.reader import Reader

    return Reader(manifest, preprocess, cache, budget)
