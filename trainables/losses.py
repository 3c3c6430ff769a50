"""Loss terms of adaptation, as pure functions: batched, differentiable, in the precision of what they are given.

B images, D features, C classes; ``probs`` are softmax outputs, (B, C). A function returns a scalar unless it says
otherwise. What is estimated from a batch is unbiased where the paper's estimator is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Deep CORAL: squared distance of the feature covariances, ``||C_s - C_t||_F^2 / (4 D^2)``.

    Sun & Saenko 2016 (arXiv 1607.01719), equation 1, with the unbiased covariances of equations 2 and 3.

    Args:
        source: (B_s, D) features, B_s at least 2.
        target: (B_t, D) features, B_t at least 2.
    """
    distance = _covariance(source) - _covariance(target)
    return distance.square().sum() / (4 * source.shape[1] ** 2)


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(dim=0, keepdim=True)
    return centred.T @ centred / (len(features) - 1)


def mmd_linear(source: Tensor, target: Tensor) -> Tensor:
    """Squared distance of the feature means, ``||mean(f_s) - mean(f_t)||^2``: MMD with a linear kernel.

    Tzeng et al. 2014 (arXiv 1412.3474), equation 1, of the batches' own means: equal batches
    give 0.

    Args:
        source, target: (B_s, D) and (B_t, D) features.
    """
    return (source.mean(dim=0) - target.mean(dim=0)).square().sum()


SCALES = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Squared widths of the kernels of ``mmd_rbf``, as multiples of the mean squared distance: 2^-3 to 2^1."""


def mmd_rbf(source: Tensor, target: Tensor, scales: Sequence[float] = SCALES) -> Tensor:
    """Squared MMD under a sum of Gaussian kernels, the unbiased estimate: it may be below 0.

    ``k(x, y) = sum_u exp(-||x - y||^2 / (2 s_u))`` with ``s_u = scales[u] * m`` and m the mean squared distance of all
    pairs of distinct images, source and target together, taken as a constant. Long et al. 2015 (arXiv 1502.02791);
    estimator: Gretton et al. 2012, lemma 6.

    Args:
        source, target: (B_s, D) and (B_t, D) features, at least 2 each.
        scales: of the kernels' squared widths.
    """
    both = torch.cat([source, target])
    squares = (both[:, None] - both[None]).square().sum(dim=2)
    count, total = len(source), len(both)
    mean = squares.detach().sum() / (total * (total - 1))
    kernel = torch.stack([torch.exp(-squares / (2 * scale * mean.clamp_min(1e-30))) for scale in scales]).sum(dim=0)
    within = _mean_of_pairs(kernel[:count, :count]) + _mean_of_pairs(kernel[count:, count:])
    return within - 2 * kernel[:count, count:].mean()


def _mean_of_pairs(kernel: Tensor) -> Tensor:
    """Mean over all pairs of distinct images."""
    count = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))


def entropies(probs: Tensor) -> Tensor:
    """(B,) entropy of each image's probabilities, in nats; 0 log 0 is 0, and so is its part of the gradient by logits.

    The slope of ``-p log p`` is infinite at p = 0, where the softmax of a sure detector underflows: the logarithm is
    taken of the smallest normal number at the least.
    """
    return -(probs * probs.clamp_min(torch.finfo(probs.dtype).tiny).log()).sum(dim=1)


def entropy(probs: Tensor) -> Tensor:
    """Mean entropy of the images' probabilities, in nats: 0 where the classifier is sure of every image."""
    return entropies(probs).mean()


def information_maximisation(probs: Tensor) -> Tensor:
    """SHOT's loss: mean entropy of each image less the entropy of the mean; -log C at best.

    It is low where every image is classified with certainty, and the classes are equally frequent. Liang et al. 2020
    (arXiv 2002.08546), equation 4 (with its sign turned, to be minimised).
    """
    return entropy(probs) - entropy(probs.mean(dim=0, keepdim=True))


def minimum_class_confusion(logits: Tensor, temperature: float = 2.5) -> Tensor:
    """MCC: how much the classes are confused with each other on unlabelled images, in [0, 1).

    ``P = softmax(logits / T)``; ``w = 1 + exp(-H(P))``, scaled to mean 1; ``M = P^T diag(w) P`` with its rows scaled to
    sum 1; the loss is ``(sum(M) - trace(M)) / C``. Jin et al. 2020 (arXiv 1912.03699), equations 2 to 6; the weights
    are constants, as in the authors' code.

    Args:
        logits: (B, C) of unlabelled images.
        temperature: T.
    """
    probs = torch.softmax(logits / temperature, dim=1)
    weights = 1 + torch.exp(-entropies(probs.detach()))
    weights = weights / weights.mean()
    confusion = probs.T @ (weights[:, None] * probs)
    # Where no image has any probability of a class, its row is 0: it is confused with none.
    confusion = confusion / confusion.sum(dim=1, keepdim=True).clamp_min(torch.finfo(probs.dtype).tiny)
    return (confusion.sum() - confusion.trace()) / logits.shape[1]


def nuclear_wasserstein(source_probs: Tensor, target_probs: Tensor) -> Tensor:
    """NWD: the difference of the mean nuclear norms, ``||P_s||_* / B_s - ||P_t||_* / B_t``.

    The nuclear norm is large where predictions are both certain and diverse; a classifier that is sure of the source
    and not of the target makes it large, so it serves as its own critic. Chen et al. 2022 (CVPR,
    "Reusing the Task-specific Classifier as a Discriminator"), equation 8.

    Args:
        source_probs, target_probs: (B_s, C) and (B_t, C).
    """
    source: Tensor = torch.linalg.matrix_norm(source_probs, "nuc") / len(source_probs)
    target: Tensor = torch.linalg.matrix_norm(target_probs, "nuc") / len(target_probs)
    return source - target


def conditional_map(features: Tensor, probs: Tensor) -> Tensor:
    """(B, D * C) outer products of features and probabilities: what CDAN's discriminator sees.

    Column ``c * D + d`` is ``probs[:, c] * features[:, d]``. Long et al. 2018 (arXiv 1705.10667), section 3.2.
    """
    return (probs[:, :, None] * features[:, None, :]).flatten(1)


def jacobian_regularisation(
    outputs: Tensor, inputs: Tensor, projections: int = 1, generator: torch.Generator | None = None
) -> Tensor:
    """Mean squared Frobenius norm of the Jacobian of outputs with respect to inputs, by random projection.

    ``E_v [C * ||d(v . y)/dx||^2]`` over v uniform on the unit sphere equals ``||dy/dx||_F^2``; exact for C = 1.
    Hoffman et al. 2019 (arXiv 1908.02729), equation 6 and algorithm 1, without its factor 1/2. It can be differentiated
    again.

    Args:
        outputs: (B, C), computed from the inputs image by image.
        inputs: (B, …), part of the outputs' graph.
        projections: random directions that are averaged.
        generator: of the directions, on the CPU; torch's own if not given.
    """
    total = outputs.new_zeros(())
    for _ in range(projections):
        directions = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype).to(outputs.device)
        directions = directions / directions.norm(dim=1, keepdim=True)
        (gradient,) = torch.autograd.grad(outputs, inputs, directions, create_graph=True)
        total = total + gradient.square().sum()
    return total * outputs.shape[1] / (projections * len(outputs))


def classifier_discrepancy(first_probs: Tensor, second_probs: Tensor) -> Tensor:
    """MCD: mean absolute difference of what two classifiers say of the same images, in [0, 1].

    Mean over images and classes; Saito et al. 2018 (arXiv 1712.02560), section 3.

    Args:
        first_probs, second_probs: (B, C) each.
    """
    return (first_probs - second_probs).abs().mean()


def jdot(
    source_features: Tensor,
    labels: Tensor,
    target_features: Tensor,
    target_logits: Tensor,
    feature_weight: float = 1e-3,
    label_weight: float = 1e-4,
) -> Tensor:
    """DeepJDOT: the cost of carrying source images and labels to target images and predictions, at the best plan.

    ``sum_ij plan_ij (a ||f_i - f_j||^2 + b CE(y_i, z_j))``, the plan being the optimal transport between the two
    batches for the present costs, taken as a constant. Damodaran et al. 2018 (arXiv 1803.10081), equation 7; POT's
    exact solver.

    Args:
        source_features, labels: (B_s, D) and (B_s,).
        target_features, target_logits: (B_t, D) and (B_t, C).
        feature_weight, label_weight: a and b.
    """
    import ot

    distances = (source_features[:, None] - target_features[None]).square().sum(dim=2)
    surprise = -functional.log_softmax(target_logits, dim=1)[:, labels].T
    cost = feature_weight * distances + label_weight * surprise
    plan = ot.emd([], [], cost.detach().double().cpu().numpy())
    return (torch.as_tensor(plan, dtype=cost.dtype, device=cost.device) * cost).sum()


def distillation(logits: Tensor, before: Tensor, temperature: float) -> Tensor:
    """How far answers have moved from what they were, softened: ``T^2 KL(softmax(before/T) || softmax(logits/T))``.

    Hinton, Vinyals & Dean 2015 (arXiv 1503.02531), section 2, less the entropy of what was said before, so that
    unmoved answers give 0; T^2 keeps the gradient's size where T changes. The mean over the batch.

    Args:
        logits, before: (B, C) of the same images.
        temperature: T, above 0.
    """
    now, then = (functional.log_softmax(z / temperature, dim=1) for z in (logits, before))
    return temperature**2 * functional.kl_div(now, then, reduction="batchmean", log_target=True)


def supervised_contrastive(features: Tensor, labels: Tensor, temperature: float = 0.07) -> Tensor:
    """SupCon: images of one class near each other in angle, those of other classes far.

    The mean over images i of ``-1/|P(i)| sum_p log(exp(z_i . z_p / T) / sum_a exp(z_i . z_a / T))``, with z the
    features scaled to length 1, P(i) the other images of i's class and a all other images; an image that is alone in
    its class is left out, and a batch of such images gives 0. Khosla et al. 2020 (arXiv 2004.11362), equation 2.

    Args:
        features: (B, D).
        labels: (B,) classes.
        temperature: T, above 0.
    """
    units = functional.normalize(features, dim=1)
    others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similarities = (units @ units.T / temperature).masked_fill(~others, torch.finfo(units.dtype).min)
    surprises = similarities.logsumexp(dim=1, keepdim=True) - similarities
    positives = (labels[:, None] == labels[None]) & others
    counts = positives.sum(dim=1)
    means = surprises.masked_fill(~positives, 0).sum(dim=1) / counts.clamp_min(1)
    return means.sum() / (counts > 0).sum().clamp_min(1)


def gradient_reversal(features: Tensor, strength: float) -> Tensor:
    """The features unchanged; on the way back their gradient is multiplied by ``-strength``.

    Ganin & Lempitsky 2015 (arXiv 1409.7495), section 3.1.
    """
    reversed_: Tensor = _GradientReversal.apply(features, strength)
    return reversed_


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * -ctx.strength, None


def domain_adversarial(
    discriminator: nn.Module,
    source: Tensor,
    target: Tensor,
    strength: float,
    weights: tuple[Tensor, Tensor] | None = None,
    relabelled: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """DANN's domain loss: the discriminator tells source from target, the features learn to prevent it.

    Binary cross-entropy (source 1, target 0), mean over both domains with equal weight, through a gradient
    reversal of the given strength (Ganin et al. 2016, arXiv 1505.07818).

    Args:
        discriminator: (B, D) features to one logit, (B, 1) or (B,).
        source, target: (B_s, D) and (B_t, D) features.
        strength: of the reversal; the discriminator's own gradient does not depend on it.
        weights: (B_s,) and (B_t,) of the images, with mean 1; all 1 if not given.
        relabelled: (B_t,) bool, target images that the discriminator is to call source (RADA); none if not given.

    Returns:
        The loss, and the discriminator's balanced accuracy on these features by their true domain, without
        gradient: .5 means that it cannot tell the domains apart.
    """
    logits = discriminator(gradient_reversal(torch.cat([source, target]), strength)).flatten()
    of_source, of_target = logits[: len(source)], logits[len(source) :]
    accuracy = domain_accuracy(of_source, of_target)
    if relabelled is not None:
        of_target = torch.where(relabelled, -of_target, of_target)
    losses = functional.softplus(-of_source), functional.softplus(of_target)
    if weights:
        losses = losses[0] * weights[0], losses[1] * weights[1]
    return (losses[0].mean() + losses[1].mean()) / 2, accuracy


def domain_accuracy(of_source: Tensor, of_target: Tensor) -> Tensor:
    """Balanced accuracy of a discriminator's logits for source images and for target images, without gradient."""
    return ((of_source > 0).float().mean() + (of_target <= 0).float().mean()).detach() / 2
