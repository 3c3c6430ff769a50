import io
import struct
import zlib

import numpy as np
import pytest
from PIL import EpsImagePlugin, ExifTags, Image

from trainables.indexing.decode import LARGEST, UnusableImageError, decode

RGB = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def _file(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def _png(width: int, height: int, bits: int, colour: int, rows: bytes, transparent: bytes = b"") -> bytes:
    """A PNG file written by hand, for what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    before = chunk(b"tRNS", transparent) if transparent else b""
    content = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def test_8_bit_rgb_is_taken_as_it_is():
    decoded = decode(_file(Image.fromarray(RGB)))
    np.testing.assert_array_equal(np.asarray(decoded.image), RGB)
    assert (decoded.mode, decoded.format, decoded.note) == ("RGB", "PNG", "")


def test_grey_is_the_same_level_in_every_channel():
    decoded = decode(_file(Image.fromarray(RGB[..., 0])))
    np.testing.assert_array_equal(np.asarray(decoded.image), np.repeat(RGB[..., :1], 3, axis=2))
    assert decoded.note == "grey to RGB"


def test_16_bit_grey_is_scaled_and_rounded():
    levels = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    decoded = decode(_file(Image.fromarray(levels)))
    assert np.asarray(decoded.image)[0, :, 0].tolist() == [round(int(v) / 257) for v in levels[0]]
    assert decoded.note == "16-bit grey to 8-bit RGB"


def test_16_bit_colour_says_so():
    row = b"\0" + struct.pack(">6H", 0x1200, 0x3400, 0x5600, 0xFF00, 0, 0x8000)
    decoded = decode(_png(2, 1, 16, 2, row))
    assert np.asarray(decoded.image).tolist() == [[[0x12, 0x34, 0x56], [0xFF, 0, 0x80]]]
    assert decoded.note == "16 bits a channel to 8"


@pytest.mark.parametrize(
    ("colour", "levels", "transparent", "note"),
    [
        (0, [0, 257, 32768, 65535], [32768], "16-bit grey to 8-bit RGB"),
        (2, [0x1200, 0x3400, 0x5600, 0xFF00, 0, 0x8000], [0x12, 0x34, 0x56], "16 bits a channel to 8"),
    ],
)
def test_a_transparent_colour_of_16_bits_changes_nothing(colour, levels, transparent, note):
    row = b"\0" + struct.pack(f">{len(levels)}H", *levels)
    width = len(levels) // (3 if colour else 1)
    key = struct.pack(f">{len(transparent)}H", *transparent)
    decoded = decode(_png(width, 1, 16, colour, row, key))
    np.testing.assert_array_equal(np.asarray(decoded.image), np.asarray(decode(_png(width, 1, 16, colour, row)).image))
    assert decoded.note == f"transparent colour ignored; {note}"


def test_opaque_alpha_is_dropped_and_the_colours_kept():
    decoded = decode(_file(Image.fromarray(np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)]))))
    np.testing.assert_array_equal(np.asarray(decoded.image), RGB)
    assert decoded.note == "opaque alpha dropped"


def test_transparent_pixels_are_laid_over_white_never_black():
    layered = np.dstack([np.zeros_like(RGB), np.zeros(RGB.shape[:2], np.uint8)])
    layered[0, 0] = 0, 0, 0, 128
    decoded = decode(_file(Image.fromarray(layered)))
    pixels = np.asarray(decoded.image)
    assert pixels[0, 0, 0] == pytest.approx(127, abs=1)
    assert (pixels[1:] == 255).all()
    assert decoded.note == "alpha laid over white"


def test_palette_with_a_transparent_colour():
    palette = Image.fromarray(RGB).quantize(4)
    assert decode(_file(palette)).note == "palette to RGB"
    assert decode(_file(palette, transparency=0)).note == "alpha laid over white"


def test_cmyk_has_the_colours_of_its_inks():
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    decoded = decode(_file(inks, "JPEG", quality=100))
    assert np.asarray(decoded.image)[0, 0].tolist() == pytest.approx([255, 0, 0], abs=6)
    assert decoded.note == "CMYK to RGB without a colour profile"


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation(format_):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = _file(frames[0], format_, save_all=True, append_images=frames[1:])
    decoded = decode(data)
    assert np.asarray(decoded.image)[0, 0].tolist() == pytest.approx([255, 0, 0], abs=8)
    assert decoded.note.startswith("first of 3 frames")


def test_an_orientation_tag_turns_nothing():
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode(_file(Image.fromarray(RGB), exif=exif))
    np.testing.assert_array_equal(np.asarray(decoded.image), RGB)
    assert decoded.note == "orientation tag ignored"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_an_orientation_tag_turns_no_tiff_either(orientation, compression):
    pixels = np.random.default_rng(1).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    tags = {ExifTags.Base.Orientation: orientation}
    decoded = decode(_file(Image.fromarray(pixels), "TIFF", tiffinfo=tags, compression=compression))
    np.testing.assert_array_equal(np.asarray(decoded.image), pixels)
    assert decoded.note == ("orientation tag ignored" if orientation > 1 else "")


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_counts_in_every_format_that_has_it(format_):
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ISOSpeedRatings: 100}
    assert decode(_file(Image.fromarray(RGB), format_, exif=exif.tobytes())).exif
    assert not decode(_file(Image.fromarray(RGB), format_)).exif


def test_a_page_of_postscript_is_no_image_and_starts_nothing(tmp_path, monkeypatch):
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {started}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    with pytest.raises(UnusableImageError, match="not an image"):
        decode(_file(Image.fromarray(RGB), "EPS"))
    assert not started.exists()


@pytest.mark.parametrize("format_", ["PCX", "DDS", "ICO", "TGA", "PPM", "JPEG2000"])
def test_other_formats_are_not_read_under_any_name(format_):
    with pytest.raises(UnusableImageError, match="not an image"):
        decode(_file(Image.fromarray(RGB), format_))


def test_a_jpeg_of_several_pictures_is_its_first():
    decoded = decode(_file(Image.fromarray(RGB), "MPO", save_all=True, append_images=[Image.new("RGB", (16, 12))]))
    assert (decoded.format, decoded.note) == ("MPO", "first of 2 frames")


def test_a_progressive_jpeg_cut_anywhere_is_refused():
    data = _file(Image.fromarray(RGB).resize((64, 64)), "JPEG", progressive=True)
    for length in (1, 20, len(data) // 3, len(data) // 2, len(data) - 40):
        with pytest.raises(UnusableImageError):
            decode(data[:length])


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_every_format_is_read_whole_and_refused_cut_short(format_):
    data = _file(Image.fromarray(RGB).resize((48, 48)), format_)
    assert decode(data).image.size == (48, 48)
    with pytest.raises(UnusableImageError):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"a text file that somebody called .png", "not an image"),
        (_png(8, 8, 8, 2, b"\0\1\2"), "damaged or cut short"),
        (_png(LARGEST, 1, 8, 0, b""), "damaged or cut short|bomb"),
        (_png(LARGEST, 2, 8, 0, b""), "bomb"),
        (_png(60_000, 60_000, 8, 0, b""), "bomb"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_usable_image_is_refused_with_the_reason(data, why):
    with pytest.raises(UnusableImageError, match=why):
        decode(data)


def test_32_bit_floats_have_no_stated_range():
    with pytest.raises(UnusableImageError, match="mode F"):
        decode(_file(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"))
