from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Write = Callable[..., Path]


def noise(seed: int, side: int = 32) -> Image.Image:
    """An image unlike any of another seed."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder of two sources and one generator, four PNG images each."""
    root = tmp_path / "images"
    for k, name in enumerate(["real/ffhq", "real/coco", "fake/stylegan"]):
        (root / name).mkdir(parents=True)
        for i in range(4):
            noise(10 * k + i).save(root / name / f"{i}.png")
    return root
