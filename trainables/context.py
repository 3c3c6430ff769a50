"""A stage that runs alone, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from trainables.contract import Precision
from trainables.selection.rule import Rule, best, source_val

if TYPE_CHECKING:
    from torch import nn

    from trainables.detector import Detector
    from trainables.selection.watch import Watcher

STATE = "state.safetensors"


@dataclass(kw_only=True)
class LocalContext:
    """The context of one process: nothing to wrap, nothing to gather, state kept in the cell's folder.

    Args:
        folder: the cell's own folder; made on the first write.
        seed: the cell's seed.
        device: ``cpu`` or ``cuda:0``.
        accumulate: parts that a batch is taken in.
        precision: that a fit's detector computes in.
        channels_last: whether a fit lays the weights of convolutions out as images lie in memory.
        on_report: called with every row that is reported.
        cache: this node's folder of what several cells would compute alike; None where nothing is kept.
        watcher: keeps what the detector says after every epoch; None where nothing is watched.
    """

    folder: Path
    seed: int = 0
    device: str = "cpu"
    rank: int = 0
    world_size: int = 1
    accumulate: int = 1
    precision: Precision = "fp32"
    channels_last: bool = False
    on_report: Callable[[Mapping[str, float]], None] | None = None
    cache: Path | None = None
    watcher: Watcher | None = None

    def prepare(self, module: nn.Module) -> nn.Module:
        """The module on the device."""
        return self.laid_out(module).to(self.device)

    def laid_out(self, module: nn.Module) -> nn.Module:
        """The module, the weights of its convolutions in memory as this context wants them."""
        import torch

        return module.to(memory_format=torch.channels_last) if self.channels_last else module

    def report(self, row: Mapping[str, float]) -> None:
        """Hand the row to ``on_report``."""
        if self.on_report is not None:
            self.on_report(row)

    def watch(self, detector: Detector) -> Mapping[str, float]:
        """What the watcher tells of the epoch, if there is one."""
        return {} if self.watcher is None else self.watcher.watch(detector, self)

    @property
    def rule(self) -> Rule:
        """The watcher's rule; accuracy on held-out source images without one."""
        return source_val if self.watcher is None else best(self.watcher.rule)

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values as they are: there is one rank."""
        return values

    def save_state(self, state: Any) -> None:
        """Replace the state kept in ``folder / STATE``; what was watched so far travels with it."""
        from trainables.checkpoint import save_state

        watched = None if self.watcher is None else self.watcher.state()
        save_state(self.folder / STATE, {"state": state, "watched": watched})

    def load_state(self) -> Any | None:
        """The state last saved in the folder, if any; the watcher goes on from there, too.

        One in another form, which an earlier version left, is passed over: the stage starts from nothing.
        """
        from trainables.checkpoint import load_state

        kept = load_state(self.folder / STATE)
        if not isinstance(kept, dict) or set(kept) != {"state", "watched"}:
            return None
        if self.watcher is not None:
            self.watcher.restore(kept["watched"])
        return kept["state"]
