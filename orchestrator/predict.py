"""P(fake) of any images, by a detector that a study has trained or adapted."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

import numpy as np

from orchestrator.plan.cells import CellId, Stage
from orchestrator.show import table
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Record, Status
from orchestrator.study.load import load_study
from trainables.errors import InputError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainables.data.preprocess import Preprocess

CARD = "model.json"
DEFAULT_STORAGE = Path("results")
THRESHOLD = 0.5
BATCH = 256

Form = Literal["table", "json", "csv"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the detector says of one file.

    Attributes:
        p_fake: in [0, 1]; None for a file that cannot be used.
        problem: why it cannot be used; empty otherwise.
        note: what was converted on reading it; empty if nothing was.
    """

    path: str
    p_fake: float | None
    problem: str = ""
    note: str = ""

    @property
    def usable(self) -> bool:
        """Whether the detector has seen the image."""
        return self.p_fake is not None

    @property
    def called(self) -> str:
        """``fake`` above .5, ``real`` up to it; empty for an unusable file."""
        return "" if self.p_fake is None else "fake" if self.p_fake > THRESHOLD else "real"


def find_model(cell: str, study: Path | None = None, storage: Path | None = None) -> Path:
    """The folder of a cell's detector.

    Args:
        cell: the cell's id or the beginning of it, its name, or the folder itself.
        study: a study's file, for its storage.
        storage: the storage; ``./results`` if neither is given.

    Raises:
        InputError: no cell or several are meant, or the cell or folder has no detector.
    """
    if (Path(cell) / CARD).is_file():
        return Path(cell)
    if cell and Path(cell).is_dir():
        fix = "name the folder of a cell that makes a detector, with its model.json and model.safetensors"
        raise InputError(f"this folder holds no detector: it has no {CARD}", where="CELL", value=cell, fix=fix)
    if study and storage:
        raise InputError("a study has its own storage", where="--study --storage", fix="leave one out")
    root = load_study(study).storage if study else storage or DEFAULT_STORAGE
    records = Ledger(root).records() if root.is_dir() else {}
    if not records:
        raise InputError("no results are stored here", where=str(root), fix="name it with --study or --storage")
    record = _the_one(cell, records)
    _refuse_without_model(record, records)
    return Artifacts(root).folder(record.cell)


def _the_one(cell: str, records: Mapping[CellId, Record]) -> Record:
    exact = [r for r in records.values() if cell in (r.cell, r.name)]
    found = exact or [r for r in records.values() if r.cell.startswith(cell)]
    if len(found) == 1:
        return found[0]
    if not found:
        names = [r.name for r in records.values() if Stage(r.stage).makes_model]
        raise InputError("no cell of this id or name is stored", where="CELL", value=cell, fix=nearest(cell, names))
    shown = "; ".join(f"{r.cell} ({r.name})" for r in found[:5])
    raise InputError(f"{len(found)} cells are meant", where="CELL", value=cell, fix=f"use one id: {shown}")


def _refuse_without_model(record: Record, records: Mapping[CellId, Record]) -> None:
    if not Stage(record.stage).makes_model:
        parent = records[record.needs[0]].name if record.needs and record.needs[0] in records else "its model's cell"
        fix = f"use {parent}"
        raise InputError(f"a cell of stage `{record.stage}` has no detector", where="CELL", value=record.name, fix=fix)
    if record.status is not Status.DONE:
        fix = "orchestrator status STUDY says why"
        raise InputError(f"this cell is {record.status.value}", where="CELL", value=record.name, fix=fix)


def predict_paths(model: Path, paths: Sequence[Path]) -> list[Prediction]:
    """P(fake) of files and of the images in folders, through the preprocessing that the detector was trained with.

    Args:
        model: folder of the detector.
        paths: an unusable file is part of the result, with the reason.

    Raises:
        InputError: the folder holds no detector, or one that says no number of an image.
    """
    import torch

    from trainables.checkpoint import load_detector
    from trainables.data.preprocess import Preprocess
    from trainables.score import counted, score

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    detector, card = load_detector(model, device=device)
    image = Preprocess.model_validate(card["image"])
    predictions: list[Prediction] = []
    files = iter(_files(paths))
    while batch := list(islice(files, max(1, BATCH // image.views))):
        read = [_read(file, image) for file in batch]
        squares = [found for found, _, _ in read if found is not None]
        of_squares = score(detector, np.concatenate(squares), device=device) if squares else np.empty(0, np.float32)
        if not np.isfinite(of_squares).all():
            fix = "use another cell; one that is trained anew may need a smaller `learning_rate`"
            raise InputError("the detector's P(fake) is not finite", where=str(model), fix=fix)
        scores = iter(counted(of_squares, image.views, image.top).mean(axis=1))
        for file, (found, problem, note) in zip(batch, read, strict=True):
            p_fake = None if found is None else float(next(scores))
            predictions.append(Prediction(str(file), p_fake, problem, note))
    return predictions


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files among the paths and those of image type in the folders, hidden ones left out."""
    from trainables.indexing.walk import IMAGE_TYPES

    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if not any(part.startswith(".") for part in p.relative_to(path).parts))
            yield from sorted(p for p in inside if p.suffix.lower() in IMAGE_TYPES and p.is_file())
        else:
            yield path


def _read(file: Path, image: Preprocess) -> tuple[NDArray[np.uint8] | None, str, str]:
    """The squares of a file, why there are none, and what was converted."""
    from trainables.indexing.decode import UnusableImageError, decode

    try:
        data = file.read_bytes()
        decoded = decode(data)
        return image(decoded.image, hashlib.sha256(data).hexdigest()), "", decoded.note
    except UnusableImageError as error:
        return None, str(error), ""
    except InputError as error:
        return None, error.problem, ""
    except OSError as error:
        return None, error.strerror or str(error), ""


def write(predictions: Sequence[Prediction], stream: TextIO, form: Form) -> None:
    """Write predictions as an aligned table, a JSON list or CSV, in the order of the files."""
    rows = [{**asdict(prediction), "called": prediction.called} for prediction in predictions]
    if form == "json":
        stream.write(json.dumps(rows, indent=2) + "\n")
    elif form == "csv":
        writer = csv.DictWriter(stream, ["path", "p_fake", "called", "problem", "note"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        stream.write(_table(predictions) + "\n")


def _table(predictions: Sequence[Prediction]) -> str:
    seen = [(f"{p.p_fake:.4f}", p.called, p.path) for p in predictions if p.p_fake is not None]
    unusable = [(p.path, p.problem) for p in predictions if not p.usable]
    blocks = [table([("P(fake)", "called", "file"), *seen])] if seen else []
    if unusable:
        blocks.append(table([("unusable", "why"), *unusable]))
    return "\n\n".join(blocks) or "no image was found"
