"""From the bytes of an image file to 8-bit RGB: the one rule, for every image that is ever read.

================================  =====================================================================
what is in the file               what becomes of it
================================  =====================================================================
8-bit RGB                         taken as it is
grey, 1 bit, palette              the same colours in RGB
16 bits a channel                 scaled to 8, rounded (grey) or by the codec (colour)
alpha                             dropped where opaque everywhere; else laid over white, as a page shows it
one transparent colour            as alpha; of 16 bits a channel: ignored
CMYK, YCbCr, HSV                  converted without a colour profile
several frames                    the first
an orientation tag                ignored: turning an image moves the grids that detectors look for
32 bits a channel, L*a*b*         refused: their range or white point is not known
================================  =====================================================================

Colour profiles are not applied. Every row but the first leaves a note.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from trainables.indexing.jpeg import Tables, chroma_of, tables_of

READER_VERSION = 2
"""Raised when the rule, or ``Preprocess``, gives other pixels: part of every image set's digest, so of every id."""

LARGEST = 89_478_485
"""Pixels an image may have, Pillow's own limit; a file that claims more is not decoded."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""Formats that are read, whatever a file is called: those of ``IMAGE_TYPES``, and AVIF, which web sites serve under
other names. Not all that Pillow knows: for an EPS file it would start Ghostscript, and an icon holds several images."""

_TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes the turn that an orientation tag asks for."""

_AS_THEY_ARE = {"1": "1 bit", "L": "grey", "P": "palette"}
_WITH_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
_OTHER_SPACES = {"CMYK", "YCbCr", "HSV"}


class UnusableImageError(ValueError):
    """These bytes are no image that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image and what was found in its file.

    Attributes:
        image: 8-bit RGB.
        mode: of the file, as Pillow names it.
        format: of the file: ``JPEG``, ``PNG``…
        note: what was converted; empty if nothing was.
        exif: whether the file carries EXIF tags.
        tables, chroma: of JPEG, its quantisation tables and chroma subsampling; see ``trainables.indexing.jpeg``.
    """

    image: Image.Image = field(repr=False)
    mode: str
    format: str
    note: str
    exif: bool = False
    tables: Tables = field(default=(), repr=False)
    chroma: str = ""


def decode(data: bytes) -> Decoded:
    """The image in a file's bytes, by the rule above.

    Raises:
        UnusableImageError: empty, cut short, not an image, too large, or of a kind that is refused.
    """
    if not data:
        raise UnusableImageError("the file is empty (0 bytes)")
    with _pillow_errors(), Image.open(io.BytesIO(data), formats=FORMATS) as file:
        if file.width * file.height > LARGEST:
            raise UnusableImageError(f"{file.width}x{file.height} pixels: too large, perhaps a decompression bomb")
        mode, format_ = file.mode, file.format or ""
        # Before the notes: reading the tags of a PNG file loads it, and then this is no longer known.
        deep = ";16" in _raw_mode(file)
        tags = file.getexif()
        notes, orientation = [*_container_notes(file)], tags.get(ExifTags.Base.Orientation)
        of_tiff = ExifTags.IFD.Exif in tags
        file.load()
        exif = bool(file.info.get("exif")) or "Raw profile type exif" in file.info or of_tiff
        # Pillow would look for it among the 8-bit colours.
        notes += ["transparent colour ignored"] if deep and file.info.pop("transparency", None) is not None else []
        rgb, note = _to_rgb(file)
        if format_ == "TIFF" and orientation in _TURNED_BACK:  # of all formats, Pillow turns this one on loading
            rgb = rgb.transpose(_TURNED_BACK[orientation])
        tables, chroma = tables_of(file), chroma_of(file)
    notes += [note] if note else []
    notes += ["16 bits a channel to 8"] if deep and not mode.startswith("I") else []
    note = "; ".join(notes)
    return Decoded(image=rgb, mode=mode, format=format_, note=note, exif=exif, tables=tables, chroma=chroma)


@contextmanager
def _pillow_errors() -> Iterator[None]:
    """Whatever Pillow raises on a bad file becomes ``UnusableImageError``: its plug-ins raise many types."""
    try:
        yield
    except UnusableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnusableImageError("not an image") from error
    except Image.DecompressionBombError as error:
        raise UnusableImageError("too large, perhaps a decompression bomb") from error
    except MemoryError:
        raise
    except Exception as error:
        raise UnusableImageError(f"damaged or cut short: {error}") from error


def _container_notes(file: Image.Image) -> Iterator[str]:
    frames = getattr(file, "n_frames", 1)
    if frames > 1:
        yield f"first of {frames} frames"
    if file.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        yield "orientation tag ignored"


def _raw_mode(file: Image.Image) -> str:
    """How the codec reads the pixels, `RGB;16B` for 16-bit colour, which Pillow itself opens as RGB."""
    tiles = getattr(file, "tile", None)
    return str(tiles[0][3]) if tiles else ""


def _to_rgb(file: Image.Image) -> tuple[Image.Image, str]:
    """The loaded image in RGB, and a note of what was done; the order of the tests matters."""
    mode = file.mode
    if mode in _WITH_ALPHA or "transparency" in file.info:
        return _without_alpha(file)
    if mode == "RGB":
        return file, ""
    if mode in _AS_THEY_ARE:
        return file.convert("RGB"), f"{_AS_THEY_ARE[mode]} to RGB"
    if mode in _OTHER_SPACES:
        return file.convert("RGB"), f"{mode} to RGB without a colour profile"
    if mode.startswith("I;16") or (mode == "I" and file.format == "PNG"):
        return _from_16_bits(file), "16-bit grey to 8-bit RGB"
    raise UnusableImageError(f"pixels of mode {mode} have no stated range in RGB")


def _without_alpha(file: Image.Image) -> tuple[Image.Image, str]:
    layered = file.convert("RGBA")
    low, _ = layered.getchannel("A").getextrema()
    if low == 255:
        return layered.convert("RGB"), "opaque alpha dropped"
    page = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(page, layered).convert("RGB"), "alpha laid over white"


def _from_16_bits(file: Image.Image) -> Image.Image:
    levels = np.asarray(file).astype(np.float64) / 257
    return Image.fromarray(np.round(levels).astype(np.uint8)).convert("RGB")
