"""What a table or an archive says of an image, in words that mean one thing: its label, its generator and the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from trainables.contract import FAKE, REAL, Config, Split
from trainables.errors import InputError, nearest
from trainables.indexing.found import PARTS, Found

FAMILIES = ("real", "gan", "dm", "fake")
"""What a column ``family`` may say; blank: ``real`` or ``fake``, by the label."""

NAMES = ("real", "fake")
"""What images are called, by label, where nothing names their generator."""

_BLANK = frozenset({"", "nan", "none", "null", "na", "n/a", "<na>"})
_TRUTH = {"true": "1", "false": "0"}
_OTHER_BIT = {"0": "1", "1": "0"}
_MEANS_REAL = frozenset({"real", "0_real", "nature", "authentic", "genuine", "pristine"})
_MEANS_FAKE = frozenset({"fake", "1_fake", "ai", "generated", "synthetic"})
_PUBLISHED: Mapping[str, str] = {
    **{part: part for part in PARTS},
    **{"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"},
}
_PARTS: Mapping[str, str] = {**{split.value: split.value for split in Split}, **_PUBLISHED}


class Labelled(Config):
    """What the labels of a table or an archive mean: case, and whether ``1`` is a number or a word, do not matter.

    Attributes:
        fake_is: the label of a fake: ``1``, ``0``, or a word such as ``FAKE``.
        real_is: the label of a real image. If not given: 0 where ``fake_is`` is 1, 1 where it is 0, and else the one
            other label there is.
    """

    fake_is: int | str = 1
    real_is: int | str | None = None


class Polarity:
    """Turns labels as they are written into 0 real, 1 fake, and refuses a third one.

    Raises:
        InputError: one label is to mean both, a blank one is to mean something, or ``real`` is to mean fake.
    """

    def __init__(self, labelled: Labelled) -> None:
        fake, real = labelled.fake_is, labelled.real_is
        self._fake = plain(fake)
        self._real = _OTHER_BIT.get(self._fake, "") if real is None else plain(real)
        self._guessed: object = None
        self._fakes = False
        if not self._fake or self._real == self._fake or (real is not None and not self._real):
            raise InputError("not two labels", value=f"fake_is: {fake}, real_is: {real}", fix="name both labels")
        self._refuse_inverted()

    def label(self, written: object) -> int:
        """0 or 1.

        Raises:
            InputError: the label is blank, or neither of the two.
        """
        word = plain(written)
        if word == self._fake:
            self._fakes = True
            return FAKE
        if word == self._real and word:
            return REAL
        if not word:
            raise InputError("the label is blank", value=written, fix="label the image, or remove it")
        if self._real:
            problem = f"the label is neither {self._fake!r} (fake) nor {self._real!r} (real)"
            raise InputError(problem, value=written, fix="correct it, or say in `layout` what labels mean: fake_is")
        self._real, self._guessed = word, written
        self._refuse_inverted()
        return REAL

    def finish(self) -> None:
        """To be called after the last label.

        Raises:
            InputError: the only label there is was taken for that of real images, because ``fake_is`` never came up.
        """
        if self._guessed is not None and not self._fakes:
            problem = f"no label is {self._fake!r}, which is to mean fake"
            fix = f"correct fake_is; or, if all images are real, add `real_is: {self._guessed}`"
            raise InputError(problem, value=self._guessed, fix=fix)

    def _refuse_inverted(self) -> None:
        if self._fake in _MEANS_REAL or self._real in _MEANS_FAKE:
            found = f"{self._fake!r} is to mean fake, {self._real or 'the other label'!r} real"
            raise InputError("the labels are inverted", value=found, fix="set fake_is to the label of fakes")


def plain(written: object) -> str:
    """A label as it is compared: ``FAKE`` is fake; 1, 1.0, "1" and true are 1; nothing, NaN and ``null`` are blank."""
    word = str(written).strip().casefold()
    if word in _BLANK:
        return ""
    if word.endswith(".0") and word[:-2].lstrip("-").isdigit():
        return word[:-2]
    return _TRUTH.get(word, word)


def part_of(name: str) -> str:
    """The part that a split's name means: ``validation`` is val; blank if it means none."""
    return _PARTS.get(name.strip().casefold(), "")


def published_part_of(name: str) -> str:
    """The part that a file's or folder's name means: as ``part_of``, but no split of ours.

    Who calls a shard ``few-000.tar`` need know nothing of our splits; who writes ``few`` as an image's split does.
    """
    return _PUBLISHED.get(name.strip().casefold(), "")


def labelled_image(
    path: str,
    label: int,
    told: Mapping[Any, object],
    *,
    size: int,
    modified: int,
    offset: int = -1,
    part: str = "",
) -> Found:
    """The image that a row of a table, or a sample of an archive, is about.

    Args:
        path, label, modified, offset: of ``Found``; size: its ``bytes``.
        told: ``generator``, ``family``, ``source``, ``split``, ``group`` and ``channel``, each if known.
        part: where ``told`` says no split.

    Raises:
        InputError: a family or split of no known name, a family that contradicts the label, a value that is no word.
    """
    split = word(told, "split")
    return Found(
        path=path,
        label=label,
        generator=word(told, "generator") or NAMES[label],
        bytes=size,
        modified=modified,
        offset=offset,
        family=_family(word(told, "family"), label),
        source=word(told, "source"),
        part=_part(split) if split else part,
        group=word(told, "group"),
        channel=word(told, "channel"),
    )


def word(told: Mapping[Any, object], name: str) -> str:
    """What is said under this name, as text without blanks around it; blank where nothing is."""
    value = told.get(name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str | int | float):
        raise InputError(f"`{name}` is no single word or number", value=value)
    # JSON can hold half of a surrogate pair, which no table can be written with.
    text = str(value).strip()
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@lru_cache
def _part(split: str) -> str:
    if part := part_of(split):
        return part
    raise InputError("unknown split", value=split, fix=nearest(split, _PARTS))


@lru_cache
def _family(family: str, label: int) -> str:
    if not family:
        return ""
    name = family.casefold()
    if name not in FAMILIES:
        raise InputError("unknown family", value=family, fix=nearest(name, FAMILIES))
    if (name == "real") != (label == REAL):
        problem = f"a {NAMES[label]} image of family {name!r}"
        raise InputError(problem, value=family, fix="correct the family; or is fake_is the wrong way round?")
    return name
