"""Images that are decoded when they are asked for, for sets that are larger than the cache may be."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.data.preprocess import Preprocess
from trainables.data.stack import positions_of
from trainables.errors import InputError
from trainables.indexing.content import read_content
from trainables.indexing.decode import UnusableImageError, decode
from trainables.prefetch import in_threads

_ANEW = "run again: it is indexed anew; if this comes back, its size and time did not change: `touch` the file"


class ImageFile(NamedTuple):
    """Where an image is, and the SHA-256 that its encoded bytes must have; all but the root from the manifest."""

    root: Path
    path: str
    offset: int
    bytes: int
    digest: str


class Stream:
    """The squares of an image set, as one (N * views, size, size, 3) uint8 array that is never made whole.

    Indexing like NumPy's reads and decodes those images, in threads; nothing is kept. Of an image whose squares are
    asked for together the file is read once.

    Args:
        roots: the data folders.
        rows: one an image: columns ``folder``, ``path``, ``offset``, ``bytes``, ``digest`` of the manifest.
        preprocess: how an image becomes squares.
    """

    def __init__(self, roots: Sequence[Path], rows: pd.DataFrame, preprocess: Preprocess) -> None:
        self._roots, self._rows, self.preprocess = roots, rows, preprocess
        # Pillow warns of odd tags; what matters of that is a note in the manifest. For good: the warning filters
        # belong to the process, and threads that changed them for a moment would undo each other's change.
        warnings.filterwarnings("ignore", module=r"PIL\.")

    @property
    def shape(self) -> tuple[int, ...]:
        """(N * views, size, size, 3)."""
        size = self.preprocess.size
        return (len(self), size, size, 3)

    def __len__(self) -> int:
        return len(self._rows) * self.preprocess.views

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        """The squares at these positions.

        Raises:
            InputError: a file is gone, cannot be read or has changed since it was indexed.
        """
        positions = positions_of(index, len(self))
        images, views = np.divmod(np.atleast_1d(positions), self.preprocess.views)
        pixels = np.empty((len(images), *self.shape[1:]), np.uint8)

        def fill(places: NDArray[np.int64]) -> None:
            squares = read_squares(self._files[images[places[0]]], self.preprocess)
            pixels[places] = squares[views[places]]

        in_threads(fill, _equal_ones(images))
        return pixels.reshape(*positions.shape, *self.shape[1:])

    @cached_property
    def _files(self) -> list[ImageFile]:
        columns = [self._rows[name].tolist() for name in ("folder", "path", "offset", "bytes", "digest")]
        return [ImageFile(self._roots[folder], *rest) for folder, *rest in zip(*columns, strict=True)]


def read_squares(file: ImageFile, preprocess: Preprocess) -> NDArray[np.uint8]:
    """The squares of one image, (views, size, size, 3).

    Raises:
        InputError: as ``Stream``.
    """
    where = str(file.root / file.path)
    try:
        data = read_content(file.root, file.path, file.offset, file.bytes)
        if hashlib.sha256(data).hexdigest() != file.digest:
            raise InputError("the file has changed since the folder was indexed", fix=_ANEW)
        return preprocess(decode(data).image, file.digest)
    except InputError as error:
        raise error.at(where) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError("the file is gone since the folder was indexed", where=where) from error
    except OSError as error:
        raise InputError("the file cannot be read", where=where, value=error.strerror) from error
    except UnusableImageError as error:
        raise InputError(str(error), where=where) from error


def _equal_ones(values: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The positions of each distinct value."""
    order = np.argsort(values, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(values[order])) + 1)
    return [group for group in groups if len(group)]
