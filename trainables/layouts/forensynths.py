"""ForenSynths (CNNDetection, Wang et al. 2020), and test sets laid out like it (UniversalFakeDetect, Ojha et al. 2023).

::

    ForenSynths/
        train/progan/airplane/0_real/0001.png    [train|val|test/]<generator>/[<category>/]{0_real,1_fake}/
        train/progan/airplane/1_fake/0002.png
        test/stylegan/car/1_fake/0003.png
        test/biggan/0_real/0004.png              a generator without categories

The reals that came with a generator are a source of their own, ``<generator>-real``. A folder with ``0_real`` but no
``1_fake`` at all (``imagenet/0_real``) is a source under its own name, for every generator. Categories are not kept.
A folder that has ``0_real`` and ``1_fake`` at once is read, too: its own name is the generator's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from trainables.contract import FAKE, REAL
from trainables.contract import Config as MemberConfig
from trainables.indexing.found import PARTS, Found
from trainables.indexing.tree import Place, family_of, scan_tree, with_own_reals
from trainables.indexing.walk import folder_names, glance

LABELS = {"0_real": REAL, "1_fake": FAKE}
_TREE = "<generator>/[<category>/]{0_real,1_fake}/…, under train, val or test, or not"
_FAMILIES = (
    ("gan", re.compile(r"(pro|cycle|star|gau|big)gan|stylegan\d?|whichfaceisreal")),
    ("dm", re.compile(r"guided|glide_\d+_\d+|ldm_\d+(_cfg)?")),
)
"""Of the generators in the published sets; CRN, IMLE, SAN, SITD and deepfakes are neither."""


class Config(MemberConfig):
    """Nothing is left open: the folders say it all."""


def recognises(root: Path) -> bool:
    """Whether ``0_real`` or ``1_fake`` is where it belongs."""
    return any(_read(folders) for folders in glance(root, 4))


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image; reals that came with fakes carry their generator as ``partner``.

    Raises:
        InputError: as ``scan_tree``.
    """
    del config
    has_fakes = cache(partial(_has_fakes, root))

    def place_of(folders: tuple[str, ...]) -> Place | None:
        read = _read(folders)
        if read is None:
            return None
        part, folder, label = read
        generator = folder or root.resolve().name
        if label == REAL and not has_fakes(folder):
            return Place(REAL, generator, part=part)
        family = family_of(generator, _FAMILIES)
        return with_own_reals(label, generator, part, family)

    yield from scan_tree(root, place_of, tree=_TREE)


def _read(folders: tuple[str, ...]) -> tuple[str, str, int] | None:
    """Part, the generator's folder (blank: the root) and label, if there is a class folder where it belongs."""
    at = next((i for i, name in enumerate(folders) if name in LABELS), None)
    if at is None:
        return None
    # Only the first folder can be a part: `train` is also one of ProGAN's categories.
    part = folders[0] if folders[0] in PARTS else ""
    names = folders[bool(part) : at]
    if len(names) > 2 or (part and not names):
        return None
    return part, names[0] if names else "", LABELS[folders[at]]


def _has_fakes(root: Path, generator: str) -> bool:
    """Whether a generator's folder, in any part, has a folder of fakes."""
    tops = [root / part / generator for part in ("", *PARTS)]
    return any(
        (top / "1_fake").is_dir() or any((top / name / "1_fake").is_dir() for name in folder_names(top)) for top in tops
    )
