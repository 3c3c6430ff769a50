"""Watching a training: what is asked of the detector, that it changes nothing, and what an interruption leaves."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.trainables.toy import QUICK, toy_images
from trainables.adaptation import coral, pseudo_label, tent
from trainables.context import LocalContext
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector
from trainables.errors import LabelLeakError
from trainables.saving import Saving
from trainables.score import labels_by_image, log_odds, score
from trainables.seeding import generator
from trainables.selection.rule import best
from trainables.selection.trace import ORACLE, SOURCE, TARGET, TEST, THIRD, Trace
from trainables.selection.watch import Sample, Watcher

RECIPE = QUICK.model_copy(update={"epochs": 3})
HELD_OUT, TESTED = (toy_images(count, seed=seed, period=4, amplitude=3) for count, seed in ((60, 11), (40, 12)))
THIRDS = toy_images(20, seed=13, period=8)


def watcher(data: AdaptationData, rule: str = "source_val") -> Watcher:
    sets = {
        SOURCE: data.source_val,
        TARGET: data.target,
        f"{THIRD}grid8": THIRDS,
        ORACLE: HELD_OUT.without_labels(),
        TEST: TESTED.without_labels(),
    }
    known = {SOURCE: labels_by_image(data.source_val)}
    known |= {ORACLE: labels_by_image(HELD_OUT)} if rule == "oracle" else {}
    return Watcher(rule, {name: Sample.of(images) for name, images in sets.items()}, known)


def weights(detector: Detector) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in detector.state_dict().items()}


def equal(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def same(first: Trace, second: Trace) -> bool:
    return first.ids == second.ids and all(
        one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
        for one, other in ((first.log_odds, second.log_odds), (first.features, second.features))
    )


def shuffled(images: Images, seed: int) -> Images:
    return images.take(generator(seed, "order").permutation(len(images)))


def test_a_sample_depends_on_digests_alone() -> None:
    images = toy_images(60, seed=5)
    chosen = Sample.of(images, most=20)
    assert list(chosen.ids) == sorted(images.ids)[:20]
    other = Sample.of(shuffled(images, 3).without_labels(), most=20)
    assert other.ids == chosen.ids
    assert np.array_equal(other.pixels[:], chosen.pixels[:])
    assert set(Sample.of(images, most=30).ids) > set(chosen.ids)
    assert len(Sample.of(images).ids) == 60


@pytest.mark.parametrize("top", [None, 2])
def test_an_image_of_several_squares_is_judged_whole(trained: Detector, tmp_path: Path, top: int | None) -> None:
    squares = toy_images(24, seed=6)
    ids = [f"{image:03d}/{square}" for image in (5, 3, 7, 1, 0, 6, 2, 4) for square in range(3)]
    views = Images(pixels=squares.pixels, labels=np.arange(24) // 3 % 2, ids=ids, generators=ids, views=3)
    sample = Sample.of(views, views=3, top=top, most=4)
    assert sample.ids == ("000", "001", "002", "003")
    known = {SOURCE: labels_by_image(views)}
    watching = Watcher("im", {SOURCE: sample, TARGET: sample, TEST: sample}, known)
    watching.look(trained, LocalContext(folder=tmp_path))
    voting = np.sort(score(trained, squares.pixels).astype(np.float64).reshape(8, 3))[:, 3 - (top or 3) :]
    fake = voting.mean(axis=1)[[4, 3, 6, 1]]
    for name in (SOURCE, TARGET, TEST):
        odds = watching.trace.log_odds[name][0]
        assert 1 / (1 + np.exp(-odds)) == pytest.approx(fake, abs=1e-5)
    with torch.inference_mode():
        features = trained.eval().features(torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).float() / 255)
    whole = features.numpy().reshape(8, 3, -1).mean(axis=1)[[4, 3, 6, 1]]
    assert watching.trace.features[TARGET][0].astype(float) == pytest.approx(whole, rel=2e-3, abs=2e-3)


def test_a_detector_that_looks_at_several_views_is_asked_about_all_of_them(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    trained.views = 8
    watching = watcher(data)
    watching.look(trained, LocalContext(folder=tmp_path))
    sets = {SOURCE: data.source_val, TARGET: data.target, TEST: TESTED}
    for name, images in sets.items():
        expected = log_odds(trained, images.pixels[np.argsort(images.ids)])
        assert watching.trace.log_odds[name][0] == pytest.approx(expected, abs=1e-5), name


def test_looking_changes_neither_the_detector_nor_a_random_stream(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    trained.train()
    trained.head.eval()
    before, modes = weights(trained), [part.training for part in trained.modules()]
    torch.manual_seed(3)
    streams = torch.get_rng_state(), np.random.get_state()[1].copy()
    watching = watcher(data, "dev")
    told = watching.watch(trained, LocalContext(folder=tmp_path))
    assert equal(weights(trained), before)
    assert [part.training for part in trained.modules()] == modes
    assert torch.equal(torch.get_rng_state(), streams[0])
    assert np.array_equal(np.random.get_state()[1], streams[1])
    assert told.keys() == {"dev"}
    assert watching.trace.log_odds[TEST][0] == pytest.approx(
        log_odds(trained, TESTED.pixels[np.argsort(TESTED.ids)]), abs=1e-5
    )


def test_a_watched_fit_is_the_same_to_the_last_bit_and_leaves_a_row_an_epoch(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    alone, watched = copies(), copies()
    config = coral.Config(recipe=RECIPE)
    expected = coral.adapt(config, alone, data, LocalContext(folder=tmp_path / "a"))
    watching = watcher(data)
    outcome = coral.adapt(config, watched, data, LocalContext(folder=tmp_path / "b", watcher=watching))
    assert equal(weights(alone), weights(watched))
    assert [row["loss"] for row in outcome.curves] == [row["loss"] for row in expected.curves]
    assert outcome.curves[0].keys() == expected.curves[0].keys()
    assert len(watching.trace) == 3
    watching.look(watched, LocalContext(folder=tmp_path / "b"))
    chosen = best("source_val")(outcome.curves)
    for name, odds in watching.trace.log_odds.items():
        assert np.array_equal(odds[-1], odds[chosen]), name


@pytest.mark.parametrize("rule", ["im", "oracle", "bnm"])
def test_the_studys_rule_chooses_the_epoch_that_is_kept(
    rule: str, copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    detector, watching = copies(), watcher(data, rule)
    config = coral.Config(recipe=RECIPE.model_copy(update={"schedule": "constant"}))
    outcome = coral.adapt(config, detector, data, LocalContext(folder=tmp_path, watcher=watching))
    figures = [row[rule] for row in outcome.curves]
    assert len(set(figures)) > 1
    chosen = max(range(3), key=lambda epoch: (figures[epoch], epoch))
    assert outcome.metrics["epoch"] == chosen + 1
    watching.look(detector, LocalContext(folder=tmp_path))
    assert np.array_equal(watching.trace.log_odds[TEST][-1], watching.trace.log_odds[TEST][chosen])
    if rule == "oracle":
        right = (score(detector, HELD_OUT.pixels) > 0.5) == HELD_OUT.labels
        assert figures[chosen] == pytest.approx(right.mean())


def test_a_method_that_keeps_its_last_epoch_does_so_under_any_rule(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    alone, watched = copies(), copies()
    config = tent.Config(recipe=RECIPE)
    tent.adapt(config, alone, data, LocalContext(folder=tmp_path / "a"))
    watching = watcher(data, "entropy")
    outcome = tent.adapt(config, watched, data, LocalContext(folder=tmp_path / "b", watcher=watching))
    assert equal(weights(alone), weights(watched))
    # Its own term has the rule's name; the column is the rule's.
    known = {SOURCE: labels_by_image(data.source_val)}
    assert [row["entropy"] for row in outcome.curves] == [
        watching.trace.value("entropy", row, known) for row in range(len(watching.trace))
    ]


@dataclass(kw_only=True)
class OneOfTwo(LocalContext):
    """One of two workers, each in a thread, that exchange values as the workers of a group do."""

    barrier: threading.Barrier
    shared: dict[int, NDArray[Any]]

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        self.shared[self.rank] = values
        self.barrier.wait()
        gathered = np.concatenate([self.shared[rank] for rank in range(self.world_size)])
        self.barrier.wait()
        return gathered


def test_workers_look_at_their_parts_and_keep_what_one_alone_would(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    alone = watcher(data, "im")
    told = alone.watch(copies(), LocalContext(folder=tmp_path))
    barrier, shared = threading.Barrier(2, timeout=60), dict[int, NDArray[Any]]()

    def work(rank: int) -> tuple[Trace, Mapping[str, float]]:
        group = OneOfTwo(folder=tmp_path, rank=rank, world_size=2, barrier=barrier, shared=shared)
        watching = watcher(data, "im")
        told = watching.watch(detectors[rank], group)
        return watching.trace, told

    detectors = [copies(), copies()]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(work, range(2)))
    (first, of_first), (second, of_second) = both
    assert same(first, second)
    assert of_first == of_second
    assert of_first["im"] == pytest.approx(told["im"], abs=1e-4)
    for name, odds in alone.trace.log_odds.items():
        assert first.log_odds[name] == pytest.approx(odds, abs=1e-4), name


class KilledError(RuntimeError):
    pass


@dataclass(kw_only=True)
class Killed(LocalContext):
    """Dies when it has saved so often."""

    saves: int

    def save_state(self, state: Any) -> None:
        super().save_state(state)
        self.saves -= 1
        if not self.saves:
            raise KilledError


METHODS: list[tuple[Any, Any, int]] = [
    (coral, coral.Config(recipe=RECIPE), 2),
    (pseudo_label, pseudo_label.Config(rounds=2, threshold=0.6, recipe=QUICK), 4),
]


@pytest.mark.parametrize(("member", "config", "saves"), METHODS, ids=["coral", "pseudo_label"])
def test_an_interrupted_stage_ends_with_the_same_model_and_the_same_trace(
    member: Any,
    config: Any,
    saves: int,
    copies: Callable[[], Detector],
    data: AdaptationData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Saving, "SHARE", math.inf)  # after every epoch and every round
    whole, watching = copies(), watcher(data, "im")
    expected = member.adapt(config, whole, data, LocalContext(folder=tmp_path / "whole", watcher=watching))
    assert len(watching.trace) == len(expected.curves)
    for number in range(1, saves + 1):
        folder = tmp_path / str(number)
        first = Killed(folder=folder, saves=number, watcher=watcher(data, "im"))
        with pytest.raises(KilledError):
            member.adapt(config, copies(), data, first)
        detector, again = copies(), watcher(data, "im")
        again.look(detector, LocalContext(folder=folder))  # what it saw before it went on does not count
        outcome = member.adapt(config, detector, data, LocalContext(folder=folder, watcher=again))
        assert equal(weights(detector), weights(whole))
        assert same(again.trace, watching.trace)
        assert [row["im"] for row in outcome.curves] == [row["im"] for row in expected.curves]


@pytest.mark.parametrize(
    ("rule", "leaked"), [("im", ORACLE), ("source_val", ORACLE), ("oracle", TARGET), ("oracle", TEST), ("dev", TEST)]
)
def test_labels_that_a_rule_must_not_know_are_refused(data: AdaptationData, rule: str, leaked: str) -> None:
    samples = {SOURCE: Sample.of(data.source_val), TARGET: Sample.of(data.target)}
    known = {SOURCE: labels_by_image(data.source_val), leaked: labels_by_image(HELD_OUT)}
    with pytest.raises(LabelLeakError, match=leaked):
        Watcher(rule, samples, known)
