from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch

from tests.trainables.toy import toy_detector, toy_images
from trainables.context import LocalContext
from trainables.contract import Images
from trainables.data.stack import Stack, open_pixels
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.features import features_of, kept_features, kept_score
from trainables.score import score


@pytest.fixture(scope="module")
def images() -> Images:
    return toy_images(24, seed=4)


@contextmanager
def counted(detector: Detector) -> Iterator[list[int]]:
    """The sizes of the batches that pass through the body."""
    sizes: list[int] = []
    hook = detector.body.register_forward_hook(lambda *given: sizes.append(len(given[1][0])))
    yield sizes
    hook.remove()


def files(cache: Path) -> set[str]:
    return {path.name for path in cache.glob("*.npy")}


def test_they_are_the_detectors_features_with_and_without_a_cache(images: Images, tmp_path: Path) -> None:
    detector = toy_detector()
    expected = detector.eval().features(as_input(images.pixels[:])).detach().numpy()
    for cache in (None, tmp_path / "features", tmp_path / "features"):
        found = features_of(detector, images.pixels, cache=cache)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert found.dtype == np.float32


def test_they_are_computed_once_and_mapped_read_only(images: Images, tmp_path: Path) -> None:
    first = features_of(toy_detector(), images.pixels, cache=tmp_path)
    again = toy_detector()
    with counted(again) as batches:
        found = features_of(again, images.pixels, cache=tmp_path)
    assert batches == []
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, first)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0


def test_a_new_head_or_calibration_reads_what_is_there(images: Images, tmp_path: Path) -> None:
    features_of(toy_detector(), images.pixels, cache=tmp_path)
    other = toy_detector(classes=3)
    other.load_state_dict({k: v for k, v in toy_detector().state_dict().items() if "head" not in k}, strict=False)
    other.shift += 1
    features_of(other, images.pixels, cache=tmp_path)
    assert len(files(tmp_path)) == 1


def test_whatever_changes_features_makes_another_file(images: Images, tmp_path: Path) -> None:
    def asked(detector: Detector, pixels: np.ndarray) -> int:
        features_of(detector, pixels, cache=tmp_path)
        return len(files(tmp_path))

    pixels = images.pixels[:]
    assert asked(toy_detector(), pixels) == 1
    assert asked(toy_detector(seed=1), pixels) == 2
    assert asked(toy_detector(truncation=2.0), pixels) == 3  # in the structure, not in the weights
    changed = pixels.copy()
    changed[7, 3, 2, 1] ^= 1
    assert asked(toy_detector(), changed) == 4
    assert asked(toy_detector(), pixels[::-1]) == 5
    assert asked(toy_detector(), pixels[:20]) == 6
    moved = toy_detector()
    dict(moved.named_buffers())["body.0.1.running_mean"] += 1e-3
    assert asked(moved, pixels) == 7


def test_nothing_that_could_run_code_is_written_or_read(images: Images, tmp_path: Path) -> None:
    features_of(toy_detector(), images.pixels, cache=tmp_path)
    (name,) = files(tmp_path)
    np.save(tmp_path / name, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python object"):
        features_of(toy_detector(), images.pixels, cache=tmp_path)


def test_of_two_that_ask_at_once_one_computes(images: Images, tmp_path: Path) -> None:
    detectors = [toy_detector(), toy_detector()]
    together = Barrier(2)

    def ask(detector: Detector) -> bytes:
        together.wait()
        return features_of(detector, images.pixels, cache=tmp_path).tobytes()

    # Each has its own handle of the lock, as two processes would.
    with counted(detectors[0]) as first, counted(detectors[1]) as second, ThreadPoolExecutor(2) as threads:
        found = list(threads.map(ask, detectors))
    assert sorted([sum(first), sum(second)]) == [0, len(images)]
    assert found[0] == found[1] == features_of(toy_detector(), images.pixels).tobytes()
    assert len(files(tmp_path)) == 1
    assert not list(tmp_path.glob("*.tmp"))


def test_what_a_killed_process_left_is_cleared_away(images: Images, tmp_path: Path) -> None:
    features_of(toy_detector(), images.pixels, cache=tmp_path)
    (name,) = files(tmp_path)
    (tmp_path / name).unlink()
    left = tmp_path / f".{name}.1-abcd.tmp"
    left.write_bytes(b"half")
    features_of(toy_detector(), images.pixels, cache=tmp_path)
    assert not left.exists()
    assert files(tmp_path) == {name}


def test_a_place_that_is_no_folder_is_told(images: Images, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="cannot write here"):
        features_of(toy_detector(), images.pixels, cache=tmp_path / "file")


def test_no_images_have_no_features(tmp_path: Path) -> None:
    none = np.zeros((0, 32, 32, 3), np.uint8)
    assert len(features_of(toy_detector(), none, cache=tmp_path)) == 0
    assert not files(tmp_path)


def test_a_set_is_computed_once_whatever_it_is_stacked_with(images: Images, tmp_path: Path) -> None:
    detector, pixels = toy_detector(), images.pixels[:]
    np.save(tmp_path / "reals", pixels[:8])
    reals, first, second = open_pixels(tmp_path / "reals.npy"), pixels[8:14], pixels[14:]
    with counted(detector) as batches:
        for fakes in (first, second):
            stacked = Stack([reals, fakes])
            found = features_of(detector, stacked, cache=tmp_path / "kept")
            np.testing.assert_allclose(found, features_of(toy_detector(), stacked), atol=1e-6)
        mixed = Stack([reals, first, second], np.random.default_rng(0).permutation(24))
        np.testing.assert_allclose(
            features_of(detector, mixed, cache=tmp_path / "kept"), features_of(toy_detector(), mixed), atol=1e-6
        )
    assert sum(batches) == 24
    assert len(files(tmp_path / "kept")) == 3


def test_of_a_set_that_is_read_in_part_no_other_image_is_computed(images: Images, tmp_path: Path) -> None:
    detector = toy_detector()
    some = Stack([images.pixels[:16], images.pixels[16:]], np.array([3, 3, 17, 0]))
    with counted(detector) as batches:
        found = features_of(detector, some, cache=tmp_path)
    assert sum(batches) == 3
    np.testing.assert_allclose(found, features_of(detector, some), atol=1e-6)


@pytest.mark.parametrize(("kind", "parameters"), [("frozen", {}), ("clip_linear", {}), ("clip_knn", {})])
def test_a_second_head_is_scored_without_a_pass_of_the_network(
    images: Images, tmp_path: Path, kind: str, parameters: dict[str, object]
) -> None:
    local = LocalContext(folder=tmp_path / "cell", cache=tmp_path / "features")
    first, second = toy_detector(kind, **parameters), toy_detector(kind, **parameters)
    with torch.no_grad():
        for each in (*second.head.parameters(), *second.head.buffers()):
            each.mul_(torch.linspace(0.5, 2, each.numel()).reshape(each.shape))
    second.shift.fill_(0.3)
    with counted(first) as passed, counted(second) as again:
        kept = [kept_score(each, images.pixels, local) for each in (first, second)]
    assert (sum(passed), sum(again)) == (len(images), 0)
    for scores, detector in zip(kept, (first, second), strict=True):
        np.testing.assert_allclose(scores, score(detector, images.pixels), rtol=0, atol=1e-6)
    assert np.abs(kept[0] - kept[1]).max() > 1e-3


def test_several_views_of_an_image_are_all_looked_at(images: Images, tmp_path: Path) -> None:
    detector = toy_detector("frozen")
    detector.views = 8
    local = LocalContext(folder=tmp_path, cache=tmp_path / "features")
    assert np.array_equal(kept_score(detector, images.pixels, local), score(detector, images.pixels))


@pytest.mark.parametrize("kind", ["backbone", "azimuthal"], ids=["trained", "without weights"])
def test_what_no_other_cell_wants_is_not_kept(images: Images, tmp_path: Path, kind: str) -> None:
    detector, local = toy_detector(kind), LocalContext(folder=tmp_path, cache=tmp_path / "features")
    assert np.array_equal(kept_score(detector, images.pixels, local), score(detector, images.pixels))
    assert np.array_equal(kept_features(detector, images.pixels, local), features_of(detector, images.pixels))
    assert not files(tmp_path / "features")


def test_where_memory_is_short_fewer_images_are_taken_at_a_time(tmp_path: Path) -> None:
    many = toy_images(80, seed=1)
    for cache in (None, tmp_path / "features"):
        local = LocalContext(folder=tmp_path, cache=cache, accumulate=8)
        for asked in (kept_features, kept_score):
            detector = toy_detector("frozen", seed=int(asked is kept_score))
            with counted(detector) as batches:
                asked(detector, many.pixels, local)
            assert batches == [32, 32, 16]
