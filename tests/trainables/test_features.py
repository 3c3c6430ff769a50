from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from tests.trainables.toy import toy_detector, toy_images
from trainables.contract import Images
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.features import features_of


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
