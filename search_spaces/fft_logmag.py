"""Learning rate, weight decay and optimiser of a network on log magnitudes of frequencies."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, network_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``fft_logmag``'s Config."""
    return {
        "recipe": network_training(trial),
    }
