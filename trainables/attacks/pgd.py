"""Projected gradient descent within an L-infinity ball (Madry et al. 2018, arXiv 1706.06083), through ART.

White box, true labels, both directions: fakes made to pass as real, and reals made to look fake.

The figures are those of the attacked image rounded to 8 bits, which is what a file can hold; ``…_unrounded`` is the
image before that, which no file can. A budget includes the smaller ones before it: the worst image found for 2/255
is also one for 4/255, and the unchanged image is one for any, so that accuracy never rises with the budget.

An image that is seen through several squares is attacked in each of them, and its scores are their means. Squares that
overlap are changed each for itself, which no one image could show: there the figures are a bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from trainables.contract import Config as MemberConfig
from trainables.contract import Context, Images, Outcome
from trainables.errors import InputError
from trainables.seeding import seeded

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

    from trainables.detector import Detector

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class Config(MemberConfig):
    """Parameters of ``pgd``.

    Attributes:
        epsilons: budgets, in grey levels of 255; 0 is the clean image and runs no attack.
        steps: gradient steps.
        step_share: length of a step as a share of the budget.
        restarts: random starts, of which the worst image is kept; 0 starts at the image itself, once.
        images_per_class: how many reals and how many fakes are attacked: those with the smallest ids.
        batch: images at a time.
    """

    epsilons: Annotated[tuple[Annotated[NonNegativeInt, Field(le=255)], ...], Field(min_length=1)] = (1, 2, 4)
    steps: PositiveInt = 10
    step_share: float = Field(default=0.25, gt=0, le=1)
    restarts: NonNegativeInt = 1
    images_per_class: PositiveInt = 50
    batch: PositiveInt = 64


def attack(config: Config, detector: Detector, images: Images, context: Context) -> Outcome:
    """Attack some of the images at every budget.

    Returns:
        Rows, one an image and budget: ``image``, ``generator``, ``label``, ``epsilon``, ``clean_score``,
        ``adversarial_score`` (8 bits), ``unrounded_score``, ``linf`` (of the 8-bit image, in grey levels).
        Metrics for every budget k: ``robust_accuracy_epsK`` (share of all attacked images still told right),
        ``robust_accuracy_unrounded_epsK``, and of the images told right before the attack the share told wrong
        after it: ``fake_to_real_epsK`` of the fakes, ``real_to_fake_epsK`` of the reals.

    Raises:
        InputError: there are no images.
    """
    from trainables.detector import evaluating, frozen

    if not len(images):
        raise InputError("there are no images to attack")
    chosen = replace(images.take(_subset(images, config.images_per_class)), views=images.views, top=images.top)
    rows: list[dict[str, Any]] = []
    metrics: dict[str, float] = {}
    with frozen(detector), evaluating(detector):
        for epsilon, result in _budgets(config, detector, chosen, context):
            rows += result.rows(chosen, epsilon)
            metrics |= {
                f"{name}_eps{epsilon}": value for name, value in result.metrics(chosen.labels[:: chosen.views]).items()
            }
    passes = 1 + sum(epsilon > 0 for epsilon in set(config.epsilons)) * max(config.restarts, 1) * (2 + config.steps)
    return Outcome(metrics=metrics, rows=rows, images=passes * len(chosen))


def _subset(images: Images, per_class: int) -> NDArray[np.int64]:
    """Positions of all squares of the images with the smallest ids of each class, whatever the images' order."""
    by_id = np.argsort(np.asarray(images.ids[:: images.views])) * images.views
    firsts = np.concatenate([by_id[images.labels[by_id] == label][:per_class] for label in (0, 1)])
    return (firsts[:, None] + np.arange(images.views)).reshape(-1)


@dataclass(frozen=True, slots=True)
class _Result:
    """What one budget came to, for N images.

    Attributes:
        clean, adversarial, unrounded: (N,) P(fake) before the attack, after it, and after it without rounding.
        linf: (N,) largest change of any value, in grey levels.
    """

    clean: Floats
    adversarial: Floats
    unrounded: Floats
    linf: NDArray[np.int64]

    def rows(self, images: Images, epsilon: int) -> list[dict[str, Any]]:
        """One an image."""
        from trainables.score import digest_of

        return [
            {
                "image": digest_of(images.ids[i * images.views]),
                "generator": images.generators[i * images.views],
                "label": int(images.labels[i * images.views]),
                "epsilon": epsilon,
                "clean_score": float(self.clean[i]),
                "adversarial_score": float(self.adversarial[i]),
                "unrounded_score": float(self.unrounded[i]),
                "linf": int(self.linf[i]),
            }
            for i in range(len(self.clean))
        ]

    def metrics(self, labels: NDArray[np.int64]) -> dict[str, float]:
        """Figures of one budget; a direction without any image told right before has none."""
        right, still, still_unrounded = (
            (score > 0.5) == (labels == 1) for score in (self.clean, self.adversarial, self.unrounded)
        )
        figures = {
            "robust_accuracy": float(still.mean()),
            "robust_accuracy_unrounded": float(still_unrounded.mean()),
        }
        for name, label in (("fake_to_real", 1), ("real_to_fake", 0)):
            before = right & (labels == label)
            if before.any():
                figures[name] = float((before & ~still).sum() / before.sum())
        return figures


def _budgets(config: Config, detector: Detector, images: Images, context: Context) -> Iterator[tuple[int, _Result]]:
    """Every budget, the smallest first, and what the worst images found so far score."""
    from trainables.score import log_odds

    pixels: Bytes = images.pixels[:]
    towards_wrong = np.where(images.labels == 1, -1, 1).astype(np.float32)
    clean = odds = unrounded = log_odds(detector, pixels, context.device)
    worst = pixels
    for epsilon in sorted(set(config.epsilons)):
        for restart in range(max(config.restarts, 1) if epsilon else 0):
            floats = _perturb(config, detector, pixels, images.labels, epsilon, context, restart)
            of_floats = _log_odds_of_floats(detector, floats, config.batch, context.device)
            unrounded = np.where((of_floats - unrounded) * towards_wrong > 0, of_floats, unrounded)
            rounded = np.rint(floats * 255).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
            found = log_odds(detector, rounded, context.device)
            worse = (found - odds) * towards_wrong > 0
            worst = np.where(worse[:, None, None, None], rounded, worst)
            odds = np.where(worse, found, odds)
        linf = np.abs(worst.astype(np.int64) - pixels).max(axis=(1, 2, 3)).reshape(-1, images.views).max(axis=1)
        of_clean, of_worst, of_unrounded = (_probability(each, images) for each in (clean, odds, unrounded))
        yield epsilon, _Result(of_clean, of_worst, of_unrounded, linf)


def _perturb(
    config: Config,
    detector: Detector,
    pixels: Bytes,
    labels: NDArray[np.int64],
    epsilon: int,
    context: Context,
    restart: int = 0,
) -> Floats:
    """(N, 3, H, W) in [0, 1], each within ``epsilon / 255`` of its image."""
    from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
        ProjectedGradientDescentPyTorch,
    )

    clean = (pixels.astype(np.float32) / 255).transpose(0, 3, 1, 2)
    pgd = ProjectedGradientDescentPyTorch(
        _classifier(detector, clean.shape[1:], context.device),
        norm=np.inf,
        eps=epsilon / 255,
        eps_step=config.step_share * epsilon / 255,
        max_iter=config.steps,
        num_random_init=min(config.restarts, 1),
        batch_size=config.batch,
        verbose=False,
    )
    with seeded(context.seed, "pgd", epsilon, restart):
        perturbed: Floats = pgd.generate(clean, y=np.eye(2, dtype=np.float32)[labels])
    return perturbed


def _classifier(detector: Detector, shape: tuple[int, ...], device: str) -> PyTorchClassifier:
    """The detector as ART sees it; normalisation is inside, so budgets are in units of the pixels."""
    from art.estimators.classification import PyTorchClassifier
    from torch import Tensor, nn

    from trainables.detector import TwoLogits

    class Margin(nn.Module):
        """How far the other class is ahead of the true one.

        It has the direction of the cross-entropy's gradient without its factor P(wrong), which is lost in float32
        where the detector is very sure; a confident detector would look robust.
        """

        def forward(self, logits: Tensor, one_hot: Tensor) -> Tensor:
            return (logits * (1 - 2 * one_hot)).sum()

    return PyTorchClassifier(
        model=TwoLogits(detector),
        loss=Margin(),
        input_shape=shape,
        nb_classes=2,
        clip_values=(0.0, 1.0),
        device_type="cpu" if device == "cpu" else "gpu",
    )


def _log_odds_of_floats(detector: Detector, images: Floats, batch: int, device: str) -> Floats:
    import torch

    starts = range(0, len(images), batch)
    with torch.inference_mode():
        parts = [detector.log_odds(torch.from_numpy(images[i : i + batch]).to(device)) for i in starts]
        return torch.cat(parts).cpu().numpy()


def _probability(log_odds: Floats, images: Images) -> Floats:
    """P(fake) of images, the mean over the squares of each that count."""
    import torch

    from trainables.score import counted

    squares = torch.from_numpy(counted(log_odds, images.views, images.top))
    return torch.sigmoid(squares).mean(dim=1).numpy()
