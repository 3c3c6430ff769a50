"""The images that a study reads: its data folder, what is in it, and what the last run found there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import digest
from orchestrator.study.explain import explain
from orchestrator.study.model import DataFolder, Study
from orchestrator.study.rooms import LayoutChoice
from orchestrator.study.source import Source
from trainables.errors import InputError
from trainables.writing import write_json

if TYPE_CHECKING:
    from trainables.data.manifest import Manifest
    from trainables.indexing.examining import Examine, Progress
    from trainables.indexing.index import Index


class StudyImages:
    """A study's images: its data folders, joined.

    Args:
        study: what it takes of them, and how it divides them.
        indexes: folder of what is known of the files from one command to the next.
    """

    def __init__(self, study: Study, indexes: Path) -> None:
        self._study, self._indexes = study, indexes
        self._examine: Examine | None = None
        self._progress: Progress | None = None

    @property
    def to_be_made(self) -> DataFolder | None:
        """The folder that is a procedural benchmark and not there yet."""
        absent = [folder for folder in self._study.data if folder.benchmark and not folder.root.exists()]
        return absent[0] if absent else None

    def make(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Make the benchmarks that are not there yet."""
        while folder := self.to_be_made:
            from trainables.benchmark.make import make_benchmark

            assert folder.benchmark is not None
            make_benchmark(folder.root, folder.benchmark, progress=progress)
            for looked_at in ("manifest", "catalogue"):
                vars(self).pop(looked_at, None)

    def read_with(self, examine: Examine | None = None, progress: Progress | None = None) -> None:
        """Who reads what is not known yet, threads of this process if not given, and who is told."""
        self._examine, self._progress = examine, progress

    @cached_property
    def catalogue(self) -> Catalogue:
        """The image sets; of a benchmark that is still to be made, those it will have, without their contents.

        Raises:
            InputError: as ``manifest``; or a benchmark that is not taken whole, or is joined to other folders, is
                still to be made.
        """
        folder = self.to_be_made
        if folder is None:
            return Catalogue(self.manifest.sets(), self.manifest.digest)
        whole = DataFolder(root=folder.root, benchmark=folder.benchmark, unusable=folder.unusable)
        if self._study.data != (whole,):
            problem = "what is taken of a benchmark is known once it is made"
            fix = f"orchestrator data make {folder.benchmark} {folder.root}"
            raise InputError(problem, where="data.root", value=str(folder.root), fix=fix)
        from trainables.benchmark.images import foreseen_sets
        from trainables.benchmark.presets import find_preset

        assert folder.benchmark is not None
        return Catalogue(foreseen_sets(find_preset(folder.benchmark)))

    @cached_property
    def manifest(self) -> Manifest:
        """Every image, those that cannot be used marked as such.

        Raises:
            InputError: a folder is absent or not understood, has files that are no usable images, or its images make
                no honest experiment; see ``trainables.data.assemble``.
        """
        from trainables.data.assemble import assemble

        study = self._study
        folders = [(self._index(folder), folder) for folder in study.data]
        return assemble(folders, study.splits, overlap=study.overlap, preprocesses=study.preprocesses)

    @property
    def unusable(self) -> tuple[tuple[str, str], ...]:
        """Files that are not used, each with the reason; by their path in the folder, where there is only one."""
        rows, roots = self.manifest.problems, self.manifest.roots
        columns = (rows[name] for name in ("folder", "path", "problem"))
        return tuple(
            (path if len(roots) == 1 else f"{roots[folder]}/{path}", problem)
            for folder, path, problem in zip(*columns, strict=True)
        )

    def _index(self, folder: DataFolder) -> Index:
        """What is in a folder; only images that are new or changed are read."""
        from trainables.indexing.index import index_folder

        if not folder.root.exists():
            fix = "put the images there, or correct the path"
            raise InputError("the data folder does not exist", where="data.root", value=str(folder.root), fix=fix)
        layout = folder.layout
        return index_folder(
            folder.root,
            layout=layout.kind if layout else None,
            config=layout.config if layout else None,
            kept=kept_index(self._indexes, folder),
            examine=self._examine,
            progress=self._progress,
        )


def layout_from(text: str) -> LayoutChoice:
    """A layout as the command line gives it: a name, or what a study would say: ``{kind: manifest, fake_is: 1}``.

    Raises:
        InputError: it is neither.
    """
    place = Path("--layout")
    try:
        values = yaml.safe_load(text)
        return LayoutChoice.model_validate(values)
    except yaml.YAMLError:
        fix = "write a name, or a mapping in quotes: '{kind: flat, generator: midjourney}'"
        raise InputError("not a layout", where=str(place), value=text, fix=fix) from None
    except ValidationError as error:
        raise explain(error, Source(place, values, None)) from None


def index_once(
    folder: Path,
    layout: str | None = None,
    *,
    kept: Path | None = None,
    examine: Examine | None = None,
    progress: Progress | None = None,
) -> Index:
    """The index of a folder that no study names.

    Args:
        folder: of images.
        layout: as for ``layout_from``; recognised if not given.
        kept, examine, progress: as for ``index_folder``.

    Raises:
        InputError: as ``layout_from`` and ``index_folder``.
    """
    from trainables.indexing.index import index_folder

    choice = layout_from(layout) if layout else None
    return index_folder(
        folder,
        layout=choice.kind if choice else None,
        config=choice.config if choice else None,
        kept=kept,
        examine=examine,
        progress=progress,
    )


def kept_index(indexes: Path, folder: DataFolder) -> Path:
    """Where the index of a data folder is kept, whatever studies take of it."""
    layout = [folder.layout.kind, folder.layout.config.model_dump(mode="json")] if folder.layout else None
    return indexes / f"{digest([str(folder.root.absolute()), layout])}.parquet"


@dataclass(frozen=True, slots=True)
class Found:
    """What the last run was planned from: status and report need no images, and no file that the study names.

    Attributes:
        catalogue: the image sets.
        unusable: files that were skipped, each with the reason.
        inputs: files that the study names, by path, with the names of their contents.
    """

    catalogue: Catalogue
    unusable: tuple[tuple[str, str], ...]
    inputs: Mapping[str, str]

    def save(self, path: Path) -> None:
        """Keep it as JSON."""
        sets, unusable = self.catalogue.to_json(), [list(each) for each in self.unusable]
        manifest = self.catalogue.manifest
        write_json(path, {"sets": sets, "manifest": manifest, "unusable": unusable, "inputs": dict(self.inputs)})

    @classmethod
    def load(cls, path: Path) -> Found | None:
        """What ``save`` kept; None if nothing was."""
        if not path.exists():
            return None
        kept = json.loads(path.read_bytes())
        unusable = tuple((file, problem) for file, problem in kept["unusable"])
        return cls(Catalogue.from_json(kept["sets"], kept["manifest"]), unusable, kept["inputs"])
