"""The shortcut baseline: how well a small classifier tells fakes from reals by their trivial facts alone.

A detector that does no better on a generator may have learnt no more than these facts. The figure is of one
generator against its reals, in the same data: a detector that is tested on a generator that it never saw can be worse
than the shortcut, and not rely on it at all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.auditing.trivial import CALLED, CATEGORIES
from trainables.contract import Config

FLAGGED = 0.6
"""An AUROC above this is a warning."""

FOLDS = 5
FEWEST = 20
"""Images of each class that a figure needs."""

LEADS = 3
_SEED = 0

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


class Lead(Config):
    """What one fact alone tells.

    Attributes:
        fact: its name in ``trivial.FACTS``.
        auroc: of this fact alone, at least .5 for a number (whichever class has more of it is called fake); of a
            category by its share of fakes in the other folds.
        words: what the classes look like: ``format: real JPEG 100 %, fake PNG 100 %``.
    """

    fact: str
    auroc: float
    words: str


class Shortcut(Config):
    """The shortcut baseline of one fake generator.

    Attributes:
        generator: the generator; against: the real sources.
        fakes, reals: images that were used.
        auroc: of the pooled out-of-fold scores; None where there is no figure.
        reason: why there is none.
        leads: every fact that counts, the one that tells most first.
    """

    generator: str
    against: tuple[str, ...]
    fakes: int
    reals: int
    auroc: float | None = None
    reason: str = ""
    leads: tuple[Lead, ...] = ()

    @property
    def flagged(self) -> bool:
        """Whether trivial facts tell this generator's fakes from reals."""
        return self.auroc is not None and self.auroc > FLAGGED


def why_not(labels: Labels, groups: pd.Series[str]) -> str:
    """Why these images give no figure; empty if they do.

    Args:
        labels: (N,) 1 = fake.
        groups: (N,) names; images with one name stay in one fold.
    """
    for label, name in ((0, "real"), (1, "fake")):
        count = int((labels == label).sum())
        if count < FEWEST:
            found = f"only {count} {name} image{'' if count == 1 else 's'}" if count else f"no {name} images"
            return f"{found}: at least {FEWEST} are needed"
        if (several := groups[labels == label].nunique()) < FOLDS:
            return f"too few groups of {name} images (scenes, persons): {several}, and at least {FOLDS} are needed"
    return ""


def out_of_fold(facts: pd.DataFrame, labels: Labels, folds: NDArray[np.int64]) -> Floats:
    """P(fake) of every image by a classifier that was fitted to the other folds, (N,).

    Boosted shallow trees (scikit-learn's ``HistGradientBoostingClassifier``), both classes weighted alike.

    Args:
        facts: from ``trivial_facts``.
        labels: (N,) 1 = fake.
        folds: (N,) from ``folds_of``.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    varied = facts.loc[:, facts.nunique(dropna=False) > 1]
    if varied.empty:
        return np.full(len(labels), 0.5)
    columns = [pd.factorize(varied[name])[0] if name in CATEGORIES else varied[name] for name in varied]
    matrix = np.column_stack([np.asarray(column, np.float64) for column in columns])
    scores = np.empty(len(labels))
    for train, test in _divided(folds):
        model = HistGradientBoostingClassifier(
            max_iter=60,
            max_depth=3,
            min_samples_leaf=5,
            l2_regularization=1.0,
            categorical_features=[name in CATEGORIES for name in varied],
            class_weight="balanced",
            early_stopping=False,
            random_state=_SEED,
        )
        scores[test] = model.fit(matrix[train], labels[train]).predict_proba(matrix[test])[:, 1]
    return scores


def folds_of(labels: Labels, groups: pd.Series[str]) -> NDArray[np.int64]:
    """The fold of every image, (N,) 0 to ``FOLDS`` - 1: both classes in each, no group in two."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = np.empty(len(labels), np.int64)
    divided = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=_SEED).split(labels, labels, groups)
    for fold, (_, test) in enumerate(divided):
        folds[test] = fold
    return folds


def leads(facts: pd.DataFrame, labels: Labels, folds: NDArray[np.int64]) -> tuple[Lead, ...]:
    """What each fact tells alone, the one that tells most first."""
    found = [
        Lead(fact=name, auroc=_auroc_alone(facts[name], labels, folds), words=_words(facts[name], labels))
        for name in map(str, facts)
    ]
    return tuple(sorted(found, key=lambda lead: -lead.auroc))


def auroc(labels: Labels, scores: Floats) -> float:
    """The chance that a fake scores above a real image."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def _divided(folds: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    for fold in range(FOLDS):
        yield folds != fold, folds == fold


def _auroc_alone(fact: pd.Series[float], labels: Labels, folds: NDArray[np.int64]) -> float:
    if fact.name in CATEGORIES:
        return auroc(labels, _share_of_fakes(fact, labels, folds))
    found = auroc(labels, np.asarray(fact.fillna(-1.0), np.float64))
    return max(found, 1 - found)


def _share_of_fakes(fact: pd.Series[float], labels: Labels, folds: NDArray[np.int64]) -> Floats:
    """(N,) of the images in the other folds that have the same category; .5 for one that only this fold has."""
    scores = np.empty(len(labels))
    weights = np.where(labels == 1, 1 / labels.sum(), 1 / (1 - labels).sum()).astype(np.float64)
    for train, test in _divided(folds):
        fake = pd.Series(weights * labels)[train].groupby(fact.to_numpy()[train]).sum()
        both = pd.Series(weights)[train].groupby(fact.to_numpy()[train]).sum()
        scores[test] = fact[test].map(fake / both).fillna(0.5)
    return scores


def _words(fact: pd.Series[float], labels: Labels) -> str:
    name = str(fact.name)
    real, fake = (_typical(fact[labels == label]) for label in (0, 1))
    return f"{CALLED.get(name, name)}: real {real}, fake {fake}"


def _typical(fact: pd.Series[float]) -> str:
    """The commonest category with its share, or the median."""
    if fact.name in CATEGORIES:
        shares = fact.value_counts(normalize=True)
        return f"{shares.index[0]} {100 * shares.iloc[0]:.0f} %"
    if fact.isna().mean() > 0.5:
        return "none"
    middle = fact.median()
    return f"{middle:.0f}" if abs(middle) >= 100 else f"{middle:.3g}"
