"""A stage that runs alone, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

STATE = "state.safetensors"


@dataclass(kw_only=True)
class LocalContext:
    """The context of one process: nothing to wrap, nothing to gather, state kept in the cell's folder.

    Args:
        folder: the cell's own folder; made on the first write.
        seed: the cell's seed.
        device: ``cpu`` or ``cuda:0``.
        accumulate: parts that a batch is taken in.
        on_report: called with every row that is reported.
    """

    folder: Path
    seed: int = 0
    device: str = "cpu"
    rank: int = 0
    world_size: int = 1
    accumulate: int = 1
    on_report: Callable[[Mapping[str, float]], None] | None = None

    def prepare(self, module: nn.Module) -> nn.Module:
        """The module on the device."""
        return module.to(self.device)

    def report(self, row: Mapping[str, float]) -> None:
        """Hand the row to ``on_report``."""
        if self.on_report is not None:
            self.on_report(row)

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values as they are: there is one rank."""
        return values

    def save_state(self, state: Any) -> None:
        """Replace the state kept in ``folder / STATE``."""
        from trainables.checkpoint import save_state

        save_state(self.folder / STATE, state)

    def load_state(self) -> Any | None:
        """The state last saved in the folder, if any."""
        from trainables.checkpoint import load_state

        return load_state(self.folder / STATE)
