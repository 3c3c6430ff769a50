from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from trainables.losses import (
    conditional_map,
    coral,
    distillation,
    domain_adversarial,
    entropies,
    entropy,
    gradient_reversal,
    information_maximisation,
    jacobian_regularisation,
    jdot,
    minimum_class_confusion,
    mmd_linear,
    mmd_rbf,
    nuclear_wasserstein,
    supervised_contrastive,
)


def _features(rows: int, seed: int, columns: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, columns)))


def test_coral_is_the_papers_formula() -> None:
    source, target = _features(12, 0), 2 * _features(9, 1)
    distance = np.cov(source.numpy(), rowvar=False) - np.cov(target.numpy(), rowvar=False)
    expected = np.linalg.norm(distance, "fro") ** 2 / (4 * 5**2)
    assert coral(source, target).item() == pytest.approx(expected, rel=1e-12)


def test_coral_sees_neither_means_nor_the_order_of_images() -> None:
    source, target = _features(12, 0), _features(12, 1)
    value = coral(source, target)
    assert torch.allclose(coral(source + 3, target - 5), value)
    assert torch.allclose(coral(source.flip(0), target), value)
    assert torch.allclose(coral(target, source), value)
    assert coral(source, source.flip(0)).item() == pytest.approx(0, abs=1e-24)


def test_coral_has_the_gradient_of_its_value() -> None:
    source, target = _features(6, 0, 3).requires_grad_(), _features(7, 1, 3).requires_grad_()
    assert torch.autograd.gradcheck(coral, (source, target))


def test_gradient_reversal_is_the_identity_forward_and_minus_the_strength_backward() -> None:
    features = _features(4, 0).requires_grad_()
    passed = gradient_reversal(features, 0.3)
    assert torch.equal(passed, features)
    weights = _features(4, 1)
    (passed * weights).sum().backward()
    assert torch.allclose(features.grad, -0.3 * weights)


def test_domain_loss_is_the_cross_entropy_of_both_domains() -> None:
    discriminator = nn.Linear(5, 1).double()
    source, target = _features(6, 0), _features(3, 1)
    loss, accuracy = domain_adversarial(discriminator, source, target, 1.0)
    with torch.no_grad():
        of_source, of_target = (1 / (1 + np.exp(-discriminator(x).numpy()[:, 0])) for x in (source, target))
    assert loss.item() == pytest.approx(-(np.log(of_source).mean() + np.log(1 - of_target).mean()) / 2)
    assert accuracy.item() == pytest.approx(((of_source > 0.5).mean() + (of_target <= 0.5).mean()) / 2)


def test_domain_loss_teaches_the_discriminator_and_misleads_the_features() -> None:
    discriminator = nn.Linear(5, 1).double()
    source, target = _features(6, 0).requires_grad_(), _features(6, 1).requires_grad_()
    plain = _gradients(discriminator, source, target, lambda s, t: domain_adversarial(discriminator, s, t, 0.0)[0])
    strong = _gradients(discriminator, source, target, lambda s, t: domain_adversarial(discriminator, s, t, 2.0)[0])
    direct = _gradients(discriminator, source, target, lambda s, t: _unreversed(discriminator, s, t))
    assert torch.allclose(plain[0], direct[0])
    assert torch.allclose(strong[0], direct[0])
    assert not plain[1].any()
    assert torch.allclose(strong[1], -2 * direct[1])


def _unreversed(discriminator: nn.Module, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    bce = nn.functional.binary_cross_entropy_with_logits
    of_source, of_target = discriminator(source), discriminator(target)
    return (bce(of_source, torch.ones_like(of_source)) + bce(of_target, torch.zeros_like(of_target))) / 2


def _gradients(discriminator, source, target, loss) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss(source, target), [discriminator.weight, source]))


def _probs(rows: int, seed: int, classes: int = 3) -> torch.Tensor:
    return torch.softmax(2 * _features(rows, seed, classes), dim=1)


def test_linear_mmd_is_the_squared_distance_of_the_means() -> None:
    source, target = _features(12, 0), _features(9, 1) + 1
    expected = ((source.numpy().mean(0) - target.numpy().mean(0)) ** 2).sum()
    assert mmd_linear(source, target).item() == pytest.approx(expected)
    assert mmd_linear(source, source.flip(0)).item() == pytest.approx(0, abs=1e-24)


def _mmd_by_pairs(source: np.ndarray, target: np.ndarray, scales: tuple[float, ...]) -> float:
    """The definition, one pair of images after the other."""
    both = [*source, *target]
    pairs = [(i, j) for i in range(len(both)) for j in range(len(both)) if i != j]
    mean = np.mean([((both[i] - both[j]) ** 2).sum() for i, j in pairs])

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float(sum(np.exp(-((x - y) ** 2).sum() / (2 * scale * mean)) for scale in scales))

    def among(images: np.ndarray) -> float:
        return float(np.mean([kernel(x, y) for i, x in enumerate(images) for j, y in enumerate(images) if i != j]))

    across = np.mean([kernel(x, y) for x in source for y in target])
    return float(among(source) + among(target) - 2 * across)


@pytest.mark.parametrize(("rows", "columns"), [(7, 4), (2, 1)])
def test_rbf_mmd_is_its_definition(rows: int, columns: int) -> None:
    source, target = _features(rows, 0, columns), 1.5 * _features(rows + 1, 1, columns)
    expected = _mmd_by_pairs(source.numpy(), target.numpy(), (0.5, 1.0))
    assert mmd_rbf(source, target, scales=(0.5, 1.0)).item() == pytest.approx(expected, rel=1e-10)


def test_rbf_mmd_is_unbiased_and_grows_with_the_shift() -> None:
    same = [mmd_rbf(_features(16, 2 * k), _features(16, 2 * k + 1)).item() for k in range(200)]
    shifted = mmd_rbf(_features(64, 0), _features(64, 1) + 1).item()
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(len(same))
    assert min(same) < 0 < shifted
    assert shifted > np.max(same)


@pytest.mark.parametrize("distance", [coral, mmd_linear, mmd_rbf])
def test_distances_of_domains_do_not_know_the_order_of_images_or_of_domains(distance) -> None:
    source, target = _features(6, 0, 3), _features(6, 1, 3) + 0.5
    value = distance(source, target)
    assert torch.allclose(distance(source.flip(0), target.roll(2, 0)), value)
    assert torch.allclose(distance(target, source), value)


def test_the_widths_of_the_kernels_are_constants() -> None:
    source, target = _features(5, 0, 2).requires_grad_(), _features(5, 1, 2)
    (given,) = torch.autograd.grad(mmd_rbf(source, target, scales=(1.0,)), source)
    both = torch.cat([source, target]).detach()
    mean = (both[:, None] - both[None]).square().sum(2).sum() / 90

    def with_fixed_width(source: torch.Tensor) -> torch.Tensor:
        kernel = lambda x, y: torch.exp(-torch.cdist(x, y).square() / (2 * mean))  # noqa: E731
        within = (kernel(source, source).sum() - 5) / 20 + (kernel(target, target).sum() - 5) / 20
        return within - 2 * kernel(source, target).mean()

    free = source.detach() + 0
    slopes = torch.zeros_like(free)
    for i, j in np.ndindex(*free.shape):
        step = torch.zeros_like(free)
        step[i, j] = 1e-6
        slopes[i, j] = (with_fixed_width(free + step) - with_fixed_width(free - step)) / 2e-6
    assert torch.allclose(given, slopes, atol=1e-7)


def test_entropy_is_in_nats_and_knows_certainty() -> None:
    probs = _probs(6, 0)
    expected = -(probs.numpy() * np.log(probs.numpy())).sum(1)
    assert entropies(probs).numpy() == pytest.approx(expected)
    assert entropy(probs).item() == pytest.approx(expected.mean())
    assert entropy(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).item() == 0
    assert entropy(torch.full((2, 2), 0.5)).item() == pytest.approx(np.log(2))


def test_information_is_maximal_where_predictions_are_certain_and_diverse() -> None:
    probs = _probs(6, 0).numpy()
    mean = probs.mean(0)
    expected = -(probs * np.log(probs)).sum(1).mean() + (mean * np.log(mean)).sum()
    assert information_maximisation(torch.from_numpy(probs)).item() == pytest.approx(expected)
    best = information_maximisation(torch.eye(2).repeat(3, 1)).item()
    collapsed = information_maximisation(torch.tensor([[1.0, 0.0]]).repeat(6, 1)).item()
    assert best == pytest.approx(-np.log(2))
    assert collapsed == 0


def test_class_confusion_is_the_papers_formula() -> None:
    logits = _features(8, 0, 3)
    scaled = np.exp(logits.numpy() / 2.5)
    probs = scaled / scaled.sum(1, keepdims=True)
    weights = 1 + np.exp((probs * np.log(probs)).sum(1))
    weights = len(weights) * weights / weights.sum()
    confusion = sum(w * np.outer(p, p) for w, p in zip(weights, probs, strict=True))
    confusion = confusion / confusion.sum(1, keepdims=True)
    expected = (confusion.sum() - np.trace(confusion)) / 3
    assert minimum_class_confusion(logits).item() == pytest.approx(expected)
    sure = minimum_class_confusion(100 * torch.eye(2, dtype=torch.float64).repeat(4, 1))
    assert sure.item() == pytest.approx(0, abs=1e-12)
    assert minimum_class_confusion(torch.zeros(4, 2)).item() == pytest.approx(0.5)


@pytest.mark.parametrize("rows", [(6, 6), (2, 5)])
def test_nuclear_wasserstein_is_the_difference_of_singular_values(rows: tuple[int, int]) -> None:
    source, target = _probs(rows[0], 0), _probs(rows[1], 1)
    norms = [np.linalg.svd(p.numpy(), compute_uv=False).sum() / len(p) for p in (source, target)]
    assert nuclear_wasserstein(source, target).item() == pytest.approx(norms[0] - norms[1])
    assert nuclear_wasserstein(source, source.flip(0)).item() == pytest.approx(0, abs=1e-12)


def test_the_conditional_map_is_the_outer_product_of_each_image() -> None:
    features, probs = _features(4, 0), _probs(4, 1)
    expected = np.stack([np.outer(p, f).ravel() for p, f in zip(probs.numpy(), features.numpy(), strict=True)])
    assert conditional_map(features, probs).numpy() == pytest.approx(expected)


def test_the_jacobian_of_a_linear_head_is_its_weights() -> None:
    head = nn.Linear(5, 3).double()
    inputs = _features(64, 0).requires_grad_()
    generator = torch.Generator().manual_seed(0)
    estimate = jacobian_regularisation(head(inputs), inputs, projections=60, generator=generator)
    exact = head.weight.detach().square().sum().item()
    assert estimate.item() == pytest.approx(exact, rel=0.05)


def test_the_jacobian_of_one_output_is_exact_and_can_be_differentiated_again() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    inputs = _features(5, 0, 3).requires_grad_()
    exact = sum(torch.autograd.functional.jacobian(net, x[None]).square().sum() for x in inputs) / 5
    value = jacobian_regularisation(net(inputs), inputs)
    assert value.item() == pytest.approx(float(exact))
    value.backward()
    assert net[0].weight.grad.abs().sum() > 0


def _assignments(cost: np.ndarray) -> float:
    """The least mean cost over all ways to pair as many rows as columns."""
    from itertools import permutations

    rows = range(len(cost))
    return min(float(np.mean([cost[i, order[i]] for i in rows])) for order in permutations(rows))


def test_joint_transport_takes_the_cheapest_plan() -> None:
    source, target, logits = _features(4, 0), _features(4, 1), _features(4, 2, 2)
    labels = torch.tensor([0, 1, 1, 0])
    log_probs = np.log(torch.softmax(logits, 1).numpy())
    distances = ((source.numpy()[:, None] - target.numpy()[None]) ** 2).sum(2)
    cost = 0.3 * distances - 0.7 * log_probs[:, labels].T
    assert jdot(source, labels, target, logits, 0.3, 0.7).item() == pytest.approx(_assignments(cost))


def test_losses_have_the_gradients_of_their_values() -> None:
    source, target = _features(4, 0, 3).requires_grad_(), _features(5, 1, 3).requires_grad_()
    labels = torch.tensor([0, 1, 2, 1])
    check = torch.autograd.gradcheck
    assert check(mmd_linear, (source, target))
    assert check(lambda s, t: nuclear_wasserstein(torch.softmax(s, 1), torch.softmax(t, 1)), (source, target))
    assert check(lambda s: entropy(torch.softmax(s, 1)), (source,))
    assert check(lambda s: information_maximisation(torch.softmax(s, 1)), (source,))
    assert check(lambda s, t: conditional_map(s, torch.softmax(s, 1)).sum() + t.sum() * 0, (source, target))
    assert check(lambda s, t: jdot(s, labels, t, t, 0.3, 0.7), (source, target))


@pytest.mark.parametrize("pair", [coral, mmd_linear, mmd_rbf])
def test_distances_are_finite_at_one_feature_and_two_images(pair) -> None:
    source, target = torch.tensor([[1.0], [2.0]]).requires_grad_(), torch.tensor([[1.0], [1.0]])
    value = pair(source, target)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(source.grad).all()


@pytest.mark.parametrize("loss", [entropy, information_maximisation])
def test_entropies_have_a_gradient_where_a_probability_underflows(loss: Callable[..., torch.Tensor]) -> None:
    logits = torch.tensor([[0.0, 300.0], [1.0, 0.0]], requires_grad=True)
    probs = torch.softmax(logits, dim=1)
    assert probs[0, 0] == 0
    loss(probs).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[0].any()
    assert logits.grad[1].any()


def test_entropies_are_those_of_torch() -> None:
    probs = torch.cat([_probs(20, 0), torch.eye(3, dtype=torch.float64), torch.full((1, 3), 1 / 3).double()])
    torch.testing.assert_close(entropies(probs), torch.special.entr(probs).sum(dim=1), rtol=1e-15, atol=1e-15)


def test_class_confusion_is_finite_where_no_image_is_of_a_class() -> None:
    logits = torch.tensor([[0.0, 3000.0], [0.0, 3000.0]], requires_grad=True)
    loss = minimum_class_confusion(logits)
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_distillation_is_the_softened_divergence_from_what_was_said_before(temperature: float) -> None:
    logits, before = 3 * _features(7, 0, 3), 3 * _features(7, 1, 3)
    now, then = (np.exp(z.numpy() / temperature) for z in (logits, before))
    p, q = (values / values.sum(axis=1, keepdims=True) for values in (now, then))
    expected = temperature**2 * (q * (np.log(q) - np.log(p))).sum(axis=1).mean()
    assert distillation(logits, before, temperature).item() == pytest.approx(expected, rel=1e-12)


def test_distillation_at_temperature_1_is_cross_entropy_less_the_entropy_of_before() -> None:
    logits, before = _features(7, 0, 3), _features(7, 1, 3)
    said = before.softmax(dim=1)
    expected = nn.functional.cross_entropy(logits, said) - entropies(said).mean()
    assert distillation(logits, before, 1.0).item() == pytest.approx(expected.item(), rel=1e-12)


def test_distillation_is_0_at_equal_answers_and_above_elsewhere() -> None:
    logits = 3 * _features(7, 0, 3)
    assert distillation(logits, logits + 5, 2.0).item() == pytest.approx(0, abs=1e-12)
    assert distillation(logits, logits.flip(0), 2.0) > 0


def test_distillation_has_the_gradient_of_its_value_and_is_finite_at_sure_answers() -> None:
    logits, before = _features(4, 0, 3).requires_grad_(), _features(4, 1, 3)
    assert torch.autograd.gradcheck(lambda z: distillation(z, before, 2.0), (logits,))
    sure = torch.tensor([[1000.0, -1000.0]], requires_grad=True)
    loss = distillation(sure, torch.tensor([[-1000.0, 1000.0]]), 2.0)
    loss.backward()
    assert loss.item() == pytest.approx(4 * 1000)
    assert torch.isfinite(sure.grad).all()


def test_the_contrastive_loss_is_the_papers_formula() -> None:
    features, labels = _features(7, 0), np.array([0, 1, 0, 2, 1, 0, 1])
    units = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    losses = []
    for i in range(7):
        others = [a for a in range(7) if a != i]
        below = sum(np.exp(units[i] @ units[a] / 0.5) for a in others)
        positives = [p for p in others if labels[p] == labels[i]]
        if positives:  # the image of class 2 is alone
            losses.append(-np.mean([np.log(np.exp(units[i] @ units[p] / 0.5) / below) for p in positives]))
    found = supervised_contrastive(features, torch.from_numpy(labels), temperature=0.5)
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-12)


def test_contrast_is_low_where_classes_lie_apart_and_does_not_see_lengths() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    apart = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
    mixed = apart[[0, 2, 1, 3]]
    assert supervised_contrastive(apart, labels) < 0.1 < 10 < supervised_contrastive(mixed, labels)
    lengths = torch.tensor([[1.0], [3.0], [0.5], [7.0]])
    assert torch.allclose(supervised_contrastive(apart * lengths, labels), supervised_contrastive(apart, labels))


@pytest.mark.parametrize("labels", [[0], [0, 1, 2]])
def test_a_batch_without_two_images_of_a_class_has_no_contrast(labels: list[int]) -> None:
    features = _features(len(labels), 0).requires_grad_()
    loss = supervised_contrastive(features, torch.tensor(labels))
    loss.backward()
    assert loss.item() == 0
    assert features.grad is not None
    assert not features.grad.any()


def test_contrast_has_the_gradient_of_its_value() -> None:
    labels = torch.tensor([0, 1, 0, 1, 2])
    assert torch.autograd.gradcheck(lambda f: supervised_contrastive(f, labels, 0.5), _features(5, 1).requires_grad_())
