"""SIGTERM, as `ray job stop` and batch systems send it, ends a run the way Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises ``Terminated`` while the block runs; for the main thread."""
    asked = False

    def terminate(number: int, frame: object) -> NoReturn:
        nonlocal asked
        del number, frame
        asked = True
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        # Where the signal finds the process waiting inside Ray, Ray raises a plain KeyboardInterrupt in its place.
        if asked and not isinstance(stop, Terminated):
            raise Terminated from stop
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """The process's own answers to Ctrl-C and SIGTERM, back in place after a block that takes them over."""
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for each, handler in before.items():
                signal.signal(each, handler)
