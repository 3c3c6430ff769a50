from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.contract import Config
from trainables.indexing.found import Found
from trainables.registry import LAYOUTS

TREES: Mapping[str, tuple[str, ...]] = {
    "generic": ("real/ffhq/0.png", "fake/stylegan2/a/0.png"),
    "forensynths": (
        "train/progan/train/0_real/0.png",
        "train/progan/train/1_fake/1.png",
        "test/stylegan/car/1_fake/deep/2.png",
        "test/crn/0_real/3.png",
        "test/crn/1_fake/4.png",
    ),
    "genimage": (
        "Midjourney/imagenet_midjourney/train/ai/0.png",
        "Midjourney/imagenet_midjourney/train/nature/1.JPEG",
        "Midjourney/imagenet_midjourney/val/nature/n01/2.JPEG",
        "imagenet_ai_0419_biggan/val/ai/3.png",
    ),
    "deepfeaturex": (
        "dm_generated/sd/0.png",
        "gan_generated/stylegan2/1.png",
        "gan_generated/biggan/2.png",
        "real/ffhq/3.png",
    ),
    "vmr": ("FFHQ/00000/0.png", "stylegan1/0.png", "stylegan2/psi-0.5/0.png"),
    "coco": (
        "train2017/000000248242.jpg",
        "coco/val/COCO_val2014_000000000139.jpg",
        "sd21/fake_image_248242.jpg",
        "sd21/256/000000000139_1.png",
        "dcgan/sample.png",
    ),
    "truefake": (
        "TrueFace_PreSocial/Real/FFHQ/00012.png",
        "TrueFace_PreSocial/Fake/StyleGAN1/images-psi-0.5/seed0034.png",
        "TrueFace_PostSocial/Facebook/0_Real/FFHQ/00012_FB.jpg",
        "TrueFace_PostSocial/Telegram/1_Fake/StyleGAN/images-psi-0.7/000034_TL.jpeg",
        "Test/X/Fake/FLUX.1/animals/7.jpg",
    ),
    "cifake": ("train/REAL/0 (2).jpg", "train/FAKE/0.jpg", "test/REAL/1.jpg", "test/FAKE/1.jpg"),
    "flat": ("images/part-000001/a.png", "images/part-000001/b.png", "images/part-000002/c.png"),
}
"""A small tree of each layout that is a tree of folders."""


def plant(root: Path, *paths: str) -> Path:
    """Tiny images, no two alike, at these paths below the root."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        seed = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8])
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    return root


def scanned(layout: str, root: Path, **parameters: Any) -> list[Found]:
    """What a layout finds below a root."""
    member = LAYOUTS[layout].load()
    return list(member.scan(member.Config(**parameters), root))


def said(found: list[Found]) -> dict[str, dict[str, Any]]:
    """What was said of each path, without what is blank and what a file's status tells."""
    assert len({image.path for image in found}) == len(found)
    assert all(image.offset == -1 and type(image.label) is int for image in found)
    unsaid = {"path", "bytes", "modified", "offset"}
    return {
        image.path: {key: value for key, value in image._asdict().items() if key not in unsaid and value != ""}
        for image in found
    }


@pytest.fixture
def tree(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The small tree of the layout that the test module is named for."""
    layout = request.module.__name__.rpartition("test_")[2]
    return plant(tmp_path / "images", *TREES[layout])


def config_of(layout: str, **parameters: Any) -> Config:
    """The parameters of a layout."""
    return LAYOUTS[layout].config(**parameters)
