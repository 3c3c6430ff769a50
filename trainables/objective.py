"""What a training minimises: named terms over one step, put together from what several methods bring.

Losses are terms; what a term needs beside the detector (a discriminator, a teacher) is a module trained or kept with
it; the optimiser's step itself can be wrapped (``sharpness``). Objectives add up: that is how methods are composed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.adversarial import Adversary, Relabel
from trainables.detector import Detector
from trainables.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the terms of an objective see of one step.

    Attributes:
        detector: in training mode.
        images, features, logits, labels: (B, 3, H, W), (B, D), (B, C) and (B,) of the labelled images.
        target_images, target_features, target_logits: of as many unlabelled target images; empty without a target.
        target_index: (B,) positions of those images in the target.
        progress: share of the whole training that is done, in [0, 1).
        first_pass: it serves to find the way uphill, where the objective asks for sharpness; the step's gradients
            are those of the pass that follows, over the same images.
        figures: scalars for the epoch's row that are no part of the loss; a term may add to it.
    """

    detector: Detector
    images: Tensor
    features: Tensor
    logits: Tensor
    labels: Tensor
    target_images: Tensor
    target_features: Tensor
    target_logits: Tensor
    target_index: Tensor
    progress: float
    first_pass: bool = False
    figures: dict[str, Tensor] = field(default_factory=dict)


Term = Callable[[Step], Tensor]
Parameters = Callable[[Detector], Iterable[nn.Parameter]]


def classification(step: Step) -> Tensor:
    """Cross-entropy on the labelled images: the task."""
    return functional.cross_entropy(step.logits, step.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is minimised, and what of the detector may change for it.

    Attributes:
        terms: name → term, with its weight in it; the loss is their sum, and the names are the curves' columns.
        modules: trained together with the detector where their parameters want gradients (a discriminator), kept with
            it where not (a teacher); dropped afterwards.
        adversary: the domain discriminator and what it is shown; adds the term ``domain``.
        relabel: which target images count as source for that discriminator; without one it does nothing.
        trainable: the detector's parameters that are trained; all if not given. A part of the detector none of
            whose parameters is trained stays in evaluation mode: its BatchNorm statistics do not move.
        sharpness: rho of SDAT: the step is taken with the gradients found at distance rho uphill of the task.
        uphill_of: the term that this is uphill of.
        before_epoch: called with the detector and the epoch's position; figures for the epoch's row.
        after_step: called with the detector and the optimiser after each of its steps.
    """

    terms: Mapping[str, Term] = field(default_factory=dict)
    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    adversary: Adversary | None = None
    relabel: Relabel | None = None
    trainable: Parameters | None = None
    sharpness: float = 0.0
    uphill_of: str = "classification"
    before_epoch: Sequence[Callable[[Detector, int], Mapping[str, float]]] = ()
    after_step: Sequence[Callable[[Detector, torch.optim.Optimizer], None]] = ()

    def joined(self, other: Objective) -> Objective:
        """Both at once.

        Raises:
            InputError: both bring a term or module of one name, a discriminator, a relabelling, or rules of what is
                trained.
        """
        for mine, theirs in ((self.terms, other.terms), (self.modules, other.modules)):
            if both := sorted(set(mine) & set(theirs) - {"classification"}):
                raise InputError("two methods bring the same thing", value=both, fix="leave one of them out")
        places = ("adversary", "relabel", "trainable")
        if any(getattr(self, place) and getattr(other, place) for place in places):
            raise InputError("two methods want the same place", fix="leave one of them out")
        return Objective(
            terms={**self.terms, **other.terms},
            modules={**self.modules, **other.modules},
            adversary=self.adversary or other.adversary,
            relabel=self.relabel or other.relabel,
            trainable=self.trainable or other.trainable,
            sharpness=max(self.sharpness, other.sharpness),
            uphill_of=(other if other.sharpness else self).uphill_of,
            before_epoch=(*self.before_epoch, *other.before_epoch),
            after_step=(*self.after_step, *other.after_step),
        )

    @property
    def all_terms(self) -> Mapping[str, Term]:
        """The terms, the adversary's among them."""
        if self.adversary is None:
            return self.terms
        return {**self.terms, "domain": partial(self.adversary.term, relabel=self.relabel)}

    @property
    def all_modules(self) -> Mapping[str, nn.Module]:
        """The modules, the adversary's among them."""
        return {**self.modules, "adversary": self.adversary.module} if self.adversary else self.modules


SUPERVISED = Objective(terms={"classification": classification})


class TrainStep(nn.Module):
    """A whole step as one module, for data parallelism must see every parameter in one forward call."""

    def __init__(self, detector: Detector, objective: Objective) -> None:
        super().__init__()
        self.detector = detector
        self.others = nn.ModuleDict(dict(objective.all_modules))
        self.terms = objective.all_terms

    def forward(
        self,
        images: Tensor,
        labels: Tensor,
        progress: float,
        target_index: Tensor | None = None,
        only: str | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Labelled images first, one a label, then those of the target; to the loss, and what it is made of.

        Args:
            only: the one term that is computed, in a first pass.
        """
        count = len(labels)
        features = self.detector.features(images)
        logits = self.detector.classify(features)
        step = Step(
            detector=self.detector,
            images=images[:count],
            features=features[:count],
            logits=logits[:count],
            labels=labels,
            target_images=images[count:],
            target_features=features[count:],
            target_logits=logits[count:],
            target_index=images.new_empty(0, dtype=torch.long) if target_index is None else target_index,
            progress=progress,
            first_pass=only is not None,
        )
        terms = {name: term(step) for name, term in self.terms.items() if only in (None, name)}
        loss = torch.stack(list(terms.values())).sum()
        return loss, {name: value.detach() for name, value in {"loss": loss, **terms, **step.figures}.items()}
