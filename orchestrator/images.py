"""The images that a study reads: its data folder, what is in it, and what the last run found there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.plan.catalogue import Catalogue
from orchestrator.study.model import Data
from trainables.data.preprocess import Preprocess
from trainables.errors import InputError
from trainables.writing import write_json

if TYPE_CHECKING:
    from trainables.data.manifest import Manifest


class StudyImages:
    """A study's data folder.

    Args:
        data: the study's ``data``.
        image: its preprocessing.
        index: where what is known of the folder's files is kept from one command to the next.
    """

    def __init__(self, data: Data, image: Preprocess, index: Path) -> None:
        self._data, self._image, self._index = data, image, index

    @property
    def to_be_made(self) -> bool:
        """Whether the folder is a procedural benchmark that is not there yet."""
        return self._data.benchmark is not None and not self._data.root.exists()

    def make(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Make the benchmark, if it is not there yet."""
        if not self.to_be_made:
            return
        from trainables.benchmark.make import make_benchmark

        assert self._data.benchmark is not None
        make_benchmark(self._data.root, self._data.benchmark, progress=progress)
        for looked_at in ("manifest", "catalogue", "_indexed"):
            vars(self).pop(looked_at, None)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The image sets; of a benchmark that is still to be made, those it will have, without their contents."""
        if not self.to_be_made:
            return Catalogue(self.manifest.sets())
        from trainables.benchmark.images import foreseen_sets
        from trainables.benchmark.presets import find_preset

        assert self._data.benchmark is not None
        return Catalogue(foreseen_sets(find_preset(self._data.benchmark)))

    @cached_property
    def manifest(self) -> Manifest:
        """Every file, those that cannot be used marked as such.

        Raises:
            InputError: the folder is absent, has an empty class, or files that are no usable images.
        """
        from trainables.data.folder import admit

        return admit(self._indexed, self._data.unusable, self._image)

    @cached_property
    def _indexed(self) -> Manifest:
        """What is in the folder; only files that are new or changed are read."""
        from trainables.data.folder import index_folder, known_index

        root = self._data.root
        if not root.exists():
            raise InputError(
                "the data folder does not exist", where="data.root", value=str(root), fix="put the images there"
            )
        return index_folder(root, splits=self._data.splits, known=known_index(self._index))

    def keep_index(self) -> None:
        """Keep what is known of the files for the next command."""
        from trainables.data.folder import keep_index

        if not self.to_be_made:
            keep_index(self._indexed, self._index)


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
        write_json(path, {"sets": sets, "unusable": unusable, "inputs": dict(self.inputs)})

    @classmethod
    def load(cls, path: Path) -> Found | None:
        """What ``save`` kept; None if nothing was."""
        if not path.exists():
            return None
        kept = json.loads(path.read_bytes())
        unusable = tuple((file, problem) for file, problem in kept["unusable"])
        return cls(Catalogue.from_json(kept["sets"]), unusable, kept["inputs"])
