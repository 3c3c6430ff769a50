from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trainables.recipe import Recipe
from trainables.schedule import finished, learning_rate, waits_in_vain


def rows(*accuracies: float, losses: tuple[float, ...] = ()) -> list[dict[str, float]]:
    """An epoch for each accuracy."""
    losses = losses or tuple(1.0 for _ in accuracies)
    return [{"val_accuracy": a, "val_loss": b} for a, b in zip(accuracies, losses, strict=True)]


def rates(recipe: Recipe, accuracies: list[float]) -> list[float]:
    """The learning rate at the start of every epoch until the training ends."""
    curves: list[dict[str, float]] = []
    found = []
    while not finished(recipe, curves):
        found.append(learning_rate(recipe, curves)(len(curves) / recipe.epochs))
        curves.append({"val_accuracy": accuracies[len(curves)], "val_loss": 1.0})
    return found


def test_steps_are_torchs() -> None:
    recipe = Recipe(epochs=25, schedule="step", step_size=10, gamma=0.1, learning_rate=1e-4)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-4)
    theirs = torch.optim.lr_scheduler.StepLR(optimiser, step_size=10, gamma=0.1)
    expected = []
    for _ in range(25):
        expected.append(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()
    assert rates(recipe, [0.5] * 25) == pytest.approx(expected)


def test_cosine_is_torchs_and_constant_stays() -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=8)
    expected = []
    for _ in range(8):
        expected.append(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()
    assert rates(Recipe(epochs=8, learning_rate=0.1), [0.5] * 8) == pytest.approx(expected)
    assert rates(Recipe(epochs=3, learning_rate=0.1, schedule="constant"), [0.5] * 3) == [0.1] * 3


def _by_hand(accuracies: list[float], patience: int, rate: float, floor: float) -> list[float]:
    """The authors' loop: a counter of epochs without a better score, begun anew when it has lowered the rate."""
    best, counter, found = None, 0, []
    for accuracy in accuracies:
        found.append(rate)
        if best is None or accuracy > best:
            best, counter = accuracy, 0
            continue
        counter += 1
        if counter >= patience:
            rate /= 10
            if rate < floor * 0.999:
                return found
            best, counter = None, 0
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_plateau_lowers_the_rate_as_the_authors_do_and_ends_below_the_floor(seed: int) -> None:
    accuracies = np.random.default_rng(seed).choice([0.6, 0.7, 0.8, 0.9], 80).tolist()
    recipe = Recipe(epochs=80, schedule="plateau", patience=5, learning_rate=1e-4)
    found = rates(recipe, accuracies)
    assert found == pytest.approx(_by_hand(accuracies, 5, 1e-4, 1e-6))
    assert found[-1] == pytest.approx(1e-6)
    assert len(found) < 80


def test_a_rate_that_is_rounded_to_just_beside_the_floor_is_at_the_floor() -> None:
    for start in (1e-3, 1e-4, 1e-5):
        recipe = Recipe(epochs=100, schedule="plateau", patience=1, learning_rate=start)
        found = rates(recipe, [0.5] * 100)
        assert len(set(found)) == round(math.log10(start / 1e-6)) + 1


def test_patience_ends_a_training_and_without_it_there_are_all_epochs() -> None:
    accuracies = [0.5, 0.6, 0.6, 0.55, 0.7, 0.7, 0.7, 0.9]
    assert len(rates(Recipe(epochs=8, patience=2, schedule="constant"), accuracies)) == 4
    assert len(rates(Recipe(epochs=8, patience=3, schedule="constant"), accuracies)) == 8
    assert len(rates(Recipe(epochs=8), accuracies)) == 8


def test_the_loss_may_be_what_is_monitored_and_nan_is_never_better() -> None:
    recipe = Recipe(patience=2, monitor="loss", schedule="constant")
    falling = rows(0.5, 0.5, 0.5, losses=(3, 2, 1))
    assert waits_in_vain(recipe, falling) == 0
    assert waits_in_vain(recipe.model_copy(update={"monitor": "accuracy"}), falling) == 1
    assert finished(recipe, rows(0.5, 0.5, 0.5, losses=(3, math.nan, math.nan)))
