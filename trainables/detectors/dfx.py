"""DeepFeatureX Net: three networks, each a specialist of one family of images, and what is fused from them.

Pontorno et al. 2024 (arXiv 2404.15697), as in the authors' code (opontorno/block-based_deepfake-detection). A network
each for ``dm``, ``gan`` and ``real`` is trained to tell its family from the rest, on all images of its family and 4 %
of those of every other generator and real source: it is meant to overfit to its family. Then they are frozen, and
convolutions along their features are trained to tell the three families apart. P(fake) = P(dm) + P(gan).

Published preprocessing is 256 x 256 pixels (224 for transformers); the fusion is trained on images that the networks
have not seen: here those of the split ``fusion``, where the study gives it a share (``splits: deepfeaturex``), else
those that the networks were trained on. Where a published run keeps the epoch with the least validation loss, the one
with the best accuracy on held-out images is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from trainables.architecture import OnBackbone
from trainables.contract import Context, Images, Outcome, Specialist
from trainables.recipe import Recipe
from trainables.registry import find

if TYPE_CHECKING:
    from trainables.detector import Detector

FAMILIES = ("dm", "gan", "real")
PUBLISHED = Recipe(
    epochs=50, batch=32, optimiser="adam", learning_rate=1e-4, weight_decay=1e-3, schedule="constant", flips=False
)


class Config(OnBackbone):
    """Parameters of ``dfx``; the network and its weights are those of all three specialists.

    Attributes:
        ratio: of every generator and real source outside a specialist's family, the share of its images that the
            specialist is trained and chosen with.
        specialist: how each of the three is trained.
        recipe: how their fusion is trained.
    """

    ratio: float = Field(default=0.04, gt=0, le=1)
    specialist: Recipe = PUBLISHED
    recipe: Recipe = PUBLISHED.model_copy(update={"class_weights": "complement"})

    @property
    def specialists(self) -> tuple[Specialist, ...]:
        """One of each family; fusions that differ in their own recipe alone have them in common."""
        network = {name: getattr(self, name) for name in OnBackbone.model_fields}
        config = find("detectors", "backbone").config.model_validate({**network, "recipe": self.specialist})
        return tuple(Specialist(kind="backbone", config=config, family=each, ratio=self.ratio) for each in FAMILIES)


def build(config: Config, classes: int) -> Detector:
    """A detector whose networks are random as long as ``fuse`` has not put trained ones in their place.

    Layers are those of the network of the family ``real``, which alone tells real from fake.
    """
    from trainables.backbones import build_backbone
    from trainables.fusion import fusion

    networks = {family: build_backbone(config.architecture) for family in FAMILIES}
    return fusion(networks, classes, shown="real")


def fuse(
    config: Config,
    detector: Detector,
    parts: Sequence[Detector],
    source: Images,
    source_val: Images,
    context: Context,
) -> Outcome:
    """Take in the trained specialists, and train what is above them.

    Args:
        parts: the specialists of ``dm``, ``gan`` and ``real``; nothing of them changes.

    Returns:
        As a fit does, and ``source_val_class_accuracy``: of the classes, not of real against fake.

    Raises:
        InputError: the specialists are other networks.
    """
    from trainables.fit import train
    from trainables.fusion import class_accuracy, take_in

    take_in(detector, parts)
    outcome = train(config, detector, source, source_val, context)
    of_classes = class_accuracy(detector, source_val, context)
    return replace(outcome, metrics={**outcome.metrics, "source_val_class_accuracy": of_classes})
