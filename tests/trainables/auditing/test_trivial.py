"""Trivial facts: which of them reach a detector, and what they are."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import convolve

from trainables.auditing.trivial import CATEGORIES, FACTS, FILE, PIXELS, SIZE, counted, square_facts, trivial_facts
from trainables.data.preprocess import Grid, Preprocess, Random

ROWS = pd.DataFrame(
    {
        **{"format": ["JPEG", "PNG"], "mode": ["RGB", "RGBA"], "chroma": ["4:2:0", ""], "exif": [1, 0]},
        **{"quality": [90, 0], "bytes": [6144, 8192], "width": [128, 64], "height": [96, 64]},
        **{"red": [10.0, 20.0], "green": [30.0, 40.0], "blue": [50.0, 60.0], "detail": [7.0, 8.0]},
    },
    index=["a", "b"],
)
LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("preprocess", "facts"),
    [
        (None, (*FILE, *SIZE, *PIXELS)),
        (Preprocess(fit="crop"), (*FILE, *PIXELS)),
        (Preprocess(fit="resize"), (*FILE, *SIZE, *PIXELS)),
        (Preprocess(fit="resize_crop"), (*FILE, *SIZE, *PIXELS)),
        (Preprocess(fit="crop", reencode="jpeg96"), ("bytes_per_pixel", *PIXELS)),
        (Preprocess(fit="resize", reencode="webp80"), ("bytes_per_pixel", *SIZE, *PIXELS)),
        (Preprocess(patches=Random()), (*FILE, *PIXELS)),
        (Preprocess(patches=Grid(), fit="resize"), (*FILE, *SIZE, *PIXELS)),
    ],
)
def test_what_the_preprocessing_makes_equal_does_not_count(preprocess, facts):
    assert counted(preprocess) == facts


def test_facts_as_stored_are_those_of_the_manifest():
    facts = trivial_facts(ROWS)

    assert list(facts) == list(FACTS)
    assert list(facts.index) == ["a", "b"]
    assert facts.loc["a", [*CATEGORIES]].tolist() == ["JPEG", "RGB", "4:2:0", "yes"]
    assert facts.loc["b", [*CATEGORIES]].tolist() == ["PNG", "RGBA", "none", "no"]
    assert facts["bytes_per_pixel"].tolist() == [6144 / (128 * 96), 2.0]
    assert facts["aspect"].tolist() == [128 / 96, 1.0]
    assert facts["quality"].iloc[0] == 90
    assert np.isnan(facts["quality"].iloc[1])
    assert facts["detail"].tolist() == [7.0, 8.0]


def test_with_a_preprocessing_the_pixels_are_those_of_the_squares():
    squares = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)
    facts = trivial_facts(ROWS, Preprocess(size=16, fit="resize"), iter(squares))

    assert np.allclose(facts[["red", "green", "blue"]], squares.mean(axis=(1, 2, 3)))
    assert facts["width"].tolist() == [128, 64]
    assert facts["detail"].iloc[0] == pytest.approx(np.mean([laplacian(square) for square in squares[0]]), rel=1e-3)


def test_reencoded_squares_count_their_own_bytes():
    square = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(square[0]).save(file, "WEBP", quality=60)

    assert square_facts(square, "webp60")["bytes_per_pixel"] == len(file.getvalue()) / 32**2
    assert square_facts(np.concatenate([square, square]), "jpeg75") == square_facts(square, "jpeg75")
    assert square_facts(square, "jpeg95")["bytes_per_pixel"] > square_facts(square, "jpeg30")["bytes_per_pixel"]


def laplacian(square):
    """Root mean square of the Laplacian of the grey levels, as SciPy has it."""
    grey = np.asarray(Image.fromarray(square).convert("L"), dtype=np.float64)
    return np.sqrt(np.mean(convolve(grey, LAPLACE, mode="mirror") ** 2))
