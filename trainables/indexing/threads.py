"""Reading many images at once; Pillow decodes outside the interpreter's lock, so threads will do."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST = 16
_BATCH = 8
"""Items a thread takes at a time: handing over one by one costs a tenth of the time that a small image takes."""


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> Generator[list[Result], None, None]:
    """The results in the items' order, a few at a time, read at most some hundred ahead."""
    threads = min(_MOST, len(os.sched_getaffinity(0)))
    waiting: deque[Future[list[Result]]] = deque()
    # Once for all threads: the warning filters belong to the process.
    with without_warnings(), ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(items), _BATCH):
                waiting.append(pool.submit(_each, function, items[start : start + _BATCH]))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Pillow warns of odd tags and large images; what matters of that is said in an image's `note` or `problem`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
