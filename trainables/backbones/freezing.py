"""How much of a detector is trained: S4's axis, from the head alone to everything; or nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from trainables.errors import InputError

if TYPE_CHECKING:
    from trainables.detector import Detector


NONE = "none"


def _known(trainable: str) -> str:
    if not re.fullmatch(rf"all|{NONE}|head|last:[1-9]\d*", trainable):
        fix = f"write `all`, `{NONE}`, `head`, or `last:2` for the head and the two blocks before it"
        raise InputError("no such part of a detector", value=trainable, fix=fix)
    return trainable


Trainable = Annotated[str, AfterValidator(_known)]
"""``all``, ``head``, or ``last:k``: the head and so many blocks before it, as ``trainables.blocks`` counts them.

``none`` is of a detector that comes as it shall be: its source training trains nothing; an adaptation may train it all.
"""


def last_blocks(trainable: str) -> int | None:
    """How many blocks before the head a training may change: 0 for ``head``, None for all of them."""
    if trainable in ("all", NONE):
        return None
    return int(trainable.removeprefix("last:")) if trainable != "head" else 0


def freeze(detector: Detector, trainable: str) -> None:
    """Make the parameters want gradients that are trained, and no others.

    A part none of whose parameters is trained stands still as a whole: ``trainables.freezing.train_mode``.

    Raises:
        InputError: the detector has not so many blocks.
    """
    from trainables.blocks import deepest

    count = last_blocks(trainable)
    if count is None:
        return
    try:
        trained = {id(parameter) for parameter in deepest(detector, count)}
    except InputError as error:
        raise error.at("trainable") from None
    for parameter in detector.parameters():
        parameter.requires_grad_(id(parameter) in trained)
