"""A folder of images of one origin, such as DiffusionDB (Wang et al. 2022).

::

    diffusiondb/
        images/part-000001/3bfcd9cf.png         any folders, any depth
        images/part-000001/part-000001.json     optional: {"3bfcd9cf.png": {"p": "a prompt", …}, …}
        metadata.parquet                        optional, where there is no JSON: image_name, prompt

Images of one prompt are one group. DiffusionDB is recognised by the names of its folders, and is of the generator
``diffusiondb``, a diffusion model; of any other folder the study says what it is:
``layout: {kind: flat, generator: midjourney}``. The other class is in another folder of the study's list.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from trainables.contract import FAKE, REAL
from trainables.contract import Config as MemberConfig
from trainables.errors import InputError
from trainables.indexing.found import Found
from trainables.indexing.rows import column_names, read_rows
from trainables.indexing.tree import Place, scan_tree
from trainables.indexing.walk import glance

TABLE = "metadata.parquet"
_COLUMNS = ("image_name", "prompt")
_PART = re.compile(r"part-\d{6}")
_ABOVE_PARTS = re.compile(r"images|diffusiondb-large-part-\d")


class Config(MemberConfig):
    """What the images are.

    Attributes:
        generator: of fakes, or the name of this source of real images; may be left out for DiffusionDB alone.
        label: of all images.
        family: of the generator; if not given, ``dm`` for DiffusionDB, else ``real`` or ``fake`` by the label.
    """

    generator: str | None = Field(default=None, min_length=1)
    label: Literal["real", "fake"] = "fake"
    family: Literal["gan", "dm", "fake"] | None = None


def recognises(root: Path) -> bool:
    """Whether there are DiffusionDB's folders, and no others, or its table of prompts."""
    seen = list(glance(root, 2))
    parts = [folders for folders in seen if _PART.fullmatch(folders[-1])]
    others = [folders for folders in seen if not (_PART.fullmatch(folders[0]) or _ABOVE_PARTS.fullmatch(folders[0]))]
    return (bool(parts) and not others) or _has_prompts(root / TABLE)


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image, in the group of its prompt if that is known.

    Raises:
        InputError: as ``scan_tree``; the folder is not DiffusionDB's and no generator is named; prompts can't be read.
    """
    if config.generator is None and (config.label == "real" or not recognises(root)):
        fix = "say what its images are: `layout: {kind: flat, generator: <name>, label: fake}`"
        raise InputError("nothing here says what made these images", where=str(root), fix=fix)
    label = REAL if config.label == "real" else FAKE
    if config.generator is None:
        place = Place(label, "diffusiondb", family=config.family or "dm")
    else:
        place = Place(label, config.generator, family=config.family or "")
    prompts = _Prompts(root)
    yield from scan_tree(root, lambda _: place, tree="images at any depth", group_of=prompts.group)


class _Prompts:
    """Groups by prompt: from a folder's own JSON file, else from the table of all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._of_folder = lru_cache(maxsize=1)(self._read_folder)  # the walk goes folder by folder

    def group(self, folder: str, place: Place, name: str) -> str:
        del place
        return self._of_folder(folder).get(name) or self._of_all.get(name, "")

    def _read_folder(self, folder: str) -> Mapping[str, str]:
        file = self.root / folder / f"{folder.rpartition('/')[2]}.json"
        if not folder or not file.is_file():
            return {}
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            return {name: _group(about["p"]) for name, about in said.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            fix = 'it maps names to prompts: {"image.png": {"p": "a prompt"}}; mend or remove it'
            raise InputError("not a table of prompts", where=str(file), value=repr(error), fix=fix) from error

    @cached_property
    def _of_all(self) -> Mapping[str, str]:
        file = self.root / TABLE
        if not _has_prompts(file):
            return {}
        rows = read_rows(file, _COLUMNS)
        return {str(row["image_name"]): _group(str(row["prompt"] or "")) for _, row in rows}


def _group(prompt: str) -> str:
    """A short name for a prompt; case and spaces around it make no other prompt."""
    told = " ".join(prompt.lower().split())
    return f"prompt-{hashlib.sha256(told.encode()).hexdigest()[:16]}" if told else ""


def _has_prompts(file: Path) -> bool:
    """Whether a file is DiffusionDB's table, by its columns."""
    try:
        return file.is_file() and set(_COLUMNS) <= set(column_names(file))
    except InputError:
        return False
