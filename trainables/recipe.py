"""How a model is trained, as a value."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from trainables.augment import NOTHING, Augment
from trainables.contract import Config
from trainables.errors import InputError

Decay = Annotated[float, Field(ge=0, lt=1)]


class Recipe(Config):
    """Parameters of the one fit loop (``trainables.fit``).

    Attributes:
        epochs: passes over the labelled source images; the most there are, where something ends the training sooner.
        batch: labelled images a step, over all workers together.
        optimiser: AdamW, Adam, or SGD with Nesterov momentum .9.
        learning_rate: at the start.
        weight_decay: decoupled for AdamW, L2 for Adam and SGD.
        schedule: ``constant``; ``cosine`` to zero over all steps; ``step``: times ``gamma`` every ``step_size`` epochs;
            ``plateau``: times ``gamma`` when the patience is at its end, and the training ends below ``floor``.
        flips: mirror half of the images, left to right, at random; keeps every forensic trace.
        augment: what else happens to them at random: a preset's name (``cnndetection``, ``cnndetection_light``,
            ``affine``) or its own parameters; nothing if not given.
        betas: decay rates of Adam's and AdamW's two moments.
        step_size: epochs.
        gamma: factor of the learning rate.
        floor: learning rate below which a plateau ends the training.
        patience: epochs in a row that may pass without a better ``monitor``: a plateau then lowers the learning rate
            and counts anew, from the next epoch's figure; any other schedule ends the training. Without limit if not
            given, which a plateau cannot do with.
        monitor: figure of the held-out source images that decides on that: accuracy, the larger the better, or
            cross-entropy, the smaller the better. Which epoch's weights are kept is the rule's business alone.
        class_weights: of the cross-entropy on labelled images, scaled so that the mean over these images is 1, which
            keeps the loss of a step the same in however many parts it is taken: ``balanced``, one over the class's
            share; ``complement``, 1 less the share (Pontorno et al. 2024); or a number for each class. Of two classes
            ``balanced`` and ``complement`` are one.
        label_smoothing: share of the label that is spread over all classes (Szegedy et al. 2016, arXiv 1512.00567).
    """

    LATER: ClassVar[tuple[str, ...]] = (
        "betas",
        "step_size",
        "gamma",
        "floor",
        "patience",
        "monitor",
        "class_weights",
        "label_smoothing",
    )

    epochs: PositiveInt = 10
    batch: int = Field(default=64, ge=2)
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: PositiveFloat = 1e-3
    weight_decay: float = Field(default=1e-4, ge=0)
    schedule: Literal["constant", "cosine", "step", "plateau"] = "cosine"
    flips: bool = True
    augment: Augment = NOTHING
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    step_size: PositiveInt = 10
    gamma: float = Field(default=0.1, gt=0, lt=1)
    floor: PositiveFloat = 1e-6
    patience: PositiveInt | None = None
    monitor: Literal["accuracy", "loss"] = "accuracy"
    class_weights: Literal["none", "balanced", "complement"] | tuple[PositiveFloat, ...] = "none"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _patient_on_a_plateau(self) -> Recipe:
        if self.schedule == "plateau" and self.patience is None:
            raise InputError("a plateau is a number of epochs long", where="patience", fix="add `patience: 5`")
        return self
