"""Working ahead: the next batches are read while the device computes on this one.

Order and bits are those of reading one after the other: one thread runs ahead, and what is done for a batch in several
threads is put together by position.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainables.contract import Pixels
from trainables.data.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor

DEPTH = 2
"""Batches that are ready or in the making while one is in use."""

Item = TypeVar("Item")
Result = TypeVar("Result")
_END = object()


@contextmanager
def ahead(items: Iterable[Item], depth: int = DEPTH) -> Iterator[Iterator[Item]]:
    """The items in their order, made by a background thread while the body uses those before; 0 makes none ahead.

    An exception in the making is raised in the body, at the place of the item it belongs to. When the body ends, for
    whatever reason, the thread has ended too.
    """
    if not depth:
        yield iter(items)
        return
    with ThreadPoolExecutor(1, "ahead") as thread, closing(_in_order(thread, iter(items), depth)) as results:
        yield results


def _in_order(thread: ThreadPoolExecutor, items: Iterator[Item], depth: int) -> Generator[Item, None, None]:
    waiting = deque(thread.submit(next, items, _END) for _ in range(depth))
    try:
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(thread.submit(next, items, _END))
            yield item  # type: ignore[misc]
    finally:
        for future in waiting:
            future.cancel()


def pays(pixels: Pixels, device: str) -> bool:
    """Whether reading ahead saves time: for a GPU always; for a CPU if reading does more than copy from memory.

    Copying a batch of cached images takes less than a hundredth of a training step on a CPU: there is nothing to gain.
    """
    return device != "cpu" or not in_memory(pixels)


def in_memory(pixels: Pixels) -> bool:
    """Whether all of them are arrays or memory maps, nothing is decoded or changed on the way out."""
    if isinstance(pixels, Stack):
        return all(in_memory(part) for part in pixels.parts)
    return isinstance(pixels, np.ndarray)


def ready(pixels: NDArray[np.uint8], device: str) -> Tensor:
    """(B, H, W, 3) uint8 as a tensor of this machine's memory, from which a GPU copies while it computes."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(pixels))
    return tensor if device == "cpu" else tensor.pin_memory()


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The function's results in the items' order; for work that leaves the interpreter's lock, such as decoding.

    The function must not call this itself.
    """
    # Several at a time: handing over one by one costs a tenth of the time that a small image takes.
    run = max(1, min(8, len(items) // (4 * _THREADS)))
    runs = [items[start : start + run] for start in range(0, len(items), run)]
    return [result for part in _pool().map(lambda part: [function(item) for item in part], runs) for result in part]


_THREADS = min(16, len(os.sched_getaffinity(0)))


@cache
def _pool() -> ThreadPoolExecutor:
    """This process's threads; kept, for starting them takes as long as decoding an image."""
    return ThreadPoolExecutor(_THREADS, "images")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has the pool, but not its threads
