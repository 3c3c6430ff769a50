"""CLIP's image features as they are: what detectors with a frozen CLIP under a small head have in common.

Ojha, Li & Lee 2023, "Towards universal fake image detectors that generalize across generative models" (arXiv
2302.10174): features that were never trained to tell real from fake tell fakes of generators that no detector has seen.
"""

from __future__ import annotations

from trainables.architecture import OnBackbone
from trainables.backbones.names import OPEN_CLIP
from trainables.errors import InputError


class OnClip(OnBackbone):
    """Parameters of a detector on a frozen CLIP; such members inherit them.

    Attributes:
        architecture: ``open_clip/<name>``; published: OpenAI's ViT-L/14, whose activation is ``quickgelu``.
        weights: a file of them; a detector is learnt with weights alone.
    """

    architecture: str = OPEN_CLIP + "ViT-L-14-quickgelu"


def check_weights(config: OnClip) -> None:
    """Pass where the network has weights to start from.

    Raises:
        InputError: it has none; the message says what would fetch them.
    """
    if config.weights is None:
        from trainables.backbones.from_open_clip import command

        fetch = command(config.architecture.removeprefix(OPEN_CLIP))
        fix = f"name a file of them: `weights: <path>`; `{fetch}` fetches one where there is a network"
        raise InputError(f"{config.architecture} is of no use without its weights", where="weights", fix=fix)
