"""The audit of a data set: what could make a detector look good, or bad, for reasons that are not forensic."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.auditing.copies import Copies, find_copies
from trainables.auditing.polarity import Polarity, polarity
from trainables.auditing.shortcut import Shortcut, auroc, folds_of, leads, out_of_fold, why_not
from trainables.auditing.trivial import CATEGORIES, FACTS, counted, stored_facts, trivial_facts
from trainables.contract import Config, Images, Split
from trainables.data.manifest import Manifest
from trainables.data.preprocess import Preprocess
from trainables.data.reader import Reader
from trainables.data.splitting import OVERLAP
from trainables.writing import write_bytes, write_json

FINDINGS_FILE = "audit.json"

MOST = 2000
"""Images of a class that a shortcut baseline is fitted to, at most: those whose digests come first."""

_AT_ONCE = 16e6
"""Bytes of squares that are read at once; a single image may take more."""

LISTED = 200
"""Files that cannot be used that are listed, at most."""

SCORES = ("image", "label", "generator", "group", "against", "fold", "score")
"""Columns of ``Audit.scores``: the image's digest, 1 = fake, the image's own generator or source, the generator whose
shortcut baseline it is scored by, and the fold's P(fake); images of one group stay in one fold."""


class ClassFacts(Config):
    """What one generator's images, or one source's, are like as they are stored.

    Attributes:
        splits: images in each split; unusable: files that are left out.
        largest_group: images of the largest group, which stay in one split: of one scene, prompt or person by the
            layout's word, copies of each other, or connected through both.
        shares: of the categories of each fact that is a word.
        quartiles: first quartile, median and third of each fact that is a number, where it is known.
    """

    generator: str
    family: str
    label: int
    images: int
    unusable: int
    splits: Mapping[str, int]
    shares: Mapping[str, Mapping[str, float]]
    quartiles: Mapping[str, tuple[float, float, float]]
    largest_group: int = 0


class Unusable(Config):
    """A file that is left out, and why."""

    path: str
    generator: str
    why: str


class Findings(Config):
    """What an audit found; plain values, kept as JSON.

    Attributes:
        images: usable images.
        preprocessed: whether the shortcut baselines are of images as the study's ``preprocess`` makes them.
        counted: the facts that they are made from; dropped: those that the preprocessing makes equal.
        classes: one a generator, reals first.
        shortcuts: one a fake generator.
        unusable: files that are left out; left_out: the first of them; overlap: those whose copy is in another split.
    """

    images: int
    preprocessed: bool
    counted: tuple[str, ...]
    dropped: tuple[str, ...]
    classes: tuple[ClassFacts, ...]
    shortcuts: tuple[Shortcut, ...]
    copies: Copies
    polarity: Polarity
    unusable: int
    left_out: tuple[Unusable, ...]
    overlap: int = 0


@dataclass(frozen=True, eq=False)
class Audit:
    """An audit's findings, the scores behind its figures (columns ``SCORES``), and pictures, PNG files by name."""

    findings: Findings
    scores: pd.DataFrame
    pictures: Mapping[str, bytes]

    def save(self, folder: Path) -> list[str]:
        """Write ``FINDINGS_FILE`` and the pictures; returns their names."""
        write_json(folder / FINDINGS_FILE, self.findings.model_dump(mode="json"))
        for name, content in self.pictures.items():
            write_bytes(folder / name, content)
        return [FINDINGS_FILE, *self.pictures]

    @property
    def metrics(self) -> dict[str, float]:
        """The figures that a cell keeps: the shortcut AUROC of every generator that has one, and counts."""
        aurocs = {each.generator: each.auroc for each in self.findings.shortcuts if each.auroc is not None}
        return {
            **({"shortcut_auroc_max": max(aurocs.values())} if aurocs else {}),
            **{f"shortcut_auroc/{name}": value for name, value in zip(_plain(aurocs), aurocs.values(), strict=True)},
            "copies": float(self.findings.copies.files),
            "unusable": float(self.findings.unusable),
            "labels_inverted": float(self.findings.polarity.inverted),
        }


def audit(
    manifest: Manifest,
    against: Mapping[str, Sequence[str]] | None = None,
    *,
    preprocess: Preprocess | None = None,
    reader: Reader | None = None,
) -> Audit:
    """Audit the images of a manifest.

    Args:
        manifest: of a study, or of a folder.
        against: the real sources that each fake generator is measured against, and no other generator is looked at;
            all against all, if not given.
        preprocess, reader: of the study, for images as it makes them, and not those of single detectors; as they
            are stored, if not given.

    Raises:
        InputError: an image has changed since it was indexed, or is gone.
    """
    if against is None:
        reals, fakes = (sorted(set(manifest.usable.query("label == @k")["generator"])) for k in (0, 1))
        against = dict.fromkeys(fakes, reals)
    else:
        manifest = _of_these(manifest, {*against, *(name for reals in against.values() for name in reals)})
    chosen = {fake: _chosen(manifest, fake, reals) for fake, reals in against.items()}
    facts = _facts(pd.concat([*chosen.values(), manifest.usable.head(0)]), preprocess, reader)
    measured = [_shortcut(fake, tuple(reals), chosen[fake], facts) for fake, reals in against.items()]
    copies, pictures = find_copies(manifest)
    problems = manifest.problems
    findings = Findings(
        images=len(manifest.usable),
        preprocessed=preprocess is not None,
        counted=counted(preprocess),
        dropped=tuple(name for name in FACTS if name not in counted(preprocess)),
        classes=tuple(_classes(manifest)),
        shortcuts=tuple(shortcut for shortcut, _ in measured),
        copies=copies,
        polarity=polarity(manifest.usable),
        unusable=len(problems),
        overlap=int(problems["problem"].str.startswith(OVERLAP).sum()),
        left_out=tuple(
            Unusable(path=path, generator=generator, why=why)
            for path, generator, why in problems[["path", "generator", "problem"]].head(LISTED).itertuples(index=False)
        ),
    )
    tables = [scores for _, scores in measured if len(scores)]
    scores = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(SCORES))
    return Audit(findings, scores, pictures)


def _plain(names: Iterable[str]) -> list[str]:
    """Generators' names as parts of metrics': MLflow takes letters, digits and a few signs. No two are the same."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^\w.\- ]", "_", name)
        numbered = (f"{plain}_{k}" for k in count(2))
        found.append(plain if plain not in found else next(each for each in numbered if each not in found))
    return found


def _of_these(manifest: Manifest, generators: Collection[str]) -> Manifest:
    return replace(manifest, frame=manifest.frame[manifest.frame["generator"].isin(list(generators))])


def _chosen(manifest: Manifest, fake: str, reals: Sequence[str]) -> pd.DataFrame:
    """The usable rows that a shortcut baseline is fitted to; digests are hashes, so the first are a random choice."""
    rows = manifest.usable
    classes = [rows[rows["generator"].isin(names)].drop_duplicates("digest").head(MOST) for names in ([fake], reals)]
    return pd.concat(classes, ignore_index=True)


def _facts(rows: pd.DataFrame, preprocess: Preprocess | None, reader: Reader | None) -> pd.DataFrame:
    """The trivial facts of the chosen images, each read once, by digest."""
    rows = rows.drop_duplicates("digest").sort_values(["generator", "split", "digest"]).set_index("digest")
    squares = _squares(rows, reader) if reader else ()
    return trivial_facts(rows, preprocess, squares)


def _squares(rows: pd.DataFrame, reader: Reader) -> Iterator[NDArray[np.uint8]]:
    """Each image's squares, (views, size, size, 3), in the order of the rows."""
    for (generator, split), part in rows.groupby(["generator", "split"], sort=False):
        images = reader.images([str(generator)], Split(str(split)))
        places = {name.partition("/")[0]: place for place, name in enumerate(images.ids[:: images.views])}
        yield from _of_places(images, np.array([places[digest] for digest in part.index]))


def _of_places(images: Images, places: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    at_once = max(1, int(_AT_ONCE / (images.views * math.prod(images.pixels.shape[1:]))))
    for start in range(0, len(places), at_once):
        some = places[start : start + at_once]
        squares = images.pixels[(some[:, None] * images.views + np.arange(images.views)).ravel()]
        yield from squares.reshape(len(some), images.views, *squares.shape[1:])


def _shortcut(
    fake: str, reals: tuple[str, ...], rows: pd.DataFrame, known: pd.DataFrame
) -> tuple[Shortcut, pd.DataFrame]:
    """The shortcut baseline of a generator, and the scores it is the AUROC of."""
    labels = rows["label"].to_numpy(np.int64)
    found = Shortcut(generator=fake, against=reals, fakes=int(labels.sum()), reals=int((1 - labels).sum()))
    if reason := why_not(labels, rows["group"]):
        return found.model_copy(update={"reason": reason}), pd.DataFrame()
    facts = known.loc[rows["digest"]]
    folds = folds_of(labels, rows["group"])
    scores = out_of_fold(facts, labels, folds)
    table = rows[["label", "generator", "group"]].assign(image=rows["digest"], against=fake, fold=folds, score=scores)
    figures = {"auroc": auroc(labels, scores), "leads": leads(facts, labels, folds)}
    return found.model_copy(update=figures), table[list(SCORES)]


def _classes(manifest: Manifest) -> Iterator[ClassFacts]:
    rows = manifest.usable
    facts = stored_facts(rows)
    for row in manifest.summary().to_dict("records"):
        here = (rows["generator"] == row["generator"]) & (rows["label"] == row["label"])
        ours = facts[here]
        numbers = ours[[name for name in FACTS if name not in CATEGORIES]].quantile([0.25, 0.5, 0.75])
        yield ClassFacts(
            generator=row["generator"],
            family=row["family"],
            label=row["label"],
            images=len(ours),
            unusable=row["unusable"],
            splits={split.value: row[split.value] for split in Split},
            shares={name: ours[name].value_counts(normalize=True).to_dict() for name in CATEGORIES},
            quartiles={str(name): tuple(values) for name, values in numbers.items() if values.notna().all()},
            largest_group=int(rows.loc[here, "group"].value_counts().max()) if len(ours) else 0,
        )
