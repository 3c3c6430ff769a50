from __future__ import annotations

import io

import imagehash
import numpy as np
import pytest
from PIL import Image

from trainables.benchmark.scenes import render_scene
from trainables.indexing.perceptual import perceptual_hash


def _scene(seed: int, width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    scene = render_scene(rng, max(width, height)) ** (1 / 2.2) * 255
    return Image.fromarray(scene[:height, :width].astype(np.uint8)).convert("L")


def _bits(image: Image.Image) -> int:
    return int(perceptual_hash(np.asarray(image)), 16)


def _apart(one: int, other: int) -> int:
    return (one ^ other).bit_count()


SCENES = [
    _scene(seed, *size) for seed, size in enumerate([(64, 64), (200, 130), (256, 256), (301, 517), (900, 600)] * 4)
]


def test_it_is_the_hash_of_an_independent_implementation():
    apart = [_apart(_bits(image), int(str(imagehash.phash(image)), 16)) for image in SCENES]
    assert max(apart) <= 6
    assert np.mean(apart) <= 2


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: _recompressed(image, 60),
        lambda image: image.resize((image.width * 3 // 5, image.height * 3 // 5)),
        lambda image: image.resize((image.width * 2, image.height * 2)),
        lambda image: image.point(lambda level: min(255, level + 6)),
    ],
    ids=["jpeg", "smaller", "larger", "brighter"],
)
def test_a_copy_has_nearly_the_same_hash(changed):
    apart = [_apart(_bits(image), _bits(changed(image))) for image in SCENES]
    assert max(apart) <= 6
    assert np.mean(apart) <= 2


def _recompressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def test_other_images_have_other_hashes():
    hashes = [_bits(image) for image in SCENES]
    assert min(_apart(a, b) for k, a in enumerate(hashes) for b in hashes[:k]) > 12


@pytest.mark.parametrize("size", [(256, 256), (40, 300), (8, 8), (1, 1), (1, 900)])
@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_plain_image_has_none(size, level):
    assert perceptual_hash(np.full(size, level, np.uint8)) == ""


def test_neither_has_a_plain_image_with_the_noise_of_a_camera():
    noisy = np.random.default_rng(0).normal(128, 4, (256, 256)).clip(0, 255).astype(np.uint8)
    assert perceptual_hash(noisy) == ""


def test_a_faint_gradient_has_one():
    assert perceptual_hash(np.tile(np.arange(256, dtype=np.uint8) // 16, (256, 1))) != ""
