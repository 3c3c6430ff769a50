"""The cluster bootstrap of an AUROC: images that belong together are drawn together."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports.statistics import Estimate, Resampler, auroc


def clustered_auroc(frame: pd.DataFrame, resampler: Resampler) -> Estimate:
    """The AUROC of scores whose images come in groups: of one scene or person, or copies of each other.

    Whole groups are drawn with replacement (Field and Welsh, J. R. Stat. Soc. B 69, 2007), those with reals alone,
    with fakes alone and with both each for themselves, so no draw is without a class. An image counts as often as its
    group is drawn. With a group an image it is the bootstrap of images, stratified by class.

    Args:
        frame: columns ``label`` (1 = fake), ``score`` and ``group``.
        resampler: of the names of groups.
    """
    frame = frame.sort_values(["label", "score"], kind="stable")
    fake = frame["label"].to_numpy() == 1
    real_values, fake_values = (frame["score"].to_numpy(np.float64)[side] for side in (~fake, fake))
    once = np.ones((len(frame), 1), np.float32)
    drawn = _weights(frame, resampler)
    value, draws = (auroc(real_values, fake_values, _shared(w[~fake]), _shared(w[fake])) for w in (once, drawn))
    return Estimate(float(value[0]), draws)


def _weights(frame: pd.DataFrame, resampler: Resampler) -> NDArray[np.float32]:
    """(N, B): how often each image's group is in each draw."""
    classes = frame.groupby("group", sort=True)["label"].agg(["min", "max"])
    counts = np.empty((len(classes), resampler.draws), np.float32)
    for places in classes.reset_index().groupby(["min", "max"]).indices.values():
        counts[places] = resampler.counts(classes.index[places].tolist())
    return counts[classes.index.get_indexer(pd.Index(frame["group"]))]


def _shared(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each column scaled to sum to the number of images, whatever groups are in the draw."""
    return np.asarray(weights * (len(weights) / weights.sum(axis=0, dtype=np.float64)), np.float32)
