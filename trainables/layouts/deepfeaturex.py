"""DeepFeatureX Net (Pontorno et al. 2024): a folder a family, and in it a folder an architecture.

::

    datasets/
        dm_generated/stable_diffusion/0001.png    {dm_generated,gan_generated,real}/<architecture>/
        gan_generated/stylegan2/0002.png
        real/ffhq/0003.png
        guidance.csv                              optional, here or beside ``datasets``: label,image_path,model

The table fixes the parts: label 0 (base models) is ``train``, 1 (fusion) is ``fusion``, 2 is ``test``. Its paths are
those of the machine that wrote it; what follows their folder ``datasets`` is matched, or else their last three names.
Images that it does not list are of no part. Without the table a study can divide alike: ``splits: deepfeaturex``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from trainables.contract import FAKE, REAL
from trainables.contract import Config as MemberConfig
from trainables.errors import InputError
from trainables.indexing.found import Found
from trainables.indexing.rows import column_names, read_rows
from trainables.indexing.tree import Place, scan_tree

FAMILIES = {"dm_generated": (FAKE, "dm"), "gan_generated": (FAKE, "gan"), "real": (REAL, "real")}
TABLE = "guidance.csv"
_PARTS = {"0": "train", "1": "fusion", "2": "test"}
_TREE = "{dm_generated,gan_generated,real}/<architecture>/…"


class Config(MemberConfig):
    """How the published parts are used.

    Attributes:
        guidance: whether ``guidance.csv``, if there is one, fixes the parts.
    """

    guidance: bool = True


def recognises(root: Path) -> bool:
    """Whether there is a folder ``dm_generated`` or ``gan_generated``."""
    return any((root / name).is_dir() for name in FAMILIES if name != "real")


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image, with its family, and its part if the table lists it.

    Raises:
        InputError: as ``scan_tree`` and ``read_rows``; the table has other columns or labels, contradicts itself, or
            lists no image that is here.
    """
    file = next((file for file in (root / TABLE, root.absolute().parent / TABLE) if file.is_file()), None)
    parts = _parts(file) if file and config.guidance else {}
    listed = False
    for found in scan_tree(root, _place, tree=_TREE):
        part = parts.get(found.path, "")
        listed = listed or bool(part)
        yield found._replace(part=part)
    if parts and not listed:
        fix = f"its paths must end with {_TREE}; or say `layout: {{kind: deepfeaturex, guidance: false}}`"
        raise InputError("the table lists no image of this folder", where=str(file), value=next(iter(parts)), fix=fix)


def _place(folders: tuple[str, ...]) -> Place | None:
    if len(folders) < 2 or folders[0] not in FAMILIES:
        return None
    label, family = FAMILIES[folders[0]]
    return Place(label, folders[1], family=family)


def _parts(file: Path) -> Mapping[str, str]:
    """The part of each image, by its path below the folder of the three families."""
    parts: dict[str, str] = {}
    names = column_names(file)
    if not {"label", "image_path"} <= set(names):
        fix = "its columns are label,image_path,model"
        raise InputError("not a guidance table", where=str(file), value=names, fix=fix)
    for line, row in read_rows(file, ["label", "image_path"]):
        path, label = _here(str(row["image_path"])), str(row["label"])
        if label not in _PARTS:
            fix = "0 is for base models, 1 for their fusion, 2 for the test"
            raise InputError("unknown label", where=f"{file}: {line}", value=label, fix=fix)
        if parts.setdefault(path, _PARTS[label]) != _PARTS[label]:
            raise InputError("an image is listed with two labels", where=str(file), value=row["image_path"])
    return parts


def _here(path: str) -> str:
    """A path of another machine as it is below the data folder."""
    parts = path.replace("\\", "/").split("/")
    after = [at + 1 for at, name in enumerate(parts) if name == "datasets"]
    return "/".join(parts[after[-1] if after else -3 :])
