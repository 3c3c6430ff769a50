"""The small benchmark laid out as published data sets are: what people have on their disks."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

Build = Callable[[Path, Path], list[dict[str, Any]]]
"""Lays the benchmark at one folder out in another; the `data:` of a study that reads it."""

_PART = {"train": "train", "adapt": "train", "few": "train", "val": "val", "test": "test"}


def images(benchmark: Path) -> Iterator[Any]:
    """The rows of the benchmark's table, two generators of each family and all cameras."""
    yield from pd.read_csv(benchmark / "manifest.csv").itertuples(index=False)


def name(row: Any) -> str:
    """A file name that no other image has."""
    return f"{row.generator}-{Path(row.path).name}"


def link(benchmark: Path, path: str, to: Path) -> None:
    """The image under another name, without a copy."""
    to.parent.mkdir(parents=True, exist_ok=True)
    os.link(benchmark / path, to)


def _tree(place: Callable[[Any], str], **data: Any) -> Build:
    def build(benchmark: Path, root: Path) -> list[dict[str, Any]]:
        for row in images(benchmark):
            folder = place(row)
            if folder:
                link(benchmark, row.path, root / folder / name(row))
        return [{"root": str(root), **data}]

    return build


def _beside(row: Any) -> str:
    """Which generator's folder a photograph comes with."""
    return row.generator if row.label else {"compact": "tconv", "reflex": "bilinear"}.get(row.source, "")


def _forensynths(row: Any) -> str:
    return f"{_PART[row.split]}/{_beside(row)}/{'1_fake' if row.label else '0_real'}" if _beside(row) else ""


def _genimage(row: Any) -> str:
    part = "val" if row.split == "test" else "train"
    return f"{_beside(row)}/{part}/{'ai' if row.label else 'nature'}" if _beside(row) else ""


def _deepfeaturex(row: Any) -> str:
    return f"{row.family}_generated/{row.generator}" if row.label else f"real/{row.generator}"


def _guided(benchmark: Path, root: Path) -> list[dict[str, Any]]:
    data = _tree(_deepfeaturex)(benchmark, root)
    label = {"train": 0, "val": 0, "adapt": 1, "few": 1, "test": 2}
    rows = [
        {
            "label": label[row.split],
            "image_path": f"/elsewhere/datasets/{_deepfeaturex(row)}/{name(row)}",
            "model": row.generator,
        }
        for row in images(benchmark)
    ]
    pd.DataFrame(rows).to_csv(root / "guidance.csv", index=False)
    return [{**data[0], "divide": {"train": ["train", "val", "adapt"]}}]


def _truefake(benchmark: Path, root: Path) -> list[dict[str, Any]]:
    for row in images(benchmark):
        kind = "Fake" if row.label else "Real"
        link(benchmark, row.path, root / "PreSocial" / kind / row.generator / name(row))
        copy = root / "Facebook" / kind / row.generator / name(row)
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.open(benchmark / row.path).save(copy, "JPEG", quality=70)
    after = {name: f"{name}-facebook" for name in ("tconv", "nearest", "bilinear", "latent8")}
    before = {"root": str(root), "channels": ["presocial"]}
    return [before, {"root": str(root), "channels": ["facebook"], "rename": after}]


def _flat(benchmark: Path, root: Path) -> list[dict[str, Any]]:
    for row in images(benchmark):
        folder = row.generator if row.label else "photographs"
        link(benchmark, row.path, root / folder / f"part-{len(row.path) % 3:06d}" / name(row))
    fakes = [
        {"root": str(root / name), "layout": {"kind": "flat", "generator": name, "label": "fake"}}
        for name in ("tconv", "bilinear")
    ]
    reals = {"root": str(root / "photographs"), "layout": {"kind": "flat", "generator": "photographs", "label": "real"}}
    return [*fakes, reals]


def _manifest(benchmark: Path, root: Path) -> list[dict[str, Any]]:
    rows = []
    for position, row in enumerate(images(benchmark)):
        link(benchmark, row.path, root / "images" / f"{position} bild äö.jpg")
        said = {"label": "FAKE" if row.label else "REAL", "generator": row.generator, "group": row.group}
        rows.append({"path": f"images/{position} bild äö.jpg", **said})
    pd.DataFrame(rows).to_parquet(root / "manifest.parquet", index=False)
    return [{"root": str(root), "layout": {"kind": "manifest", "fake_is": "FAKE"}}]


def _webdataset(benchmark: Path, root: Path) -> list[dict[str, Any]]:
    root.mkdir(parents=True)
    for part in ("train", "test"):
        with tarfile.open(root / f"{part}-000000.tar", "w") as shard:
            for position, row in enumerate(images(benchmark)):
                if (row.split == "test") == (part == "test"):
                    about = json.dumps({"label": row.label, "generator": row.generator, "family": row.family})
                    _member(shard, f"{position:06d}.jpg", (benchmark / row.path).read_bytes())
                    _member(shard, f"{position:06d}.json", about.encode())
    return [{"root": str(root)}]


def _member(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    shard.addfile(about, io.BytesIO(content))


def _huggingface(benchmark: Path, root: Path) -> list[dict[str, Any]]:
    import datasets

    columns: Mapping[str, list[Any]] = {"image": [], "label": [], "generator": []}
    for row in images(benchmark):
        columns["image"].append({"bytes": (benchmark / row.path).read_bytes(), "path": None})
        columns["label"].append(row.label)
        columns["generator"].append(row.generator)
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["REAL", "FAKE"]), generator=datasets.Value("string")
    )
    datasets.Dataset.from_dict(dict(columns), features=features).save_to_disk(str(root))
    layout = {"kind": "huggingface", "fake_is": "FAKE", "generator": "generator"}
    return [{"root": str(root), "layout": layout}]


LAYOUTS: Mapping[str, Build] = {
    "generic": _tree(lambda row: f"{'fake' if row.label else 'real'}/{row.generator}"),
    "forensynths": _tree(_forensynths),
    "genimage": _tree(_genimage),
    "deepfeaturex": _guided,
    "vmr": _tree(lambda row: row.generator if row.label else "FFHQ", layout="vmr"),
    "coco": _tree(lambda row: row.generator if row.label else "val2017", layout="coco"),
    "truefake": _truefake,
    "cifake": _tree(lambda row: f"{'test' if row.split == 'test' else 'train'}/{'FAKE' if row.label else 'REAL'}"),
    "flat": _flat,
    "manifest": _manifest,
    "webdataset": _webdataset,
    "huggingface": _huggingface,
}
"""By the name of the layout."""
