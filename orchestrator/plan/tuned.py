"""Cells whose parameters a tuning chooses: what stands for them until it has, and the ordinary cells they then are."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.plan.cells import Cell, CellId, Json, Stage
from orchestrator.plan.graph import Plan, plan_of
from orchestrator.plan.validation import validation
from trainables.registry import find
from trainables.selection.rule import COLUMN

Parameters = Mapping[str, Json]
"""Of a detector or an adaptation, every default written out."""

_KEY = {Stage.TRAIN: "detector", Stage.ADAPT: "adaptation"}
"""Where the cells of a stage have the parameters of their member."""
CHOSEN_BY = "chosen_by"
"""What such a cell has in their place while it waits: the tuning's id."""


def tuning_of(cell: Cell, tuning: Json) -> Cell:
    """The tuning of an ordinary train or adapt cell, whose parameters are what the search starts from.

    Args:
        tuning: how it is searched, with the space; part of the id.
    """
    params: dict[str, Json] = {"stage": cell.stage.value, "of": dict(cell.params), "tuning": tuning}
    return replace(cell, stage=Stage.TUNE, params=params)


def awaiting(cell: Cell, tuning: Cell) -> Cell:
    """What stands in the plan for the cell until its parameters are chosen."""
    params: dict[str, Json] = {**cell.params, _KEY[cell.stage]: {CHOSEN_BY: tuning.id}}
    return replace(cell, params=params, needs=(*cell.needs, tuning.id))


def awaits(cell: Cell) -> bool:
    """Whether a cell that makes a model stands for one whose parameters are still to be chosen."""
    parameters = cell.params[_KEY[cell.stage]]
    return isinstance(parameters, dict) and parameters.keys() == {CHOSEN_BY}


def with_parameters(tuning: Cell, chosen: Parameters) -> Cell:
    """The ordinary cell with these parameters: a trial of the tuning, or what it has chosen.

    It equals the cell of a study that names the same parameters, so neither is ever run twice.
    """
    stage = Stage(str(tuning.params["stage"]))
    member = find(f"{_KEY[stage]}s", tuning.method).config
    revised = member.model_validate(chosen).revision - member.model_validate(base_parameters(tuning)).revision
    params = {**_base(tuning), _KEY[stage]: dict(chosen)}
    return replace(tuning, stage=stage, params=params, version=tuning.version + revised)


def trial_of(tuning: Cell, chosen: Parameters) -> tuple[Cell, ...]:
    """The cells of a trial with these parameters: the model, and where its epochs are watched what they are worth."""
    model = with_parameters(tuning, chosen)
    return (model, validation(model, [settings(tuning)["objective"]])) if model.params.get("watched") else (model,)


def settings(tuning: Cell) -> Mapping[str, Any]:
    """How it is searched: ``trials``, ``objective``, ``scheduler``, ``sampler`` and the ``space``, as plain JSON."""
    found = tuning.params["tuning"]
    assert isinstance(found, dict)
    return found


def judged_by(tuning: Cell) -> str:
    """The metric of a trial's last cell that is its value; larger is better."""
    if tuning.params["stage"] == Stage.TRAIN:
        return "source_val_accuracy"
    if not _base(tuning).get("watched"):  # an oracle: the target's held-out labels judge it as they chose its epoch
        return "target_val_accuracy"
    return str(settings(tuning)["objective"])


def followed_by(tuning: Cell) -> str:
    """The same in the rows that a trial reports, one an epoch."""
    figure = judged_by(tuning)
    return COLUMN["source_val"] if figure.endswith("val_accuracy") else COLUMN.get(figure, figure)


def base_parameters(tuning: Cell) -> Parameters:
    """The member's parameters that the search starts from."""
    base = _base(tuning)[_KEY[Stage(str(tuning.params["stage"]))]]
    assert isinstance(base, dict)
    return base


def _base(tuning: Cell) -> Mapping[str, Json]:
    """The parameters of the cell that is tuned, as it would be without."""
    of = tuning.params["of"]
    assert isinstance(of, dict)
    return of


def resolved(plan: Plan, chosen: Mapping[CellId, Parameters]) -> Plan:
    """The plan with every cell that waited for one of these tunings as the ordinary cell it is.

    What reads such a cell has another id than before, and so has what reads that; all else keeps its own. A tuning may
    itself wait for another: ``chosen`` has its parameters under the id that it has once the other is resolved. Where
    the study has an equal cell under another name, the tuned one stays apart and is run once more: its name would
    otherwise be lost.

    Args:
        chosen: parameters by the id of the tuning that chose them; of other plans too.
    """
    renamed: dict[CellId, CellId] = {}
    cells: dict[CellId, Cell] = {}
    known = dict(plan.cells)
    for cell in plan:
        now = _resolved(cell, renamed, ChainMap(cells, known), chosen)
        renamed[cell.id] = now.id
        cells.setdefault(now.id, now)
    return plan_of(plan.study, cells.values())


def _resolved(
    cell: Cell, renamed: Mapping[CellId, CellId], cells: Mapping[CellId, Cell], chosen: Mapping[CellId, Parameters]
) -> Cell:
    needs = tuple(renamed[parent] for parent in cell.needs)
    tuning = next((cells[parent] for parent in needs if cells[parent].stage is Stage.TUNE), None)
    if tuning is None:
        return cell if needs == cell.needs else replace(cell, needs=needs)
    if tuning.id in chosen:
        found = with_parameters(tuning, chosen[tuning.id])
        hidden = found.id in cells and cells[found.id].tags != found.tags
        return replace(found, params={**found.params, CHOSEN_BY: tuning.id}) if hidden else found
    return awaiting(with_parameters(tuning, base_parameters(tuning)), tuning)
