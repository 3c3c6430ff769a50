"""Estimates and intervals against scikit-learn, SciPy and plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

import reports.statistics
from reports.statistics import METRICS, Estimate, Resampler, Scores, auroc, estimate, mean, over_seeds, paired_gain
from trainables.metrics import detection_metrics


def table(seed: int = 0, reals: int = 80, fakes: int = 60, margin: float = 1.0, decimals: int = 2) -> pd.DataFrame:
    """Rounded scores, so that ties and scores of exactly 0.5 occur."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [reals, fakes])
    scores = 1 / (1 + np.exp(-(rng.normal(size=reals + fakes) + margin * (labels - 0.5))))
    return pd.DataFrame(
        {
            "image": [f"img{i:04d}" for i in range(reals + fakes)],
            "label": labels,
            "generator": [f"camera{i % 2}" for i in range(reals)] + ["gan"] * fakes,
            "score": np.round(scores, decimals),
        }
    ).sample(frac=1, random_state=seed)


@pytest.mark.parametrize("seed", range(5))
def test_values_equal_the_metrics_of_the_trainables(seed: int) -> None:
    frame = table(seed)
    frame.iloc[:4, frame.columns.get_loc("score")] = 0.5
    known = detection_metrics(frame["label"], frame["score"])
    found = estimate(Scores.from_frame(frame), Resampler(draws=10))
    assert {name: found[name].value for name in METRICS} == pytest.approx({name: known[name] for name in METRICS})


def test_every_draw_of_auroc_equals_sklearn_on_the_weighted_images() -> None:
    scores, resampler = Scores.from_frame(table()), Resampler(draws=25)
    weights = np.concatenate([resampler.counts(group) for group in scores.groups])
    expected = [roc_auc_score(scores.fake, scores.values, sample_weight=column) for column in weights.T]
    assert estimate(scores, resampler)["auroc"].draws == pytest.approx(expected, abs=1e-6)


def test_draws_do_not_depend_on_the_block_they_are_computed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = Scores.from_frame(table())
    whole = estimate(scores, Resampler(draws=50))
    monkeypatch.setattr(reports.statistics, "_BLOCK", 7 * len(scores))
    parts = estimate(scores, Resampler(draws=50))
    for name in METRICS:
        np.testing.assert_array_equal(whole[name].draws, parts[name].draws)


def test_a_draw_keeps_the_size_of_every_stratum() -> None:
    counts = Resampler(draws=40).counts(["a", "b", "c"])
    assert counts.shape == (3, 40)
    assert (counts.sum(axis=0) == 3).all()
    assert len({tuple(column) for column in counts.T}) > 5


def test_interval_of_accuracy_agrees_with_scipy() -> None:
    frame = table(reals=150, fakes=150)
    right = ((frame["score"] > 0.5) == (frame["label"] == 1)).to_numpy(dtype=float)
    groups = [right[(frame["generator"] == name).to_numpy()] for name in ("camera0", "camera1", "gan")]

    def accuracy(*parts: np.ndarray, axis: int = -1) -> np.ndarray:
        return sum(part.sum(axis=axis) for part in parts) / len(right)

    known = stats.bootstrap(
        groups, accuracy, n_resamples=4000, method="percentile", vectorized=True, rng=np.random.default_rng(1)
    ).confidence_interval
    found = estimate(Scores.from_frame(frame), Resampler(draws=4000))["accuracy"]
    assert found.interval == pytest.approx((known.low, known.high), abs=0.008)


def test_interval_of_a_gain_agrees_with_scipy_on_paired_images() -> None:
    first, second = table(1, 150, 150, margin=2.0), table(2, 150, 150, margin=1.0)
    both = first.merge(second, on=["image", "label"], suffixes=("", "_other"))
    rights = [(both[name] > 0.5) == (both["label"] == 1) for name in ("score", "score_other")]
    by_class = [(rights[0].astype(float) - rights[1])[both["label"] == label].to_numpy() for label in (0, 1)]

    def gain(real: np.ndarray, fake: np.ndarray, axis: int = -1) -> np.ndarray:
        return (real.mean(axis=axis) + fake.mean(axis=axis)) / 2

    known = stats.bootstrap(
        by_class, gain, n_resamples=4000, method="percentile", vectorized=True, rng=np.random.default_rng(1)
    ).confidence_interval
    found = paired_gain(Scores.from_frame(first), Scores.from_frame(second), Resampler(draws=4000))["accuracy"]
    assert found.interval == pytest.approx((known.low, known.high), abs=0.012)
    assert found.clear


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    truth, images, covered = 0.8, 200, 0
    for repeat in range(150):
        labels = np.repeat([0, 1], images // 2)
        right = rng.random(images) < truth
        frame = pd.DataFrame({"image": [f"{repeat}-{i}" for i in range(images)], "label": labels})
        frame["score"] = np.where(right == (labels == 1), 0.9, 0.1)
        low, high = estimate(Scores.from_frame(frame), Resampler(draws=400), ("accuracy",))["accuracy"].interval
        covered += low <= truth <= high
    assert 0.89 <= covered / 150 <= 0.99


def test_a_model_gains_exactly_nothing_over_itself() -> None:
    gain = paired_gain(Scores.from_frame(table()), Scores.from_frame(table()), Resampler(draws=100))
    for name in METRICS:
        assert gain[name].value == 0
        assert gain[name].interval == (0, 0)
        assert not gain[name].clear


def test_models_are_compared_on_the_images_both_have_scored() -> None:
    whole, part = table(1), table(2)[lambda frame: frame["image"] > "img0030"]
    found = paired_gain(Scores.from_frame(whole), Scores.from_frame(part), Resampler(draws=100))
    expected = paired_gain(
        Scores.from_frame(whole[whole["image"] > "img0030"]), Scores.from_frame(part), Resampler(draws=100)
    )
    assert found["auroc"].value == expected["auroc"].value
    assert found["auroc"].interval == expected["auroc"].interval


def test_an_image_counts_once() -> None:
    twice = pd.concat([table(), table().head(30)])
    assert len(Scores.from_frame(twice)) == len(table())


def test_a_class_without_images_leaves_its_metrics_open() -> None:
    found = estimate(Scores.from_frame(table(fakes=0)), Resampler(draws=20))
    assert np.isnan([found[name].value for name in ("auroc", "fake_to_real")]).all()
    assert np.isnan(found["auroc"].low)
    assert found["accuracy"].value == pytest.approx(1 - found["real_to_fake"].value)


def test_nothing_is_known_without_images() -> None:
    found = estimate(Scores.from_frame(table().head(0)), Resampler(draws=20))
    assert np.isnan([found[name].value for name in METRICS]).all()
    assert np.isnan([found[name].low for name in METRICS]).all()


def test_auroc_of_separated_reversed_and_tied_scores() -> None:
    ones = np.ones((3, 1), dtype=np.float32)
    low, high = np.array([0.1, 0.2, 0.3]), np.array([0.7, 0.8, 0.9])
    assert [auroc(*pair, ones, ones)[0] for pair in ((low, high), (high, low), (low, low))] == [1, 0, 0.5]


def test_mean_is_taken_draw_by_draw() -> None:
    found = mean([Estimate(0.2, np.array([0.1, 0.3])), Estimate(0.6, np.array([0.5, 0.9]))])
    assert found.value == pytest.approx(0.4)
    assert found.draws == pytest.approx([0.3, 0.6])


def test_what_cancels_out_but_for_rounding_is_not_clear() -> None:
    assert not Estimate(1e-17, np.full(20, 1e-17)).clear
    assert not Estimate(-1e-17, np.full(20, -1e-17)).clear
    assert Estimate(1e-3, np.full(20, 1e-3)).clear


def test_seeds_and_images_both_widen_an_interval_as_two_nested_loops_do() -> None:
    """Images that are drawn once for all seeds, against plain loops over score tables."""
    tables = {seed: Scores.from_frame(table(seed, 40, 40, margin=1 + seed)) for seed in range(4)}
    resampler = Resampler(draws=30)
    found = over_seeds({seed: estimate(one, resampler)["accuracy"] for seed, one in tables.items()}, resampler)
    seeds = resampler.counts([f"seed {seed}" for seed in range(4)])
    images = np.concatenate([resampler.counts(group) for group in tables[0].groups])
    for draw in range(30):
        picked = np.repeat(np.arange(4), seeds[:, draw])
        shares = []
        for seed in picked:
            right = (tables[seed].values > 0.5) == tables[seed].fake
            shares.append(np.repeat(right, images[:, draw]).mean())
        assert found.draws[draw] == pytest.approx(np.mean(shares))


def test_the_interval_of_three_seeds_is_their_range_and_holds_the_mean_three_times_in_four() -> None:
    resampler, rng, covered = Resampler(draws=5000), np.random.default_rng(3), 0
    for _ in range(400):
        values = rng.normal(size=3)
        found = over_seeds({s: Estimate(float(v), np.full(5000, v)) for s, v in enumerate(values)}, resampler)
        assert found.interval == pytest.approx((values.min(), values.max()))
        covered += found.low <= 0 <= found.high
    assert covered / 400 == pytest.approx(0.75, abs=0.06)


def test_two_seeds_are_averaged_and_three_resampled() -> None:
    resampler = Resampler(draws=60)
    rng = np.random.default_rng(0)
    by_seed = {seed: Estimate(float(seed), seed + 0.01 * rng.normal(size=60)) for seed in range(3)}
    two = over_seeds({seed: by_seed[seed] for seed in (0, 1)}, resampler)
    assert two.draws == pytest.approx((by_seed[0].draws + by_seed[1].draws) / 2)
    three = over_seeds(by_seed, resampler)
    counts = resampler.counts(["seed 0", "seed 1", "seed 2"])
    expected = [sum(counts[s, b] * by_seed[s].draws[b] for s in range(3)) / 3 for b in range(60)]
    assert three.draws == pytest.approx(expected)
    assert three.value == pytest.approx(1.0)
    assert three.high - three.low > 20 * (two.high - two.low)
