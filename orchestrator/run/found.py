"""What a tuning has found: its record, and the table of its trials."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.plan.cells import CellId
from orchestrator.plan.tuned import settings
from orchestrator.run.execute import record_of
from orchestrator.run.place import Place
from orchestrator.store.records import Failure, Record, Status
from orchestrator.store.tables import TRIALS, TRIALS_FILE, write_rows

if TYPE_CHECKING:
    from orchestrator.run.trials import Told, Trials


def record_of_search(trials: Trials, ended: Callable[[CellId], Record | None], place: Place) -> Record:
    """The record of a tuning whose trials have all been told; its table is written, and lies in its folder.

    Of equal trials the earliest is chosen. Where none is complete the tuning has failed, for the first one's reason.

    Args:
        ended: the record of a trial's model, if it has one.
    """
    tune, told = trials.tune, trials.told()
    made = {each.number: ended(each.cell) for each in told if each.cell}
    rows = [_row(each, made.get(each.number), sorted(settings(tune)["space"])) for each in told]
    write_rows(place.folder(tune.id) / TRIALS_FILE, rows, TRIALS)
    result: dict[str, Any] = {
        "files": (TRIALS_FILE,),
        "curves": tuple(_curve(told)),
        "seconds": sum(row["seconds"] for row in rows),
        "images": sum(record.images for record in made.values() if record),
        "started": min((each.started for each in told), default=time.time()),
    }
    counts = {state: float(sum(each.state == state for each in told)) for state in ("complete", "stopped", "failed")}
    complete = [each for each in told if each.state == "complete"]
    if not complete:
        return record_of(tune, place, Status.FAILED, metrics=counts, failure=_failure(told, made), **result)
    best = max(complete, key=lambda each: (each.value or 0.0, -each.number))
    importances = {f"importance/{name}": share for name, share in trials.importances().items()}
    metrics = {"best": best.value, "trial": float(best.number), **counts, **importances}
    record = record_of(tune, place, Status.DONE, metrics=metrics, chosen=best.chosen, **result)
    place.artifacts.leave(record)
    return record


def _row(told: Told, made: Record | None, names: list[str]) -> dict[str, Any]:
    return {
        "number": told.number,
        "state": told.state,
        "value": told.value,
        "epochs": len(made.curves) if made else told.epochs,
        "seconds": made.seconds if made else told.seconds,
        "started": made.started if made else told.started,
        "cell": told.cell or "",
        "reason": told.reason,
        **_parameters(told, names),
    }


def _curve(told: Iterable[Told]) -> Iterator[dict[str, float]]:
    """One row a trial: its value, and the best of those that are complete so far."""
    best: dict[str, float] = {}
    for each in told:
        value = {} if each.value is None else {"value": each.value}
        if each.state == "complete" and each.value is not None:
            best = {"best": max(each.value, best.get("best", each.value))}
        yield {"epoch": each.number + 1.0, **value, **best}


def _failure(told: Iterable[Told], made: Mapping[int, Record | None]) -> Failure:
    """Why the first trial that failed did; it stands for all of them."""
    first = next((each for each in told if each.state == "failed"), None)
    record = made.get(first.number) if first else None
    return Failure(
        kind="NoTrialError",
        message=f"no trial is complete; the first: {first.reason if first else 'stopped'}",
        traceback=record.failure.traceback if record and record.failure else "",
        retryable=bool(record and record.failure and record.failure.retryable),
    )


def _parameters(told: Told, names: list[str]) -> dict[str, str | None]:
    """As JSON, a column each; none where the trial failed before it was suggested."""
    tried = told.parameters
    return {f"parameter/{name}": json.dumps(tried[name]) if name in tried else None for name in names}
