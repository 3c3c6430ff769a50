"""What a rule may look at: answers, and whether they can be used."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.trainables.selection.epochs import said, told_apart, unlabelled
from trainables.errors import LabelLeakError
from trainables.selection.epoch import Answers


def test_probabilities_and_predictions_follow_the_log_odds() -> None:
    answers = said([-math.inf, -1.0, 0.0, math.log(3), math.inf])
    expected = [0, 1 / (1 + math.e), 0.5, 0.75, 1]
    np.testing.assert_allclose(answers.probabilities[:, 1], expected, atol=1e-15)
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1)
    assert answers.predictions.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("answers", "accuracy"),
    [
        (said([-1, 2, 3], known=[0, 1, 0]), 2 / 3),
        (said([-1], known=[0]), 1.0),
        (said([-1, math.nan], known=[0, 0]), math.nan),
        (said([], known=[]), math.nan),
    ],
)
def test_accuracy_is_the_share_called_what_they_are(answers: Answers, accuracy: float) -> None:
    assert answers.accuracy == pytest.approx(accuracy, nan_ok=True)


@pytest.mark.parametrize(
    ("features", "described"),
    [
        ([[1.0, 2.0], [1.0, 3.0]], True),
        ([[1.0, 2.0], [1.0, 2.0]], False),
        ([[1.0, 2.0]], False),
        ([[], []], False),
        ([[1.0, 2.0], [1.0, math.nan]], False),
        ([[1.0, 2.0], [1.0, math.inf]], False),
        (np.empty((0, 2)), False),
    ],
)
def test_features_describe_images_where_they_are_finite_and_differ(
    features: list[list[float]], described: bool
) -> None:
    assert said(np.zeros(len(features)), features).described == described
    assert not said(np.full(len(features), math.nan), features).described


def test_some_of_the_answers_are_taken_whole_and_labels_stay_away() -> None:
    answers = told_apart(6, seed=0)
    some = answers.take(np.array([4, 1]))
    assert some.log_odds.tolist() == answers.log_odds[[4, 1]].tolist()
    assert some.features.tolist() == answers.features[[4, 1]].tolist()
    assert some.labels.tolist() == [0, 1]
    hidden = unlabelled(answers).take(np.array([4, 1]))
    for asked in ("labels", "accuracy"):
        with pytest.raises(LabelLeakError):
            getattr(hidden, asked)
