from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainables.toy import toy_detector, toy_images
from trainables.context import LocalContext
from trainables.fusion import class_accuracy
from trainables.held_out import validated


def test_where_memory_is_short_fewer_images_are_taken_at_a_time(tmp_path: Path) -> None:
    detector, images = toy_detector(), toy_images(80, seed=1)
    whole, parted = (LocalContext(folder=tmp_path, accumulate=parts) for parts in (1, 8))
    sizes: list[int] = []
    detector.body.register_forward_hook(lambda *given: sizes.append(len(given[1][0])))
    expected = validated(detector, images, whole), class_accuracy(detector, images, whole)
    assert sizes == [80, 80]
    sizes.clear()
    figures, accuracy = validated(detector, images, parted), class_accuracy(detector, images, parted)
    assert sizes == [32, 32, 16] * 2
    assert figures == pytest.approx(expected[0], abs=1e-6)
    assert accuracy == expected[1]
