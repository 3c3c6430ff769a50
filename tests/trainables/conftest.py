"""Toy images and a detector trained on them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch

from tests.trainables.toy import context, toy_detector, toy_images
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector
from trainables.fit import fit
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small tensors are slower on several threads, and much slower on a machine that does something else too."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def source() -> Images:
    return toy_images(128, seed=1)


@pytest.fixture(scope="session")
def source_val() -> Images:
    return toy_images(64, seed=2)


@pytest.fixture(scope="session")
def target() -> Images:
    """The domain to adapt to: another pattern."""
    return toy_images(64, seed=3, period=4)


@pytest.fixture
def data(source: Images, source_val: Images, target: Images) -> AdaptationData:
    return AdaptationData(source_train=source, source_val=source_val, target=target.without_labels())


@pytest.fixture(scope="session")
def _trained(source: Images, source_val: Images, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    detector = toy_detector()
    recipe = Recipe(epochs=6, batch=16, learning_rate=5e-3)
    fit(detector, SUPERVISED, recipe, source, source_val, context(tmp_path_factory.mktemp("trained")))
    return detector


@pytest.fixture
def trained(_trained: Detector) -> Detector:
    """A detector trained on the source; each test has its own copy."""
    return copy.deepcopy(_trained)


@pytest.fixture
def copies(_trained: Detector) -> Callable[[], Detector]:
    """As many copies of the trained detector as a test wants."""
    return lambda: copy.deepcopy(_trained)
