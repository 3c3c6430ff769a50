"""Tunings as the page shows them: a row a method, a row a parameter, and whether all methods were tuned alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from orchestrator.store.records import Status
from reports.results import Results
from reports.selection import SOURCE_ONLY
from reports.tables import MISSING, Figure, Table, interval, number, signed
from reports.tuning import CHOSEN, IMPORTANCE, STATES, TunedMethod

_PLACES = 3


def method_table(methods: Sequence[TunedMethod], tunings: pd.DataFrame) -> Table:
    """What each method's tunings cost, and what they were worth on the objective."""
    rows = tuple(((method.label,), tuple(_method_figures(method, method.of(tunings)))) for method in methods)
    columns = ("tunings", "complete / stopped / failed", "budget", "objective", "best value", "gain of the choice")
    return Table(("method", *columns), rows)


def parameter_table(methods: Sequence[TunedMethod], tunings: pd.DataFrame) -> Table:
    """What was searched, what was chosen, and how much it mattered: a row a method and parameter."""
    rows = tuple(
        ((method.label, name), (Figure(searched(method, name)), *_parameter_figures(method, name, tunings)))
        for method in methods
        for name in method.space
    )
    return Table(("method", "parameter", "searched", "chosen", "importance"), rows, heads=2)


def searched(method: TunedMethod, parameter: str) -> str:
    """The values that a parameter could take: ``0.1 to 3, log``; ``64, 256, 1024``."""
    space = method.space[parameter]
    if choices := method.choices(parameter):
        return ", ".join(choices)
    return f"{space['low']:g} to {space['high']:g}" + (", log" if space.get("log") else "")


def budget_sentences(results: Results, methods: Sequence[TunedMethod]) -> list[str]:
    """Of each detector, whether every method that is compared had the same budget, and which had not."""
    found = []
    for detector in results.detectors:
        tuned = {method.adaptation: _a_tuning(method) for method in methods if method.detector == detector}
        if tuned:
            budgets = {name: tuned.get(name, "") for name in results.adaptations}
            found.append((f"{detector}: " if len(results.detectors) > 1 else "") + _budget_words(budgets))
    return found


def budget(method: TunedMethod) -> str:
    """What a tuning may cost: ``20 trials``, and what stops some of them early."""
    return _trials(method) if method.scheduler == "none" else f"{_trials(method)}, {method.scheduler}"


def _trials(method: TunedMethod) -> str:
    return "1 trial" if method.trials == 1 else f"{method.trials} trials"


def _a_tuning(method: TunedMethod) -> str:
    stops = "" if method.scheduler == "none" else f" with early stops by {method.scheduler}"
    return f"{_trials(method)} a tuning{stops}"


def _budget_words(budgets: Mapping[str, str]) -> str:
    """From the budget of each method that is compared, blank where it was not tuned."""
    shared = Counter(each for each in budgets.values() if each).most_common(1)[0][0]
    if set(budgets.values()) == {shared}:
        return f"Every compared method had the same budget, {shared}: {_all_of(budgets)}."
    groups: dict[str, list[str]] = {}
    for name, each in sorted(budgets.items(), key=lambda item: (item[1] != shared, not item[1])):
        groups.setdefault(each, []).append(name)
    told = (f"{each} for {_all_of(names)}" if each else _untuned(names) for each, names in groups.items())
    return f"The compared methods did not have the same budget: {'; '.join(told)}."


def _untuned(names: Sequence[str]) -> str:
    return f"{_all_of(names)} {'was' if len(names) == 1 else 'were'} not tuned"


def _all_of(names: Iterable[str]) -> str:
    told = [f"{name} (its detector)" if name == SOURCE_ONLY else name for name in names]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def _method_figures(method: TunedMethod, ours: pd.DataFrame) -> Iterator[Figure]:
    done = ours[ours["status"] == Status.DONE.value]
    yield Figure(str(len(ours)) if len(done) == len(ours) else f"{len(done)} of {len(ours)}")
    yield Figure(" / ".join(str(ours[state].sum()) for state in STATES))
    yield Figure(budget(method))
    yield Figure(method.objective)
    yield _mean(done["best"])
    over = Counter(done.loc[done["gain"].notna(), "reference"])
    told = ", ".join(f"over the {name}" + (f" ({count})" if len(over) > 1 else "") for name, count in over.items())
    gain = _mean(done["gain"], sign=True)
    yield Figure(gain.text, "; ".join(part for part in (gain.interval, told) if part))


def _parameter_figures(method: TunedMethod, name: str, tunings: pd.DataFrame) -> Iterator[Figure]:
    ours = method.of(tunings)
    chosen = _known(ours, CHOSEN + name)
    yield _counted(list(chosen)) if method.choices(name) else _range(list(chosen.astype(float)))
    yield _mean(_known(ours, IMPORTANCE + name), places=2)


def _known(frame: pd.DataFrame, column: str) -> pd.Series[Any]:
    return frame[column].dropna() if column in frame else pd.Series(dtype=object)


def _counted(chosen: Sequence[str]) -> Figure:
    counts = Counter(chosen).most_common()
    if len(counts) < 2:
        return Figure(counts[0][0] if counts else MISSING)
    return Figure(counts[0][0], ", ".join(f"{value} × {count}" for value, count in counts))


def _range(chosen: Sequence[float]) -> Figure:
    """The median of what was chosen, and its range over the tunings."""
    if not chosen:
        return Figure(MISSING)
    ends = f"{min(chosen):.3g} to {max(chosen):.3g}" if len(chosen) > 1 else ""
    return Figure(f"{pd.Series(chosen).median():.3g}", ends)


def _mean(values: pd.Series[Any], *, sign: bool = False, places: int = _PLACES) -> Figure:
    """The mean over tunings, and their range."""
    known = values.dropna()
    if known.empty:
        return Figure(number(math.nan))
    low, high = float(known.min()), float(known.max())
    mean = float(known.mean())
    text = signed(mean, places) if sign else number(mean, places)
    return Figure(text, interval(low, high, places, sign=sign) if len(known) > 1 else "")
