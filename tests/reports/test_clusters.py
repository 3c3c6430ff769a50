"""The cluster bootstrap: copies of an image say nothing new, and an interval of groups is as wide as it should be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from reports.clusters import clustered_auroc
from reports.statistics import Resampler


def table(groups: int, size: int) -> pd.DataFrame:
    """Groups of each class, and a third kind that has images of both, whose scores are alike within a group."""
    rng = np.random.default_rng(0)
    names = np.repeat([f"group {k}" for k in range(3 * groups)], size)
    labels = np.repeat([0, 1, 0], groups * size)
    labels[2 * groups * size :: 2] = 1
    scores = rng.normal(size=3 * groups).repeat(size) + 0.3 * rng.normal(size=len(names)) + labels
    return pd.DataFrame({"label": labels, "score": scores, "group": names})


def test_copies_of_an_image_make_the_interval_no_narrower() -> None:
    scores = table(20, 2).assign(group=[f"image {k}" for k in range(120)])
    copies = pd.concat([scores] * 10)
    resampler = Resampler(200)
    np.testing.assert_allclose(
        clustered_auroc(copies, resampler).draws, clustered_auroc(scores, resampler).draws, atol=1e-6
    )


def test_the_interval_is_that_of_groups_drawn_one_by_one_and_measured_by_scikit_learn() -> None:
    scores = table(15, 4)
    found = clustered_auroc(scores, Resampler(2000))
    assert found.value == pytest.approx(roc_auc_score(scores["label"], scores["score"]))
    rng = np.random.default_rng(1)
    kinds = np.split(np.arange(45), 3)
    draws = []
    for _ in range(500):
        drawn = np.concatenate([rng.choice(kind, len(kind)) for kind in kinds])
        some = pd.concat([scores.iloc[4 * k : 4 * k + 4] for k in drawn])
        draws.append(roc_auc_score(some["label"], some["score"]))
    assert np.std(found.draws) == pytest.approx(np.std(draws), rel=0.15)
    assert found.interval == pytest.approx(np.quantile(draws, (0.025, 0.975)), abs=0.03)


def test_groups_whose_images_are_alike_give_a_wider_interval_than_images_taken_as_independent() -> None:
    scores = table(15, 4)
    alone = scores.assign(group=[f"image {k}" for k in range(len(scores))])
    groups, images = (np.std(clustered_auroc(each, Resampler(500)).draws) for each in (scores, alone))
    assert groups > 1.4 * images
