"""TrueFace (Boato et al. 2022) and TrueFake (Dell'Anna et al. 2025): faces and scenes, as made and as shared.

::

    TrueFace/
        TrueFace_PreSocial/Real/FFHQ/00012.png
        TrueFace_PreSocial/Fake/StyleGAN2/conf-f-psi-1/seed0034.png
        TrueFace_PostSocial/Facebook/Real/FFHQ/00012_FB.jpg
        TrueFace_PostSocial/Facebook/Fake/StyleGAN2/conf-f-psi-1/000034_FB.jpg
    TrueFake/
        PreSocial/Fake/FLUX.1/animals/0001.png         also below Train, Val and Test: [<part>/]<channel>/{Real,Fake}/
        Telegram/Fake/FLUX.1/animals/0001.jpg          <generator>/…; case does not matter, 0_Real and 1_Fake are read

Channels are ``presocial``, ``facebook``, ``telegram``, ``twitter`` (also of a folder ``X``) and ``whatsapp``. The
copies of an image in several channels are one group, by class, generator and file name, without ``seed``, leading zeros
and the network's ending; so are images of one seed and several truncations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from trainables.contract import FAKE, REAL
from trainables.contract import Config as MemberConfig
from trainables.indexing.found import PARTS, Found
from trainables.indexing.tree import Place, family_of, scan_tree
from trainables.indexing.walk import glance

LABELS = {"real": REAL, "0_real": REAL, "fake": FAKE, "1_fake": FAKE}
CHANNELS = {
    "presocial": "presocial", "facebook": "facebook", "telegram": "telegram", "twitter": "twitter", "x": "twitter",
    "whatsapp": "whatsapp",
}  # fmt: skip
_SAYS_NOTHING = {"postsocial", "trueface", "truefake"}
_TREE = "[<part>/]<channel>/{Real,Fake}/<generator>/…"
_FAMILIES = (("gan", re.compile(r"stylegan\d?")), ("dm", re.compile(r"stablediffusion.*|flux.*")))
_ORIGINAL = re.compile(r"(?:seed)?0*([^_].*?)(?:_(?:FB|TL|TW|WA|X))?", re.IGNORECASE)


class Config(MemberConfig):
    """Nothing is left open: the folders say it all."""


def recognises(root: Path) -> bool:
    """Whether a class folder is below one that is named for a channel."""
    return any((place := _place(folders)) and place.channel for folders in glance(root, 5))


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image, with its channel.

    Raises:
        InputError: as ``scan_tree``.
    """
    del config
    yield from scan_tree(root, _place, tree=_TREE, group_of=_group)


def _place(folders: tuple[str, ...]) -> Place | None:
    words = [re.sub(r"^true(face|fake)_", "", name.lower()) for name in folders]
    at = next((i for i, word in enumerate(words) if word in LABELS), None)
    if at is None or at + 1 == len(folders):
        return None
    part = channel = ""
    for word in words[:at]:
        if word in PARTS and not part:
            part = word
        elif word in CHANNELS and not channel:
            channel = CHANNELS[word]
        elif word not in _SAYS_NOTHING:
            return None
    generator = re.sub(r"^StyleGAN1$", "StyleGAN", folders[at + 1])  # one of the sets has both names for it
    family = family_of(generator, _FAMILIES)
    return Place(LABELS[words[at]], generator, family=family, part=part, channel=channel)


def _group(folder: str, place: Place, name: str) -> str:
    del folder
    stem = PurePosixPath(name).stem
    original = _ORIGINAL.fullmatch(stem)
    return f"{'fake' if place.label else 'real'}/{place.generator}/{original[1] if original else stem}"
