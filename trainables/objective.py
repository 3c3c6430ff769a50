"""What a training minimises: named terms over the features and logits of one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.detector import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the terms of an objective see of one step.

    Attributes:
        features, logits, labels: (B, D), (B, C) and (B,) of the labelled source images.
        target_features, target_logits: (B, D) and (B, C) of as many unlabelled target images.
        progress: share of the whole training that is done, in [0, 1).
        figures: scalars for the epoch's row that are no part of the loss; a term may add to it.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor
    target_features: Tensor
    target_logits: Tensor
    progress: float
    figures: dict[str, Tensor] = field(default_factory=dict)


Term = Callable[[Step], Tensor]


def classification(step: Step) -> Tensor:
    """Cross-entropy on the labelled source images."""
    return functional.cross_entropy(step.logits, step.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is minimised: the sum of named terms, each with its weight in it.

    Attributes:
        terms: name → term; the names are the curves' columns.
        modules: trained together with the detector (a domain discriminator), and dropped afterwards.
    """

    terms: Mapping[str, Term]
    modules: Mapping[str, nn.Module] = field(default_factory=dict)


SUPERVISED = Objective(terms={"classification": classification})


class TrainStep(nn.Module):
    """A whole step as one module, for data parallelism must see every parameter in one forward call."""

    def __init__(self, detector: Detector, objective: Objective) -> None:
        super().__init__()
        self.detector = detector
        self.others = nn.ModuleDict(dict(objective.modules))
        self.terms = objective.terms

    def forward(self, images: Tensor, labels: Tensor, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Source images first, one a label, then those of the target; to the loss, and what it is made of."""
        count = len(labels)
        features = self.detector.features(images)
        logits = self.detector.classify(features)
        step = Step(
            features=features[:count],
            logits=logits[:count],
            labels=labels,
            target_features=features[count:],
            target_logits=logits[count:],
            progress=progress,
        )
        terms = {name: term(step) for name, term in self.terms.items()}
        loss = torch.stack(list(terms.values())).sum()
        return loss, {name: value.detach() for name, value in {"loss": loss, **terms, **step.figures}.items()}
