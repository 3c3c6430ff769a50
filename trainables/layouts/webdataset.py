"""WebDataset shards: ``.tar`` archives in which the members of a sample share a name up to its first dot.

::

    train-000000.tar        or   train/000000.tar
        0001.jpg                     0001.png
        0001.json                    0001.cls

The label is what ``.cls`` says, or else the JSON's ``label``, or else ``.txt``. The JSON may also say ``generator``,
``family``, ``source``, ``split``, ``group`` and ``channel``; images of no generator are called ``real`` and ``fake``.
The part is what the JSON says as ``split``, or else the nearest folder called train, val or test, or else a shard's
name that begins so. Archives are read where they lie, single images by their offset; so they must not be compressed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from trainables.errors import InputError
from trainables.indexing.found import PARTS, Found
from trainables.indexing.labelling import Labelled, Polarity, labelled_image, published_part_of
from trainables.indexing.tar import Archive, Member, members
from trainables.indexing.walk import is_image, walk

LARGEST_NOTE = 2**24
"""Bytes that a ``.json``, ``.cls`` or ``.txt`` member may have."""

_NAME = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_COMPRESSED = re.compile(r".*\.(tar\.(gz|bz2|xz|zst|lz4|z)|tgz|tbz2?|txz)", re.IGNORECASE)
_LOOKED_AT = 64

Sample = Mapping[str, Member]
"""The members of one sample, by what follows the first dot of their names, in lower case."""


class Config(Labelled):
    """Which members and keys are meant.

    Attributes:
        label, generator: keys of the samples' JSON.
        image: ending of the member that is the image, where samples have several: ``jpg``, ``input.png``.
    """

    label: str = "label"
    generator: str = "generator"
    image: str | None = None


def recognises(root: Path) -> bool:
    """Whether a shard in the folder, or in ``train/``, ``val/``, ``test/`` of it, begins with labelled images."""
    folders = [root, *(root / part for part in PARTS)]
    shard = next((shard for folder in folders for shard in sorted(folder.glob("*.tar"))), None)
    if shard is None or not shard.is_file():
        return False
    try:
        first = [_by_ending(found) for _, found in _samples(islice(members(shard), _LOOKED_AT))]
    except InputError:
        return False
    return any(_images(sample) and sample.keys() & {"cls", "json", "txt"} for sample in first)


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image of every shard, at any depth, in their order; samples without an image are passed over.

    Raises:
        InputError: no shards; one is compressed, damaged or cut short; a sample has no label, several images or a
            note that is not understood; members of a sample do not follow each other.
    """
    polarity, number = Polarity(config), 0
    for shard in _shards(root):
        for found in _read_shard(config, root, shard, polarity):
            number += 1
            yield found
    if not number:
        raise InputError("there are no images in .tar archives here", where=str(root), fix="correct the folder")
    try:
        polarity.finish()
    except InputError as error:
        raise error.at(str(root)) from None


def _shards(root: Path) -> Iterator[Path]:
    """Archives at any depth, in an order that depends on names only."""
    for folder in walk(root):
        if folder.same_as is not None:
            continue
        for file in sorted((root / folder.path).iterdir()):
            if _COMPRESSED.fullmatch(file.name):
                fix = "decompress it: single images cannot be read from a compressed archive"
                raise InputError("a compressed archive", where=str(file), fix=fix)
            if file.suffix == ".tar" and not file.name.startswith("."):
                _refuse_unreadable(file)
                yield file


def _refuse_unreadable(shard: Path) -> None:
    if not shard.is_file():
        raise InputError("a shard is no file", where=str(shard), fix="a link to a file that is gone? remove it")
    try:
        shard.name.encode()
    except UnicodeEncodeError:
        name = os.fsencode(shard.name)
        raise InputError("a name that is not UTF-8", where=str(shard.parent), value=name, fix="rename it") from None


def _read_shard(config: Config, root: Path, shard: Path, polarity: Polarity) -> Iterator[Found]:
    place = shard.relative_to(root)
    modified, part, seen = shard.stat().st_mtime_ns, _part(place), set()
    notes = Archive(shard)
    for key, parts in _samples(members(shard)):
        try:
            sample = _by_ending(parts)
            if key in seen:
                fix = "members of a sample follow each other: write shards with webdataset, or `tar --sort=name`"
                raise InputError("a sample comes twice, or in pieces", value=key, fix=fix)
            seen.add(key)
            if image := _image(config, sample):
                label, told = _told(config, sample, notes, polarity)
                path = f"{place.as_posix()}/{image.name}"
                yield labelled_image(
                    path, label, told, size=image.size, modified=modified, offset=image.offset, part=part
                )
        except InputError as error:
            raise error.at(f"{shard}: {key}") from None


def _samples(archive: Iterator[Member]) -> Iterator[tuple[str, list[tuple[str, Member]]]]:
    """Members that follow each other and share a name up to its first dot; names without one are passed over."""
    named = ((match, member) for member in archive if (match := _NAME.fullmatch(member.name)))
    for key, group in groupby(named, key=lambda pair: pair[0][1]):
        yield key, [(match[2].lower(), member) for match, member in group]


def _by_ending(found: list[tuple[str, Member]]) -> Sample:
    sample = dict(found)
    if len(sample) < len(found):
        raise InputError("a member comes twice", value=[member.name for _, member in found], fix="keep one")
    return sample


def _images(sample: Sample) -> list[str]:
    return [ending for ending in sample if is_image(f"_.{ending}")]


def _image(config: Config, sample: Sample) -> Member | None:
    if config.image is not None:
        return sample.get(config.image.lower().lstrip("."))
    endings = _images(sample)
    if len(endings) > 1:
        fix = "say which is meant: `image`; a sample's name ends at its first dot"
        raise InputError("several images in one sample", value=endings, fix=fix)
    return sample[endings[0]] if endings else None


def _told(config: Config, sample: Sample, notes: Archive, polarity: Polarity) -> tuple[int, Mapping[str, object]]:
    """The label, and what else the sample's JSON says."""
    told = _json(notes, sample["json"]) if "json" in sample else {}
    if "cls" in sample:
        written: object = _text(notes, sample["cls"])
    elif config.label in told:
        written = told[config.label]
    elif "txt" in sample:
        written = _text(notes, sample["txt"])
    else:
        fix = f"add a member .cls, or `{config.label}` to the JSON"
        raise InputError("a sample has no label", value=[*sample, *told], fix=fix)
    return polarity.label(written), told | {"generator": told.get(config.generator)}


def _json(notes: Archive, member: Member) -> dict[str, Any]:
    try:
        told = json.loads(_text(notes, member))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError("a member is no JSON", value=f"{member.name}: {error}") from None
    if not isinstance(told, dict):
        raise InputError("the JSON of a sample is no object", value=str(told)[:200], fix='write {"label": …}')
    return told


def _text(notes: Archive, member: Member) -> str:
    if member.size > LARGEST_NOTE:
        raise InputError("a note of a sample is too large", value=f"{member.name}: {member.size} bytes")
    try:
        return notes.read(member.offset, member.size).decode()
    except UnicodeDecodeError as error:
        raise InputError("a member is not UTF-8", value=f"{member.name}: {error}") from None


def _part(place: Path) -> str:
    """``val/0.tar``, ``val-000000.tar`` and ``a/validation_3.tar`` are of part val."""
    folders = [part for name in place.parts[:-1] if (part := published_part_of(name))]
    if folders:
        return folders[-1]
    word = re.match(r"[A-Za-z]+", place.name)
    return published_part_of(word[0]) if word else ""
