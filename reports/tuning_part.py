"""What the page says of tuning: put together from the store, drawn and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from reports.results import Results
from reports.tables import Table
from reports.tuning import IMPORTANCE, PARAMETER, TunedMethod, parameters_in, trial_frame, tuned_methods, tuning_frame
from reports.tuning_figures import history_figure, importance_figure, slices_figure
from reports.tuning_tables import budget_sentences, method_table, parameter_table


@dataclass(frozen=True, slots=True)
class TuningPart:
    """What the page says of tuning; nothing at all where no method is tuned.

    Attributes:
        frames: the tables beside the page, by the name of their file.
        sentences: whether the methods were tuned alike.
        methods, parameters: one row a method; one row a method and parameter.
        history, importance: figures as SVG; empty where there is nothing to show.
        slices: a figure a method, by its label.
    """

    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    sentences: Sequence[str] = ()
    methods: Table | None = None
    parameters: Table | None = None
    history: str = ""
    importance: str = ""
    slices: Mapping[str, str] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, str]:
        """Every figure by the name of its file."""
        drawn = {"tuning_history": self.history, "tuning_importance": self.importance}
        drawn |= {f"tuning_slices_{label.replace(': ', '_')}": svg for label, svg in self.slices.items()}
        return {name: svg for name, svg in drawn.items() if svg}


def tuning_part(results: Results) -> TuningPart:
    """Of a plan as far as it is done; the same store gives the same."""
    methods = tuned_methods(results)
    if not methods:
        return TuningPart()
    trials = trial_frame(results)
    tunings = tuning_frame(results, trials)
    return TuningPart(
        frames={"trials": trials, "tuning": tunings},
        sentences=budget_sentences(results, methods),
        methods=method_table(methods, tunings),
        parameters=parameter_table(methods, tunings),
        history=history_figure(methods, trials, results.sources) if len(trials) else "",
        importance=importance_figure(methods, tunings) if parameters_in(tunings, IMPORTANCE) else "",
        slices=_slices(methods, trials, results.sources),
    )


def _slices(methods: Sequence[TunedMethod], trials: pd.DataFrame, sources: Sequence[str]) -> dict[str, str]:
    searched = [method for method in methods if parameters_in(method.of(trials), PARAMETER)]
    return {method.label: slices_figure(method, trials, sources) for method in searched}
