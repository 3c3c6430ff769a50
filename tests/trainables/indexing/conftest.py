"""What the tests of indexing share with those of the data."""

from __future__ import annotations

from tests.trainables.data.conftest import folder  # noqa: F401
