"""What the conformance suites share with the tests of the members."""

from __future__ import annotations

from tests.trainables.conftest import (  # noqa: F401
    _one_thread,
    _trained,
    copies,
    data,
    source,
    source_val,
    target,
    trained,
)
