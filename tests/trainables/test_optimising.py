"""The optimiser of a recipe."""

from __future__ import annotations

import pytest
from torch import nn

from trainables.errors import InputError
from trainables.optimising import optimiser_of
from trainables.recipe import Recipe


def test_only_what_wants_gradients_is_stepped() -> None:
    layers = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    layers[0].requires_grad_(False)
    (group,) = optimiser_of(Recipe(), layers).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in layers[1].parameters()]


def test_a_module_with_nothing_to_train_is_refused() -> None:
    with pytest.raises(InputError, match="nothing that this method could train"):
        optimiser_of(Recipe(), nn.ReLU())
