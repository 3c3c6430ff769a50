"""Small images on which a detector learns in seconds: fakes carry a faint periodic pattern."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.trainables import tiny_clip
from trainables.context import LocalContext
from trainables.contract import Config, Images
from trainables.detector import Detector, build_detector
from trainables.recipe import Recipe
from trainables.registry import find

QUICK = Recipe(epochs=2, batch=16, learning_rate=2e-3)


def toy_images(count: int, seed: int, *, period: int = 2, size: int = 32, amplitude: float = 10) -> Images:
    """``count`` images, half of them fake: smooth blobs and noise, fakes with a grid of this period in pixels."""
    rng = np.random.default_rng([seed, 7])
    labels = np.arange(count, dtype=np.int64) % 2
    blobs = rng.uniform(60, 190, (count, size // 8, size // 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    rows, columns = np.indices((size, size))
    grid = amplitude * np.sign(np.cos(2 * np.pi * (rows + columns) / period) + 1e-9)
    scene = blobs + rng.normal(0, 4, blobs.shape) + labels[:, None, None, None] * grid[None, :, :, None]
    return Images(
        pixels=scene.round().clip(0, 255).astype(np.uint8),
        labels=labels,
        ids=[f"{seed:03d}-{period}-{i:04d}" for i in range(count)],
        generators=[f"grid{period}" if label else "camera" for label in labels],
    )


def toy_detector(kind: str = "residual_cnn", seed: int = 0, classes: int = 2, **parameters: object) -> Detector:
    """A fresh detector with the parameters of ``toy_config``."""
    return build_detector(kind, toy_config(kind, **parameters), seed=seed, classes=classes)


def toy_config(kind: str, **parameters: object) -> Config:
    """Default parameters of a detector, but for those given and those that make a test slow or leave it to chance.

    A detector on CLIP is on a tiny one, CNNDetection is on a small ResNet, and nothing is dropped at random.
    """
    others: dict[str, dict[str, object]] = {"rine": {"dropout": 0}, "cnndetection": {"architecture": "resnet18"}}
    small = tiny_clip.parameters() if kind.startswith("clip_") else others.get(kind, {})
    return find("detectors", kind).config(**{**small, **parameters})


def context(folder: Path, seed: int = 0) -> LocalContext:
    """A context of its own, in a folder that holds no state."""
    return LocalContext(folder=folder, seed=seed)
