"""What happens during a run, told to whoever wants to know: the terminal, the state file, MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from orchestrator.plan.cells import Cell, CellId
from orchestrator.plan.graph import Plan
from orchestrator.store.records import Record


class Listener(Protocol):
    """Told in the driver's process and thread; must be quick, and must not raise."""

    def begin(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        """A run of ``plan`` starts; ``done`` is what the ledger already held of it."""

    def replanned(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        """A tuning has chosen, and the run goes on with ``plan``; ``done`` is what the ledger holds of that."""

    def started(self, cell: Cell) -> None:
        """A worker has taken up a cell."""

    def progress(self, cell: Cell, row: Mapping[str, float]) -> None:
        """A running cell has finished an epoch (``row["epoch"]``) or a part of its work.

        A tuning tells how many of its ``trials`` have ended (``trial``), and the ``best`` value so far.
        """

    def finished(self, record: Record) -> None:
        """A cell is in the ledger: done, failed or blocked."""

    def tick(self) -> None:
        """Nothing has happened; called now and then, so that what is shown does not lag behind the last event."""

    def end(self) -> None:
        """The run is over, complete or not."""
