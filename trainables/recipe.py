"""How a model is trained, as a value."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from trainables.augment import NOTHING, Augment
from trainables.contract import Config


class Recipe(Config):
    """Parameters of the one fit loop (``trainables.fit``).

    Attributes:
        epochs: passes over the labelled source images.
        batch: labelled images a step, over all workers together.
        optimiser: AdamW, or SGD with Nesterov momentum .9.
        learning_rate: at the start.
        weight_decay: decoupled for AdamW, L2 for SGD.
        schedule: ``constant``, or ``cosine`` to zero over all steps.
        flips: mirror half of the images, left to right, at random; keeps every forensic trace.
        augment: what else happens to them at random: a preset's name (``cnndetection``, ``cnndetection_light``,
            ``affine``) or its own parameters; nothing if not given.
    """

    epochs: PositiveInt = 10
    batch: int = Field(default=64, ge=2)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: PositiveFloat = 1e-3
    weight_decay: float = Field(default=1e-4, ge=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    flips: bool = True
    augment: Augment = NOTHING
