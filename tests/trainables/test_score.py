from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.toy import toy_detector, toy_images
from trainables.context import LocalContext
from trainables.contract import Images
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.score import counted, digest_of, infer, log_odds, part_of, per_image, score, seen_whole


def test_scores_are_the_models_probabilities_in_evaluation_mode(trained: Detector, source_val: Images) -> None:
    trained.train()
    scores = score(trained, source_val.pixels)
    assert trained.training
    with torch.no_grad():
        expected = trained.eval().probability(as_input(source_val.pixels[:])).numpy()
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_scores_do_not_depend_on_the_batch_or_the_order(trained: Detector, source_val: Images) -> None:
    scores = score(trained, source_val.pixels, batch=64)
    np.testing.assert_allclose(score(trained, source_val.pixels, batch=7), scores, atol=1e-6)
    np.testing.assert_allclose(score(trained, source_val.pixels[::-1], batch=64)[::-1], scores, atol=1e-6)


def test_scoring_changes_no_statistics(trained: Detector, source_val: Images) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    score(trained.train(), source_val.pixels)
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())


def test_a_memory_map_scores_as_the_array_does(trained: Detector, tmp_path: Path) -> None:
    pixels = toy_images(9, seed=5).pixels
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=pixels.shape)
    mapped[:] = pixels
    assert np.array_equal(score(trained, mapped, batch=4), score(trained, pixels, batch=4))


def test_log_odds_tell_saturated_scores_apart(trained: Detector, source_val: Images) -> None:
    trained.shift += 60
    assert (score(trained, source_val.pixels) == 1).all()
    assert len(np.unique(log_odds(trained, source_val.pixels))) > 32


def test_features_of_all_images_and_of_none(trained: Detector, source_val: Images) -> None:
    features = infer(trained, trained.features, source_val.pixels, batch=10)
    assert features.shape == (len(source_val), trained.feature_dim)
    assert score(trained, source_val.pixels[:0]).shape == (0,)


class _Decoded:
    """The same pixels, made when they are asked for; the last ones may be broken."""

    def __init__(self, pixels: np.ndarray[Any, Any], broken_from: int = 10**9) -> None:
        self._pixels, self._broken_from = pixels, broken_from
        self.shape = pixels.shape

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: Any, /) -> np.ndarray[Any, Any]:
        if np.arange(len(self))[index].max() >= self._broken_from:
            raise InputError("the file is gone", where="images/7.png")
        return self._pixels[index]


@pytest.mark.parametrize("batch", [5, 64])
def test_images_that_are_read_ahead_score_the_same_to_the_last_bit(
    trained: Detector, source_val: Images, batch: int
) -> None:
    expected = score(trained, source_val.pixels, batch=batch)
    assert np.array_equal(score(trained, _Decoded(source_val.pixels[:]), batch=batch), expected)


def test_an_image_that_cannot_be_read_ahead_is_told(trained: Detector, source_val: Images) -> None:
    with pytest.raises(InputError, match=r"images/7\.png: the file is gone"):
        score(trained, _Decoded(source_val.pixels[:], broken_from=20), batch=4)


def test_the_score_of_an_image_is_the_mean_over_its_squares(source_val: Images) -> None:
    scores = np.random.default_rng(0).random(12).astype(np.float32)
    squares = replace(source_val.take(np.arange(12)), ids=[f"{d}/{k}" for d in "bca" for k in range(4)], views=4)
    found = per_image(squares, scores)
    assert list(found) == ["b", "c", "a"]
    assert found["c"] == pytest.approx(sum(map(float, scores[4:8])) / 4)


def test_the_score_of_an_image_of_one_square_is_the_squares_own(source_val: Images) -> None:
    scores = np.random.default_rng(0).random(64).astype(np.float32)
    assert per_image(source_val, scores) == dict(zip(source_val.ids, scores, strict=True))


def test_ids_of_squares_begin_with_the_digest() -> None:
    assert digest_of("ab12/3") == digest_of("ab12") == "ab12"


def test_log_odds_of_an_image_are_those_of_its_squares_mean_probability() -> None:
    odds = np.random.default_rng(0).normal(0, 4, 12)
    mean = (1 / (1 + np.exp(-odds))).reshape(-1, 4).mean(axis=1)
    assert seen_whole(odds, 4) == pytest.approx(np.log(mean / (1 - mean)))
    assert seen_whole(odds, 1) is odds


def test_the_squares_that_count_are_an_images_highest() -> None:
    scores = np.random.default_rng(0).permutation(20).astype(np.float64)
    found = counted(scores, 5, 2)
    for image in range(4):
        assert sorted(found[image]) == sorted(scores[5 * image : 5 * image + 5])[3:]
    np.testing.assert_array_equal(counted(scores, 5), scores.reshape(4, 5))
    np.testing.assert_array_equal(counted(scores, 5, 5), scores.reshape(4, 5))


@pytest.mark.parametrize("top", [1, 3, 4, None])
def test_squares_vote_alike_for_scores_and_for_log_odds(source_val: Images, top: int | None) -> None:
    odds = np.random.default_rng(0).normal(0, 4, 12).astype(np.float32)
    fake = 1 / (1 + np.exp(-odds.astype(np.float64)))
    squares = replace(
        source_val.take(np.arange(12)), ids=[f"{d}/{k}" for d in "bca" for k in range(4)], views=4, top=top
    )
    expected = [np.mean(sorted(fake[4 * k : 4 * k + 4])[-(top or 4) :]) for k in range(3)]
    assert list(per_image(squares, fake.astype(np.float32)).values()) == pytest.approx(expected)
    whole = seen_whole(odds.astype(np.float64), 4, top)
    assert 1 / (1 + np.exp(-whole)) == pytest.approx(np.array(expected))


def test_all_squares_counting_is_the_mean_to_the_last_bit(source_val: Images) -> None:
    scores = np.random.default_rng(0).random(12).astype(np.float32)
    squares = replace(source_val.take(np.arange(12)), ids=[f"{d}/{k}" for d in "bca" for k in range(4)], views=4)
    assert per_image(replace(squares, top=4), scores) == per_image(squares, scores)
    assert np.array_equal(seen_whole(scores.astype(np.float64), 4, 4), seen_whole(scores.astype(np.float64), 4))


@pytest.mark.parametrize("top", [3, None])
def test_votes_do_not_depend_on_the_batch(trained: Detector, source_val: Images, top: int | None) -> None:
    squares = replace(source_val, ids=[f"{k // 8:02}/{k % 8}" for k in range(len(source_val))], views=8, top=top)
    whole, parts = (per_image(squares, score(trained, squares.pixels, batch=batch)) for batch in (64, 7))
    assert parts.keys() == whole.keys()
    assert list(parts.values()) == pytest.approx(list(whole.values()), abs=1e-6)
    assert len(set(whole.values())) == len(source_val) // 8


def test_the_workers_parts_are_all_images_and_are_read_in_batches(source: Images, tmp_path: Path) -> None:
    class Counted:
        """Says how many images are read at once."""

        shape, most = source.pixels.shape, 0

        def __len__(self) -> int:
            return len(source)

        def __getitem__(self, index: Any, /) -> np.ndarray[Any, Any]:
            found = source.pixels[index]
            self.most = max(self.most, len(found))
            return found

    pixels = Counted()
    parts = [part_of(pixels, LocalContext(folder=tmp_path, rank=rank, world_size=3)) for rank in range(3)]
    assert [len(part) for part in parts] == [42, 43, 43]
    detector = toy_detector()
    found = np.concatenate([score(detector, part, batch=8) for part in parts])
    assert pixels.most == 8
    np.testing.assert_allclose(found, score(detector, source.pixels), rtol=1e-5)
    assert part_of(pixels, LocalContext(folder=tmp_path)) is pixels
