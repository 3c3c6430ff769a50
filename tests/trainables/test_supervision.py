from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.trainables.toy import QUICK, context, toy_detector, toy_images
from trainables.context import LocalContext
from trainables.contract import Images
from trainables.errors import InputError
from trainables.fit import fit
from trainables.objective import SUPERVISED, Objective, Step, classification
from trainables.recipe import Recipe
from trainables.supervision import TASK, class_weights, supervised

LABELS = np.array([0] * 6 + [1] * 3 + [2], dtype=np.int64)


def step_of(logits: torch.Tensor, labels: torch.Tensor) -> Step:
    """A step of which only the logits and labels are looked at."""
    none = torch.empty(0)
    return Step(
        detector=toy_detector(),
        images=none,
        features=none,
        logits=logits,
        labels=labels,
        target_images=none,
        target_features=none,
        target_logits=none,
        target_index=none,
        progress=0.0,
    )


def test_balanced_is_one_over_the_share_and_complement_one_less_it() -> None:
    balanced = class_weights(Recipe(class_weights="balanced"), LABELS, 3)
    assert balanced * [0.6, 0.3, 0.1] == pytest.approx([1 / 3] * 3)
    complement = class_weights(Recipe(class_weights="complement"), LABELS, 3)
    assert complement / complement[2] == pytest.approx([0.4 / 0.9, 0.7 / 0.9, 1])
    given = class_weights(Recipe(class_weights=(1, 2, 4)), LABELS, 3)
    assert given / given[0] == pytest.approx([1, 2, 4])
    for weights in (balanced, complement, given):
        assert weights[LABELS].mean() == pytest.approx(1)


def test_of_two_classes_balanced_and_complement_are_one() -> None:
    labels = LABELS.clip(max=1)
    found = [class_weights(Recipe(class_weights=name), labels, 2) for name in ("balanced", "complement")]
    assert found[0] == pytest.approx(found[1])


def test_a_class_without_images_has_the_weight_of_the_rarest() -> None:
    weights = class_weights(Recipe(class_weights="balanced"), LABELS, 4)
    assert weights[3] == weights[2]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["none", "balanced", "complement"])
def test_over_all_images_it_is_torchs_cross_entropy(smoothing: float, kind: str) -> None:
    recipe = Recipe.model_validate({"class_weights": kind, "label_smoothing": smoothing})
    objective = supervised(SUPERVISED, recipe, LABELS, 3)
    logits, labels = torch.randn(10, 3, generator=torch.Generator().manual_seed(0)), torch.from_numpy(LABELS)
    weight = torch.from_numpy(class_weights(recipe, LABELS, 3)).float()
    expected = functional.cross_entropy(logits, labels, weight, label_smoothing=smoothing)
    torch.testing.assert_close(objective.terms[TASK](step_of(logits, labels)), expected)
    if kind == "none" and not smoothing:
        assert objective is SUPERVISED


def test_smoothing_spreads_its_share_over_all_classes() -> None:
    objective = supervised(SUPERVISED, Recipe(label_smoothing=0.3), LABELS, 3)
    logits, labels = torch.randn(10, 3, generator=torch.Generator().manual_seed(1)), torch.from_numpy(LABELS)
    soft = 0.7 * functional.one_hot(labels, 3) + 0.1
    expected = -(soft * logits.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(objective.terms[TASK](step_of(logits, labels)), expected)


def test_what_cannot_be_weighted_is_refused() -> None:
    with pytest.raises(InputError, match="no plain cross-entropy"):
        supervised(Objective(terms={TASK: lambda step: classification(step) * 2}), QUICK_SMOOTH, LABELS, 3)
    with pytest.raises(InputError, match="has 2 classes"):
        class_weights(Recipe(class_weights=(1, 1, 1)), LABELS % 2, 2)
    with pytest.raises(InputError, match="images of one class"):
        class_weights(Recipe(class_weights="complement"), LABELS * 0, 2)


QUICK_SMOOTH = QUICK.model_copy(update={"label_smoothing": 0.1})


def test_weights_shift_a_detector_towards_the_rare_class(source: Images, tmp_path: Path) -> None:
    few = source.take(np.concatenate([np.flatnonzero(source.labels == 0)[:48], np.flatnonzero(source.labels)[:8]]))
    called = []
    for kind in ("none", "balanced"):
        detector = toy_detector()
        recipe = Recipe.model_validate({"epochs": 1, "batch": 8, "learning_rate": 1e-3, "class_weights": kind})
        fitted = fit(detector, SUPERVISED, recipe, few, toy_images(32, seed=5), context(tmp_path / kind))
        called.append(fitted.curves[0]["val_loss"])
    assert called[1] < called[0]


def test_a_weighted_step_in_parts_is_the_same_step(source: Images, source_val: Images, tmp_path: Path) -> None:
    few = source.take(np.arange(60)[np.arange(60) % 6 != 1])
    recipe = Recipe(
        epochs=1, batch=20, optimiser="sgd", learning_rate=0.1, class_weights="balanced", label_smoothing=0.1
    )
    results = []
    for parts in (1, 3):
        detector = toy_detector("residual_cnn")
        for module in detector.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.0
        run = LocalContext(folder=tmp_path / str(parts), accumulate=parts)
        fitted = fit(detector, _still(), recipe, few, source_val, run)
        results.append((fitted.curves[0]["loss"], detector.state_dict()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for name, value in results[0][1].items():
        torch.testing.assert_close(value, results[1][1][name], rtol=1e-4, atol=1e-5)


def _still() -> Objective:
    """The task, of the head alone: no BatchNorm sees a part of a batch."""
    return Objective(terms=SUPERVISED.terms, trainable=lambda detector: detector.head.parameters())
