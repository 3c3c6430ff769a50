"""Search spaces: of a member (``search_spaces/``), or of the study's own, over the fields of the member's Config."""

from __future__ import annotations

from typing import Any

from orchestrator.study.tuning import Tuning
from trainables.contract import Config


def described(kind: str, config: Config, tuning: Tuning) -> dict[str, Any]:
    """The space as plain JSON, for the tuning's id: the intervals and choices of every parameter by its dotted name."""
    raise NotImplementedError
