"""Every space, sampled by a real Optuna study, gives parameters that its member accepts."""

from __future__ import annotations

import optuna
import pytest

from search_spaces import find_space, names
from trainables.errors import InputError
from trainables.registry import ADAPTATIONS, DETECTORS

MEMBERS = {**DETECTORS, **ADAPTATIONS}


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_every_space_belongs_to_a_member():
    assert names()
    assert set(names()) <= set(MEMBERS)


@pytest.mark.parametrize("name", names())
def test_samples_are_valid_and_differ(name):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space, config = find_space(name), MEMBERS[name].config
    found = [config.model_validate(space(study.ask())) for _ in range(20)]
    assert len(set(map(str, found))) > 10
    assert all(sample != config() for sample in found)


def test_a_member_without_a_space_is_told():
    with pytest.raises(InputError, match="no search space"):
        find_space("source_only")
