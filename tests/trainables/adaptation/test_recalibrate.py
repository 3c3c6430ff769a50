from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainables.toy import context
from trainables.adaptation.recalibrate import Config, adapt, threshold
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector
from trainables.score import log_odds, score


@pytest.mark.parametrize("prior", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("saturated", [0.0, 80.0])
def test_the_stated_share_of_the_target_is_called_fake(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path, prior: float, saturated: float
) -> None:
    trained.shift += saturated
    before = log_odds(trained, target.pixels)
    outcome = adapt(Config(prior=prior), trained, data, context(tmp_path))
    after = score(trained, target.pixels)
    assert (after > 0.5).mean() == pytest.approx(prior, abs=1.5 / len(target))
    assert outcome.metrics["called_fake_after"] == pytest.approx(prior, abs=1.5 / len(target))
    np.testing.assert_allclose(
        log_odds(trained, target.pixels), before - outcome.metrics["threshold_log_odds"], atol=1e-4
    )


def test_without_ties_the_cut_is_the_quantile() -> None:
    scores = np.random.default_rng(0).normal(size=100)
    for prior in (0.25, 0.5, 0.8):
        assert threshold(scores, prior) == pytest.approx(np.quantile(scores, 1 - prior, method="hazen"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=20), st.floats(0.05, 0.95))
def test_with_ties_no_other_cut_comes_nearer(values: list[int], prior: float) -> None:
    scores = np.array(values, np.float64)
    if len(set(values)) == 1:
        assert threshold(scores, prior) == 0
        return
    found = abs((scores > threshold(scores, prior)).mean() - prior)
    others = [abs((scores > cut).mean() - prior) for cut in np.arange(min(values), max(values)) + 0.5]
    assert found <= min(others) + 1e-12
