"""Studies on disk: read with every mistake explained, and written with every default filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from orchestrator.study.explain import explain
from orchestrator.study.model import Study, Tracking, Trials
from orchestrator.study.rooms import LayoutChoice
from orchestrator.study.source import read
from trainables.errors import InputError

SQLITE = "sqlite:///"

M = TypeVar("M", bound=BaseModel)


def load_study(path: str | Path) -> Study:
    """The study in a YAML file, its relative paths taken from the file's folder.

    Raises:
        InputError: the file cannot be read or is no valid study; one message lists every problem with its line, key
            path, the value found and a fix.
    """
    source = read(Path(path))
    if not isinstance(source.values, dict):
        raise InputError(
            "a study is a mapping of keys to values",
            where=str(path),
            value=source.values if isinstance(source.values, str | int | float) else None,
            fix="start from studies/demo.yaml",
        )
    try:
        study = Study.model_validate(source.values)
    except ValidationError as error:
        raise explain(error, source) from None
    return anchored(study, Path(path).parent)


def dump_study(study: Study) -> str:
    """The study as YAML, every default written out, passwords not; ``load_study`` of it gives an equal study."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def require_files(study: Study) -> None:
    """Raise unless the files that the study's members start from, such as weights, are there.

    Raises:
        InputError: one is not; the message names it.
    """
    for key in ("detectors", "adaptations", "corruptions", "attacks", "analyses"):
        for position, choice in enumerate(getattr(study, key)):
            for name, value in choice.config:
                if isinstance(value, Path) and not value.is_file():
                    where = f"{key}.{position}.{name}"
                    fix = choice.config.mend_missing(name)
                    raise InputError("there is no such file", where=where, value=str(value), fix=fix)


def anchored(model: M, folder: Path) -> M:
    """The same model with every relative path in it taken from ``folder``; but a layout's, from its data folder."""
    if isinstance(model, LayoutChoice):
        return model
    base = folder.resolve()
    changes = {name: _anchored(value, base) for name, value in model}
    if isinstance(model, Tracking | Trials):
        changes["uri"] = _database(model.uri, base)
    return model.model_copy(update=changes)


def _anchored(value: Any, base: Path) -> Any:
    if isinstance(value, Path):
        return (base / value.expanduser()).resolve()
    if isinstance(value, BaseModel):
        return anchored(value, base)
    if isinstance(value, tuple):
        return tuple(_anchored(item, base) for item in value)
    return value


def _database(uri: str | None, base: Path) -> str | None:
    """``sqlite:///mlflow.db`` names a file beside the study; ``sqlite:////abs/mlflow.db`` stays as it is."""
    if uri is None or not uri.startswith(SQLITE):
        return uri
    return f"{SQLITE}{(base / uri.removeprefix(SQLITE)).resolve()}"
