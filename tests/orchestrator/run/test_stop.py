"""SIGTERM ends a run the way Ctrl-C does, and is told from it."""

from __future__ import annotations

import os
import signal

import pytest

from orchestrator.run.stop import Terminated, terminable


def test_sigterm_is_told_from_ctrl_c_also_where_a_library_forgets_which_it_was():
    def library() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None  # as Ray does while it waits

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminable():
        library()
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_stays_ctrl_c():
    with pytest.raises(KeyboardInterrupt) as stop, terminable():
        raise KeyboardInterrupt
    assert not isinstance(stop.value, Terminated)
