"""No adaptation: the source detector as it is, what every other method is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(MemberConfig):
    """``source_only`` has no parameters."""


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Leave the detector alone."""
    del config, detector, data, context
    return Outcome()
