"""FGDA and JREG: gradients with respect to features, aligned and kept small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainables.adaptation.steps import ONE_STEP, few_images, gradients, step_of
from tests.trainables.toy import QUICK, context, toy_detector
from trainables.adaptation import daln, fgda, jreg, mcd
from trainables.contract import AdaptationData
from trainables.detector import Detector
from trainables.gradients import classify_as_constant, feature_gradients
from trainables.objective import Objective
from trainables.pseudo import centroid_labels, predict


def _linear(seed: int = 0) -> tuple[Detector, torch.Tensor, torch.Tensor]:
    """A detector in double precision, features and labels."""
    detector = toy_detector().double()
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(6, detector.feature_dim, generator=random, dtype=torch.float64)
    return detector, features.requires_grad_(), torch.tensor([0, 1, 1, 0, 1, 0])


def test_feature_gradients_are_the_closed_form_of_a_linear_classifier() -> None:
    detector, features, labels = _linear()
    detector.scale.fill_(2.0)
    detector.shift.fill_(0.5)
    head: Any = detector.head
    found = feature_gradients(detector, features, labels)
    misses = torch.softmax(detector.classify(features), dim=1) - nn.functional.one_hot(labels, 2)
    torch.testing.assert_close(found, misses @ head.weight.detach() * 2.0)


def test_feature_gradients_can_be_differentiated_by_the_features() -> None:
    detector, features, labels = _linear()
    assert torch.autograd.gradcheck(lambda f: feature_gradients(detector, f, labels), (features,))


def test_the_classifier_as_a_constant_keeps_its_value_its_statistics_and_gets_no_gradient() -> None:
    detector, features, _ = _linear()
    detector.head = nn.Sequential(nn.Linear(detector.feature_dim, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    detector.train()
    before = [buffer.clone() for buffer in detector.head.buffers()]
    logits = classify_as_constant(detector, features)
    assert all(torch.equal(b, a) for b, a in zip(before, detector.head.buffers(), strict=True))
    assert not gradients(logits.square().sum(), detector.head).any()
    torch.testing.assert_close(logits, detector.classify(features))


def _fgda(detector: Detector, data: AdaptationData, folder: Path, **parameters: Any) -> Objective:
    found = fgda.objective(fgda.Config(**parameters), detector, data, context(folder))
    assert found is not None
    return found


def test_fgdas_alignment_changes_the_extractor_and_not_the_classifier(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    found = _fgda(trained, data, tmp_path)
    term = found.terms["fgda"](step_of(trained, data))
    assert not gradients(term, trained.head).any()
    assert gradients(term, trained.body).any()
    assert gradients(term, found.modules["gradient_discriminator"]).any()


def test_the_extractors_gradient_is_of_second_order(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    """With the gradients taken as constants nothing is left: all of it comes through the double backward."""
    found, step = _fgda(trained, data, tmp_path), step_of(trained, data)
    discriminator = found.modules["gradient_discriminator"]
    of_features = [
        feature_gradients(trained, features, labels)
        for features, labels in (
            (step.features, step.labels),
            (step.target_features, step.target_logits.argmax(dim=1)),
        )
    ]
    logits = discriminator(torch.cat(of_features)).flatten()
    domains = torch.cat([torch.ones(16), torch.zeros(16)])
    plain = nn.functional.binary_cross_entropy_with_logits(logits, domains)
    term = found.terms["fgda"](step)
    torch.testing.assert_close(term, plain)
    assert "gradient_discriminator_accuracy" in step.figures
    strength = 2 / (1 + torch.exp(torch.tensor(-2.5))) - 1  # the authors' .5 halves the speed, not the end
    torch.testing.assert_close(gradients(term, trained.body), -strength * gradients(plain, trained.body))
    constant = discriminator(torch.cat(of_features).detach()).sum()
    assert not gradients(constant, trained.body).any()


def test_fgda_has_the_jacobian_inside_where_asked(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    both = _fgda(trained, data, tmp_path, jacobian=0.1)
    alone = _fgda(trained, data, tmp_path, weight=0, jacobian=0.1)
    assert set(both.terms) == {"fgda", "fgda_jacobian"}
    assert set(alone.terms) == {"fgda_jacobian"}
    assert not alone.modules
    outcome = fgda.adapt(fgda.Config(jacobian=0.1, recipe=ONE_STEP), trained, few_images(data), context(tmp_path))
    assert {"fgda", "fgda_jacobian", "gradient_discriminator_accuracy"} <= set(outcome.metrics)


def test_fgdas_schedule_is_the_authors() -> None:
    assert (fgda.Config().weight, fgda.Config().gamma) == (1, 5)


def test_fgdas_jacobian_does_not_get_into_the_way_of_jregs(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    other = jreg.objective(jreg.Config(), trained, data, context(tmp_path))
    assert other is not None
    both = _fgda(trained, data, tmp_path, jacobian=0.1).joined(other)
    assert set(both.terms) == {"fgda", "fgda_jacobian", "jacobian"}


def test_fgdas_pseudo_labels_can_be_the_nearest_centroids(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    found = _fgda(trained, data, tmp_path, pseudo_labels="clustered")
    (find,) = found.before_epoch
    told = find(trained, 0)
    predicted = predict(trained, data.target.pixels, context(tmp_path))
    labels = centroid_labels(predicted.features, predicted.probs)
    assert told == {"clustered_fake": (labels > 0).mean(), "clustered_agreement": (labels == predicted.labels).mean()}
    step = step_of(trained, data)
    source = feature_gradients(trained, step.features, step.labels)
    target = feature_gradients(trained, step.target_features, torch.from_numpy(labels[:16]))
    logits = found.modules["gradient_discriminator"](torch.cat([source, target])).flatten()
    domains = torch.cat([torch.ones(16), torch.zeros(16)])
    expected = nn.functional.binary_cross_entropy_with_logits(logits, domains)
    torch.testing.assert_close(found.terms["fgda"](step), expected)
    config = fgda.Config(pseudo_labels="clustered", recipe=ONE_STEP)
    outcome = fgda.adapt(config, trained, few_images(data), context(tmp_path / "fit"))
    assert {"clustered_fake", "clustered_agreement"} <= set(outcome.metrics)


@pytest.mark.parametrize(
    ("member", "parameters", "term"),
    [(jreg, {}, "jacobian"), (fgda, {"jacobian": 0.1}, "fgda_jacobian"), (daln, {}, "daln"), (mcd, {}, "mcd")],
)
def test_classifying_the_features_again_does_not_move_the_heads_statistics(
    member: Any, parameters: dict[str, float], term: str, trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    trained.head = nn.Sequential(nn.BatchNorm1d(trained.feature_dim), trained.head)
    found = member.objective(member.Config(**parameters), trained, data, context(tmp_path))
    step = step_of(trained, data)
    heads = [trained.head, *(part for name, part in found.modules.items() if name == "second_classifier")]
    before = [buffer.clone() for head in heads for buffer in head.buffers()]
    found.terms[term](step)
    assert all(torch.equal(a, b) for a, b in zip(before, [b for h in heads for b in h.buffers()], strict=True))


def test_jregs_term_is_the_weighted_jacobian_of_a_linear_classifier(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    found = jreg.objective(jreg.Config(weight=0.3, projections=200), trained, data, context(tmp_path))
    assert found is not None
    torch.manual_seed(0)
    term = found.terms["jacobian"](step_of(trained, data))
    head: Any = trained.head
    assert term.item() == pytest.approx(0.3 * head.weight.square().sum().item(), rel=0.05)
    assert gradients(term, trained.head).any()


def test_jreg_makes_the_classifier_flatter(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    head: Any = trained.head
    before = head.weight.square().sum().item()
    jreg.adapt(jreg.Config(weight=10, recipe=QUICK), trained, data, context(tmp_path))
    assert head.weight.square().sum().item() < 0.9 * before


def test_both_work_where_only_the_classifier_is_trained(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    trained.body.requires_grad_(False)
    step = step_of(trained, data)
    assert not step.features.requires_grad
    found = jreg.objective(jreg.Config(), trained, data, context(tmp_path))
    assert found is not None
    assert gradients(found.terms["jacobian"](step), trained.head).any()
    assert torch.isfinite(_fgda(trained, data, tmp_path).terms["fgda"](step))
