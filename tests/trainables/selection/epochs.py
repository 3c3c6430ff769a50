"""Epochs for the tests of rules: a detector that tells images apart, one that is confused, one that has collapsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainables.selection.epoch import Answers, Epoch


def said(log_odds: ArrayLike, features: ArrayLike | None = None, known: Sequence[int] | None = None) -> Answers:
    """Answers as given; without features there are none."""
    odds = np.asarray(log_odds, np.float64)
    return Answers(
        log_odds=odds,
        features=np.asarray(np.empty((len(odds), 0)) if features is None else features, np.float32),
        known=None if known is None else np.asarray(known, np.int64),
    )


def unlabelled(answers: Answers) -> Answers:
    """As images of the target are handed to a rule."""
    return replace(answers, known=None)


def bare(answers: Answers) -> Answers:
    """Without features."""
    return replace(answers, features=answers.features[:, :0])


def told_apart(n: int, seed: int, shift: float = 0.0, width: int = 8) -> Answers:
    """Two heaps of features 5 apart, and log odds that follow them; every other image is fake."""
    rng = np.random.default_rng([seed, 1])
    known = np.arange(n) % 2
    features = rng.normal(size=(n, width))
    features[:, 0] += 5 * known - 2.5
    features[:, -1] += shift
    return said(3 * features[:, 0], features, known.tolist())


def confused(n: int, seed: int, shift: float = 0.0) -> Answers:
    """Features and log odds are noise around 0."""
    rng = np.random.default_rng([seed, 2])
    features = rng.normal(size=(n, 8))
    features[:, -1] += shift
    return said(0.2 * features[:, 0], features, (np.arange(n) % 2).tolist())


def collapsed(n: int, seed: int, shift: float = 0.0) -> Answers:
    """Features lie in one point, nearly, and every image is called real with certainty."""
    rng = np.random.default_rng([seed, 3])
    features = 1 + 0.01 * rng.normal(size=(n, 8))
    features[:, -1] += 0.01 * shift
    return said(-6 + features[:, 0], features, (np.arange(n) % 2).tolist())


def epoch_of(source: Answers, target: Answers, held_out: Answers) -> Epoch:
    """An epoch; the fakes of what is held out are the third generator's, all of it is the oracle's."""
    fakes = bare(held_out.take(np.flatnonzero(held_out.labels == 1)))
    return Epoch(source=source, target=unlabelled(target), third={"third": fakes}, oracle=bare(held_out))


def good(n: int = 60) -> Epoch:
    """Images of source, target and a third generator are told apart."""
    return epoch_of(told_apart(n, 0), told_apart(n, 1, shift=0.5), told_apart(n, 2, shift=1))


def confused_epoch(n: int = 60) -> Epoch:
    """Nothing is told apart, and the detector is sure of nothing."""
    return epoch_of(confused(n, 0), confused(n, 1, shift=0.5), confused(n, 2))


def collapsed_epoch(n: int = 60) -> Epoch:
    """Everything is called real."""
    return epoch_of(collapsed(n, 0), collapsed(n, 1, shift=0.5), collapsed(n, 2))


def shuffled(epoch: Epoch, seed: int) -> Epoch:
    """The images of every set in another order."""
    rng = np.random.default_rng(seed)

    def mixed(answers: Answers) -> Answers:
        order: NDArray[np.int64] = rng.permutation(len(answers))
        return answers.take(order)

    return Epoch(
        source=mixed(epoch.source),
        target=mixed(epoch.target),
        third={name: mixed(fakes) for name, fakes in epoch.third.items()},
        oracle=None if epoch.oracle is None else mixed(epoch.oracle),
    )
