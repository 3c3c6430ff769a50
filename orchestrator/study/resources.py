"""What a cell may use of the machines, by stage."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from trainables.contract import Config, Precision
from trainables.errors import InputError


class Resources(Config):
    """What one cell gets.

    Attributes:
        cpus: per worker; also the threads torch may use.
        gpus: per worker; a fraction shares one device between cells.
        workers: processes that train one model together; 2 or more always use Ray Train.
        launcher: ``inline`` trains in the trial's own warm process; ``train`` uses a TorchTrainer (own process
            group, failure handling and checkpoints: for long GPU cells); ``auto`` is ``train`` from 2 workers on.
        accumulate: parts that a fit takes each batch in, their gradients added up, where memory is short; they are
            doubled by themselves where it runs out.
        precision: that a fit computes the detector's body in, by autocast; the detector keeps it, and is scored,
            attacked and looked into in the same. ``bf16`` for CPUs and GPUs that have it, ``fp16``, with scaled losses,
            for older GPUs.
        channels_last: lay the weights of convolutions out as images lie in memory, faster for most networks.

    What would give another detector, however alike, is part of the id of a cell that trains: ``workers`` and
    ``accumulate``, for BatchNorm sees a share of each batch; ``precision``, for its rounding is coarse enough to count
    as another seed's chance. The last two are left out of the id at their defaults. ``cpus``, ``gpus`` and
    ``channels_last`` change the order of sums and no more, and are not in it.
    """

    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    workers: PositiveInt = 1
    launcher: Literal["auto", "inline", "train"] = "auto"
    accumulate: int = Field(default=1, ge=1, le=64)
    precision: Precision = "fp32"
    channels_last: bool = False

    @model_validator(mode="after")
    def _inline_is_alone(self) -> Resources:
        if self.launcher == "inline" and self.workers > 1:
            raise InputError(
                "launcher `inline` trains in one process", value=f"workers: {self.workers}", fix="use `auto` or `train`"
            )
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise InputError("a worker gets a share of one GPU, or whole GPUs", value=self.gpus, fix="round it")
        if 0 < self.gpus < 1 and self.workers > 1:
            raise InputError(
                "NCCL cannot run two workers on one GPU", value=f"gpus: {self.gpus}", fix="use whole GPUs, or 1 worker"
            )
        return self

    @property
    def distributed(self) -> bool:
        """Whether a training cell goes through Ray Train."""
        return self.launcher == "train" or self.workers > 1

    @property
    def parameters(self) -> dict[str, Any]:
        """What of this determines the result of a cell that trains."""
        neutral = {"accumulate": 1, "precision": "fp32"}
        changed = {name: getattr(self, name) for name, value in neutral.items() if getattr(self, name) != value}
        return {"workers": self.workers, **changed}


class StageResources(Config):
    """Resources by stage; a stage that is not named uses ``default``. Scoring rides with the model's stage."""

    default: Resources = Resources()
    audit: Resources | None = None
    train: Resources | None = None
    adapt: Resources | None = None
    attack: Resources | None = None
    analyse: Resources | None = None

    def of(self, stage: str) -> Resources:
        """The resources of a cell of this stage."""
        named: Resources | None = getattr(self, stage) if stage in type(self).model_fields else None
        return named or self.default
