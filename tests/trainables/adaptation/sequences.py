"""Steps of a sequence on toy images: two generators learnt before, and labelled images of a third."""

from __future__ import annotations

from dataclasses import replace

import torch

from tests.trainables.toy import toy_images
from trainables.contract import AdaptationData
from trainables.detector import Detector

PERIODS = (2, 8)
"""Of the generators before; the source's images are of the first."""


def third_step(data: AdaptationData) -> AdaptationData:
    """What the third generator's step may read."""
    earlier = [toy_images(24, seed=20 + period, period=period) for period in PERIODS]
    learnt, held_out = (toy_images(count, seed=30 + count, period=4) for count in (32, 16))
    return replace(data, oracle_train=learnt, oracle_val=held_out, earlier=earlier)


def contrary(data: AdaptationData) -> AdaptationData:
    """The same step with labels turned round, so that learning it goes against everything before."""
    step = third_step(data)
    assert step.oracle_train is not None
    assert step.oracle_val is not None
    learnt, held_out = (replace(images, labels=1 - images.labels) for images in (step.oracle_train, step.oracle_val))
    return replace(step, oracle_train=learnt, oracle_val=held_out)


def same(one: Detector, two: Detector) -> bool:
    """Whether all parameters and buffers are the same to the last bit."""
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)
