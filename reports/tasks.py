"""Means over the tasks of a grid, and how far they would move on other pairs of generators and other trainings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.statistics import SEEDS_TO_RESAMPLE, Estimate, Floats, Resampler

TASK = ("source", "target", "seed")
"""What names a task of one detector: a pair of generators, and the seed of the trainings."""

EPOCHS, ALL = "epochs", "methods and epochs"
"""Among what a rule tells better from worse: the epochs of one training, or all checkpoints of one task."""


def over_tasks(values: pd.DataFrame, resampler: Resampler) -> dict[str, Estimate]:
    """The mean of each column over the tasks that have it, with draws of pairs of generators and of seeds.

    Each draw takes one resample of the pairs and one of the seeds (both crossed), the same for all columns, so that
    columns of differences are paired. Pairs, and seeds, of which there are fewer than ``SEEDS_TO_RESAMPLE`` are taken
    as they are; where that holds of both there is no interval. A draw in which nothing is known is left out.

    Args:
        values: (N, K), a row a task, indexed by ``TASK``; NaN where a column is not known.
    """
    table = _by_pair_and_seed(values)
    known = np.isfinite(table)
    pairs, seeds = _levels(values)
    of_pairs, of_seeds = _weights(pairs, resampler), _weights(seeds, resampler)
    sums, counts = (_drawn(part, of_pairs, of_seeds) for part in (np.where(known, table, 0.0), known.astype(float)))
    total, number = np.where(known, table, 0.0).sum(axis=(1, 2)), known.sum(axis=(1, 2))
    resampled = max(of_pairs.shape[1], of_seeds.shape[1]) > 1
    return {
        str(name): Estimate(
            float(total[k] / number[k]) if number[k] else float("nan"),
            sums[k][counts[k] > 0] / counts[k][counts[k] > 0] if resampled and number[k] else np.array([np.nan]),
        )
        for k, name in enumerate(values.columns)
    }


def _levels(values: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The names of the pairs and of the seeds, in one order whatever that of the rows."""
    places = [(f"{source} to {target}", f"seed {seed}") for source, target, seed in values.index]
    return sorted({pair for pair, _ in places}), sorted({seed for _, seed in places})


def _by_pair_and_seed(values: pd.DataFrame) -> Floats:
    """(K, P, S): the columns by pair and seed, NaN where there is no such task."""
    pairs, seeds = _levels(values)
    found = np.full((len(values.columns), len(pairs), len(seeds)), np.nan)
    for (source, target, seed), row in zip(values.index, values.to_numpy(dtype=np.float64), strict=True):
        found[:, pairs.index(f"{source} to {target}"), seeds.index(f"seed {seed}")] = row
    return found


def _weights(names: Sequence[str], resampler: Resampler) -> Floats:
    """(n, B): how often each is in each draw; (n, 1) of ones where they are too few to resample."""
    if len(names) < SEEDS_TO_RESAMPLE:
        return np.ones((len(names), 1))
    return resampler.counts(names).astype(np.float64)


def _drawn(values: Floats, of_pairs: Floats, of_seeds: Floats) -> Floats:
    """(K, B): sums of (K, P, S) values under the weights of every draw."""
    return np.asarray(np.einsum("kpb,pb->kb", values @ of_seeds, of_pairs))
