from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from trainables.indexing.decode import decode
from trainables.indexing.jpeg import quality

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))


def _jpeg(image: Image.Image = PHOTO, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("image", [PHOTO, PHOTO.convert("L")], ids=["colour", "grey"])
def test_every_quality_that_pillow_writes_is_found_exactly(image):
    found = [quality(decode(_jpeg(image, quality=q)).tables) for q in range(1, 101)]
    assert found == list(range(1, 101))


def test_tables_of_another_maker_have_the_nearest_quality():
    tables = decode(_jpeg(quality=80)).tables
    nudged = tuple(tuple(step + (k % 7 == 0) for k, step in enumerate(table)) for table in tables)
    assert quality(nudged) in (79, 80)
    assert quality(tuple((step,) * 64 for step in (1, 1))) == 100


def test_what_is_no_jpeg_has_no_quality():
    file = io.BytesIO()
    PHOTO.save(file, "PNG")
    found = decode(file.getvalue())
    assert (quality(found.tables), found.chroma) == (0, "")


@pytest.mark.parametrize("chroma", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_chroma_subsampling(chroma, progressive):
    assert decode(_jpeg(subsampling=chroma, progressive=progressive)).chroma == chroma


def test_grey_has_no_chroma_and_four_inks_have_another():
    assert decode(_jpeg(PHOTO.convert("L"))).chroma == ""
    assert decode(_jpeg(PHOTO.convert("CMYK"))).chroma == "other"
