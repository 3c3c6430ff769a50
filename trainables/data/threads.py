"""Reading many image files at once; Pillow decodes outside the interpreter's lock, so threads will do."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 256


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[list[Result]]:
    """The results in the items' order, a list of some hundred at a time, read no further ahead than that."""
    threads = min(16, os.cpu_count() or 1)
    # Once for all threads: the warning filters belong to the process. Pillow warns of odd tags and large images;
    # what matters of that is said in an image's `note` or `problem`.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")
        for start in range(0, len(items), _CHUNK):
            yield list(pool.map(function, items[start : start + _CHUNK]))
