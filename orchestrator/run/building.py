"""Detectors of which only their building tells whether they can be: from files of weights, or of other libraries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.tuned import awaits, base_parameters, with_parameters
from orchestrator.run.bench import class_count
from orchestrator.run.place import preprocess_of
from orchestrator.study.inputs import content_name, input_files
from orchestrator.study.model import Study
from orchestrator.study.spaces import OUTSIDE
from trainables.architecture import OnBackbone
from trainables.backbones.published import FILES
from trainables.clip import OnClip, check_weights
from trainables.contract import Config
from trainables.errors import InputError
from trainables.registry import find


def require_buildable(study: Study, cells: Iterable[Cell]) -> None:
    """Raise unless the detectors of these train cells can be built, each tried once, before anything is trained.

    Of torchvision's networks with random weights the plan has said so; they are passed over.

    Raises:
        InputError: a file of weights is not the network's, or lacks where nothing can be learnt without it; or the
            network has no such block or takes no squares of the size that it is given; the message names the detector
            and the file.
    """
    files = {content_name(path, key): path for each in study.detectors for key, path in input_files(each.config)}
    tried: list[tuple[object, ...]] = []
    for cell in filter(None, map(_ordinary, cells)):
        asked = (cell.method, cell.params.get("detector"), cell.params.get("image"), cell.params.get("classes"))
        if asked not in tried:
            tried.append(asked)
            _try(cell, files)


def _ordinary(cell: Cell) -> Cell | None:
    """A train cell, or what a tuning of one starts from; None of what waits for a tuning, and of other stages."""
    if cell.stage is Stage.TUNE and cell.params["stage"] == Stage.TRAIN:
        return with_parameters(cell, base_parameters(cell))
    return cell if cell.stage is Stage.TRAIN and not awaits(cell) else None


def _try(cell: Cell, files: Mapping[str, Path]) -> None:
    entry, given = find("detectors", cell.method), cell.params["detector"]
    assert isinstance(given, dict)
    found = {key: str(files[value]) for key, value in given.items() if isinstance(value, str) and value in files}
    config: Config = entry.config.model_validate({**given, **found})
    if OUTSIDE in entry.traits or not _only_building_tells(config):
        return
    from trainables.detector import build_detector

    try:
        if isinstance(config, OnClip):
            check_weights(config)
        side = preprocess_of(cell).size
        build_detector(cell.method, config, seed=0, classes=class_count(cell)).check_size(side, side)
    except InputError as error:
        raise error.at(": ".join(filter(None, (f"detector {cell.tags.detector}", error.where)))) from None


def _only_building_tells(config: Config) -> bool:
    return any(input_files(config)) or (isinstance(config, OnBackbone) and config.architecture not in FILES)
