"""Whether the labels agree with the words in the images' folders: inverted labels train a perfect detector of reals."""

from __future__ import annotations

import re
from functools import lru_cache

import pandas as pd

from trainables.contract import Config

CLASSES = {0: frozenset({"real", "reals"}), 1: frozenset({"fake", "fakes"})}
"""A folder that is called so, and no more than this: ``0_real``, ``train_fake``; the deepest counts."""

WORDS = {
    0: frozenset({"real", "nature", "natural", "authentic", "genuine", "pristine"}),
    1: frozenset({"fake", "ai", "generated", "aigenerated", "synthetic", "deepfake", "deepfakes"}),
}
"""Words in a folder's name; they count where no folder is called so, the deepest first."""

NAMES = {
    0: frozenset({"ffhq", "coco", "celeba", "celebahq", "lsun", "imagenet", "openimages", "photos", "photographs"}),
    1: frozenset({"gan", "gans", "stylegan", "progan", "biggan", "cyclegan", "stargan", "gaugan", "diffusion", "ddpm"})
    | frozenset({"ldm", "sd", "sdxl", "adm", "glide", "dalle", "midjourney", "wukong", "vqdm", "flux"}),
}
"""Sources and generators, well known; they count where there are no such words, if all of them agree."""

_BESIDE = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"}) | frozenset(
    {"image", "images", "face", "faces", "data"}
)

EXAMPLES = 3


class PolarityOf(Config):
    """What the folders say of one generator's images.

    Attributes:
        generator: a fake generator or real source; label: 1 = fake, as declared.
        told: images whose folders say real or fake; against: those of them whose folders say the other class.
        examples: paths of some of these.
    """

    generator: str
    label: int
    told: int
    against: int
    examples: tuple[str, ...] = ()

    @property
    def inverted(self) -> bool:
        """Whether the folders say the other class of most of the images that they say anything of."""
        return 2 * self.against > self.told


class Polarity(Config):
    """What the folders say of all images, and of each generator's."""

    generators: tuple[PolarityOf, ...] = ()

    @property
    def told(self) -> int:
        return sum(each.told for each in self.generators)

    @property
    def against(self) -> int:
        return sum(each.against for each in self.generators)

    @property
    def inverted(self) -> bool:
        """Whether the labels look inverted as a whole."""
        return 2 * self.against > self.told


def polarity(rows: pd.DataFrame) -> Polarity:
    """What the folders of these images say of their labels.

    Args:
        rows: of a manifest.
    """
    said = rows["path"].map(said_class)
    told = rows.assign(said=said)[said.notna()]
    return Polarity(
        generators=tuple(
            _of(str(generator), int(str(label)), part)
            for (label, generator), part in told.groupby(["label", "generator"])
        )
    )


def said_class(path: str) -> int | None:
    """0 or 1 if the folders in a path say that an image is real or fake; None if they say nothing, or both."""
    return _of_folders(path.rpartition("/")[0])


@lru_cache(maxsize=65_536)
def _of_folders(folders: str) -> int | None:
    words = [_words(folder) for folder in folders.split("/")]
    called = [each - _BESIDE for each in words if len(each - _BESIDE) == 1]
    for known, looked_at in ((CLASSES, called), (WORDS, words)):
        for deepest in reversed(looked_at):
            if len(said := _classes(deepest, known)) == 1:
                return said.pop()
    names = _classes(frozenset[str]().union(*words), NAMES)
    return names.pop() if len(names) == 1 else None


def _classes(words: frozenset[str], known: dict[int, frozenset[str]]) -> set[int]:
    return {label for label, names in known.items() if words & names}


def _words(folder: str) -> frozenset[str]:
    """``0_real`` to real; ``StyleGAN2-ffhq`` to stylegan, ffhq."""
    return frozenset(re.findall(r"[a-z]+", folder.lower()))


def _of(generator: str, label: int, rows: pd.DataFrame) -> PolarityOf:
    against = rows[rows["said"] != label]
    return PolarityOf(
        generator=generator,
        label=label,
        told=len(rows),
        against=len(against),
        examples=tuple(against["path"].head(EXAMPLES)),
    )
