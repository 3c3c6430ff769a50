"""Manifests of small folders, written down without an index: what a reader is given, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from trainables.contract import Split
from trainables.data.manifest import Manifest, typed


def manifest_of(*roots: Path, split: Split = Split.TEST, **columns: Any) -> Manifest:
    """The images of ``real/<source>/`` and ``fake/<generator>/`` folders, all in one split.

    Args:
        columns: values for all rows, in place of what the files say.
    """
    rows = [
        {**_row(k, root, file, label), "split": split.value, **columns}
        for k, root in enumerate(roots)
        for label, kind in enumerate(("real", "fake"))
        for file in sorted(root.glob(f"{kind}/*/*"))
    ]
    frame = pd.DataFrame(rows)
    blank = ("family", "source", "partner", "channel", "part", "group", "perceptual", "chroma")
    zero = ("quality", "exif", "red", "green", "blue", "detail", "modified")
    return Manifest(roots, typed(frame.assign(**dict.fromkeys(blank, ""), **dict.fromkeys(zero, 0))))


def _row(folder: int, root: Path, file: Path, label: int) -> dict[str, Any]:
    data = file.read_bytes()
    with Image.open(file) as image:
        facts = {"width": image.width, "height": image.height, "mode": image.mode, "format": image.format}
        shown = image.convert("RGB").tobytes()
    return {
        "folder": folder,
        "path": str(file.relative_to(root)),
        "offset": -1,
        "label": label,
        "generator": file.parent.name,
        "digest": hashlib.sha256(data).hexdigest(),
        "pixels": hashlib.sha256(shown).hexdigest()[:32],
        "bytes": len(data),
        "note": "",
        "problem": "",
        **facts,
    }
