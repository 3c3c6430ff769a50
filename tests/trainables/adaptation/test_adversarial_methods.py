"""CDAN, DALN and MCD: who plays against the features, and with what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.adaptation.steps import STILL, few_images, fit_one, gradients, step_of
from tests.trainables.toy import QUICK, context
from trainables.adaptation import cdan, daln, mcd
from trainables.adversarial import discriminator, schedule
from trainables.contract import AdaptationData
from trainables.detector import Detector
from trainables.losses import classifier_discrepancy, domain_adversarial, nuclear_wasserstein
from trainables.objective import Step


def _probs(logits: torch.Tensor) -> torch.Tensor:
    return torch.softmax(logits, dim=1)


@pytest.mark.parametrize("by_certainty", [True, False])
def test_cdans_discriminator_sees_features_by_class_and_certain_images_first(
    by_certainty: bool, trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    config = cdan.Config(weight=2, by_certainty=by_certainty)
    found = cdan.objective(config, trained, data, context(tmp_path))
    assert found is not None
    assert found.adversary is not None
    step = step_of(trained, data, progress=0.2)
    shown, weights = [], []
    for features, logits in ((step.features, step.logits), (step.target_features, step.target_logits)):
        probs = _probs(logits).detach()
        shown.append(torch.stack([torch.outer(p, f).flatten() for p, f in zip(probs, features, strict=True)]))
        certain = 1 + torch.exp((probs * probs.log()).sum(dim=1))
        weights.append(certain / certain.mean())
    pair = (weights[0], weights[1]) if by_certainty else None
    expected, _ = domain_adversarial(found.adversary.module, *shown, 2 * schedule(0.2, 10), pair)
    term = found.all_terms["domain"](step)
    torch.testing.assert_close(term, expected)
    torch.testing.assert_close(gradients(term, trained.body), gradients(expected, trained.body))


def _nwd(step: Step) -> float:
    return nuclear_wasserstein(_probs(step.logits), _probs(step.target_logits)).item()


def test_daln_has_no_discriminator_and_its_term_is_the_nwd_turned(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    found = daln.objective(daln.Config(weight=3), trained, data, context(tmp_path))
    assert found is not None
    assert found.adversary is None
    assert not found.all_modules
    step = step_of(trained, data)
    assert found.terms["daln"](step).item() == pytest.approx(-3 * _nwd(step))
    assert step.figures["nwd"].item() == pytest.approx(_nwd(step))


@pytest.mark.parametrize(("part", "sign"), [("head", 1), ("body", -1)])
def test_a_step_of_daln_moves_the_classifier_up_and_the_extractor_down(
    part: str, sign: int, trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    found = daln.objective(daln.Config(), trained, data, context(tmp_path))
    assert found is not None
    step = step_of(trained, data)
    moved = [p for p in getattr(trained, part).parameters() if p.requires_grad]
    slopes = torch.autograd.grad(found.terms["daln"](step), moved)
    norm = torch.stack([slope.norm() for slope in slopes]).norm()
    with torch.no_grad():
        for parameter, slope in zip(moved, slopes, strict=True):
            parameter -= 1e-3 * slope / norm
    change = _nwd(step_of(trained, data)) - _nwd(step)
    assert change * sign > 0


def test_dalns_reversal_is_warmed_up_and_the_classifiers_part_is_not(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    found = daln.objective(daln.Config(), trained, data, context(tmp_path))
    assert found is not None
    early, late = (step_of(trained, data, progress=progress) for progress in (0.0, 1.0))
    terms = [found.terms["daln"](step) for step in (early, late)]
    assert not gradients(terms[0], trained.body).any()
    assert gradients(terms[1], trained.body).any()
    torch.testing.assert_close(gradients(terms[0], trained.head), gradients(terms[1], trained.head))


def test_the_discrepancy_is_the_mean_absolute_difference() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.dirichlet([1, 1, 1], 5), rng.dirichlet([1, 1, 1], 5)
    value = classifier_discrepancy(torch.from_numpy(first), torch.from_numpy(second))
    assert value.item() == pytest.approx(np.abs(first - second).mean())
    assert classifier_discrepancy(torch.from_numpy(first), torch.from_numpy(first)).item() == 0


def test_mcds_classifiers_raise_their_discrepancy_and_the_features_lower_it(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    found = mcd.objective(mcd.Config(weight=0.5), trained, data, context(tmp_path))
    assert found is not None
    second = found.modules["second_classifier"]
    step = step_of(trained, data)
    heads = [_probs(head(step.target_features)) for head in (trained.head, second)]
    plain, term = classifier_discrepancy(heads[0], heads[1]), found.terms["mcd"](step)
    assert plain > 0
    torch.testing.assert_close(term, -plain)
    for head in (trained.head, second):
        torch.testing.assert_close(gradients(term, head), -gradients(plain, head))
    strength = 0.5 * schedule(0.5, 10)
    expected = strength * gradients(plain, trained.body)
    torch.testing.assert_close(gradients(term, trained.body), expected)


def test_mcds_second_classifier_is_the_seeds_and_is_dropped(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    detector = copies()
    names = set(detector.state_dict())
    first, same, other = (mcd._second_classifier(detector, seed).state_dict()["weight"] for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    mcd.adapt(mcd.Config(recipe=QUICK), detector, data, context(tmp_path))
    assert set(detector.state_dict()) == names


def test_the_discriminator_is_trained_with_the_detector(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    found = cdan.objective(cdan.Config(), trained, data, context(tmp_path))
    assert found is not None
    assert found.adversary is not None
    fresh = discriminator(trained.feature_dim * trained.classes, 256, 0)
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), found.adversary.module.parameters(), strict=True))
    recipe = STILL.model_copy(update={"learning_rate": 1e-2})
    fit_one(trained, [found], few_images(data), tmp_path, recipe)
    changed = zip(fresh.parameters(), found.adversary.module.parameters(), strict=True)
    assert not any(torch.equal(before, after) for before, after in changed)
