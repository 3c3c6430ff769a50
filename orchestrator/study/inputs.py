"""Files that a study names, such as weights to start from: known by their content, not by their place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from trainables.contract import Config
from trainables.errors import InputError

PREFIX = "sha256-"


def parameters(config: Config) -> dict[str, Any]:
    """What determines a member's result: its config as plain JSON, each file's path replaced by its content's name.

    Raises:
        InputError: a file does not exist.
    """
    return config.model_dump(mode="json") | {key: content_name(path, key) for key, path in input_files(config)}


def input_files(config: Config) -> Iterator[tuple[str, Path]]:
    """The files that a config names, by key."""
    return ((key, value) for key, value in config if isinstance(value, Path))


def content_name(path: Path, key: str) -> str:
    """``sha256-…`` and the file's suffix: the name of its content, wherever it lies.

    Raises:
        InputError: the file does not exist; the message names ``key``.
    """
    if not path.is_file():
        fix = "put the file there; nothing is downloaded"
        raise InputError("the file does not exist", where=key, value=str(path), fix=fix)
    stat = path.stat()
    return f"{PREFIX}{_sha256(path, stat.st_size, stat.st_mtime_ns)}{path.suffix}"


def placed(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The inverse of ``parameters`` for a worker: names of contents become paths in the folder that keeps them."""
    return {
        key: str(folder / value) if isinstance(value, str) and value.startswith(PREFIX) else value
        for key, value in values.items()
    }


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, changed: int) -> str:
    del size, changed  # part of the key: a file that was replaced is read again
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def at(config: Config, kept: Mapping[str, str], folder: Path) -> Config:
    """The config with its files where the storage keeps them: the originals may be gone.

    Args:
        kept: names of contents by original path.
        folder: that keeps them.
    """
    places = {key: folder / kept[str(path)] for key, path in input_files(config) if str(path) in kept}
    return config.model_copy(update=places)
