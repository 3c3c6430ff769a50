"""The figure of the detectors without adaptation: what is left of each accuracy on generators it has not seen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.colours import method_colour
from reports.drawing import INK, figure_of


def detectors_figure(frame: pd.DataFrame) -> str:
    """A line a detector, the first at the top: in-dataset, mean across with its 95 % interval, and the worst pair."""
    places = range(len(frame))
    inside, across = method_colour(0), method_colour(1)
    with figure_of("detectors", 7.6, 0.95 + 0.3 * len(frame)) as (figure, done):
        axis = figure.subplots()
        axis.axvline(0.5, color=INK, linewidth=0.9, linestyle=":")
        ends = frame[["worst", "in_dataset_accuracy", "accuracy"]]
        axis.hlines(places, ends.min(axis=1), ends.max(axis=1), color=inside, linewidth=0.8, alpha=0.5)
        axis.plot(ends["worst"], places, "x", color=across, markersize=4.5, label="worst pair")
        axis.hlines(places, frame["accuracy_low"], frame["accuracy_high"], color=across, linewidth=2.4)
        axis.plot(ends["accuracy"], places, "D", color=across, markersize=5.5, label="across generators")
        axis.plot(ends["in_dataset_accuracy"], places, "o", color=inside, mfc="none", ms=6.5, label="in-dataset")
        axis.set_yticks(places, frame["detector"])
        axis.set_ylim(len(frame) - 0.5, -0.5)
        axis.set_xlim(np.nanmin([0.4, ends["worst"].min()]) - 0.03, 1.03)
        axis.set_xlabel("accuracy")
        axis.grid(axis="x")
        figure.legend(loc="outside upper right", frameon=False, ncols=3)
    return done()
