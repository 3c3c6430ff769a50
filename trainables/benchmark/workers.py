"""A function over many items in processes of one thread each, that end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")

_WORTH_IT = 8
"""With fewer items, starting processes takes longer than they save."""


def map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Result]:
    """The results in the items' order, as they come; here in this process if that is quicker.

    Args:
        function: importable in another process, as are the items.
        items: what to call it with.
        workers: processes; one per core that this process may use if not given.
    """
    workers = workers or os.cpu_count() or 1
    if workers == 1 or len(items) < _WORTH_IT:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(items)), context, initializer=_start_worker) as pool:
        try:
            with _without_main():
                results = pool.map(function, items)
            yield from results
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep processes that are started within from importing the user's script: it would start this all over again."""
    main: dict[str, object] = vars(sys.modules["__main__"])
    kept = {name: main[name] for name in main.keys() & {"__file__", "__spec__"}}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(kept)


def _start_worker() -> None:
    cv2.setNumThreads(1)
    # Control-C reaches every process of the terminal; the one that started us tells us when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # The main thread waits for work that nobody will send.
        os._exit(1)
