"""What is kept of a model: safetensors and JSON, written atomically, never unpickled.

A detector is ``model.safetensors`` and ``model.json`` (its card) in one folder. The state of an unfinished fit is
one safetensors file whose header carries everything that is not a tensor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from trainables.contract import Config, Precision
from trainables.data.preprocess import Preprocess
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.registry import find
from trainables.writing import write_bytes

WEIGHTS, CARD = "model.safetensors", "model.json"

Tree = Any
"""Tensors, numbers, strings, None, and lists, tuples and dicts of them."""


class Card(Config):
    """What a detector's folder says about it.

    Attributes:
        kind: registry name of the detector.
        config: its parameters, defaults written out.
        classes: logits; class 0 is real.
        image: how an image is made into the pixels it was trained on.
        data: digest of the images it was trained on.
        cell: id of the cell that made it.
        tags: where that cell stands in its grid, in words.
        precision: that its body computes in.
        weights: SHA-256 of the file of weights.
        format: version of this layout.
    """

    kind: str
    config: Mapping[str, Any]
    classes: int = Field(ge=2)
    image: Preprocess
    data: str | None = None
    cell: str | None = None
    tags: Mapping[str, Any] = Field(default_factory=dict)
    precision: Precision = "fp32"
    weights: str
    format: Literal[1] = 1


def save_detector(folder: Path, detector: Detector, card: Mapping[str, Any]) -> None:
    """Write a detector and its card.

    Args:
        folder: made if it is not there.
        detector: in whatever mode and on whatever device.
        card: ``kind``, ``config`` and ``image``; ``data``, ``cell`` and ``tags`` where known. The rest of
            ``Card`` is filled in.
    """
    weights = save({name: _plain(tensor) for name, tensor in detector.state_dict().items()})
    made = {"classes": detector.classes, "precision": detector.precision}
    written = Card(**{**made, **card, "weights": hashlib.sha256(weights).hexdigest()})
    write_bytes(folder / WEIGHTS, weights)
    write_bytes(folder / CARD, (written.model_dump_json(indent=2) + "\n").encode())


def load_detector(folder: Path, *, device: str = "cpu") -> tuple[Detector, dict[str, Any]]:
    """The detector of a folder, in evaluation mode, and its card.

    Raises:
        InputError: the folder holds no detector, one of another format or of an unknown kind, or weights that are
            not the card's.
    """
    card = _read_card(folder / CARD)
    weights = _read_weights(folder / WEIGHTS, card.weights)
    detector = _rebuild(card, where=str(folder / CARD))
    try:
        detector.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"the weights do not fit a {card.kind}: {error}", where=str(folder / WEIGHTS)) from error
    detector.precision = card.precision
    return detector.to(device).eval(), card.model_dump(mode="json")


def _read_card(path: Path) -> Card:
    try:
        return Card.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError("no detector was saved here", where=str(path.parent)) from error
    except ValidationError as error:
        raise InputError(f"not a detector's card: {_first(error)}", where=str(path)) from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    return f"`{key}`: {first['msg']}" if key else first["msg"]  # no key where it is no JSON at all


def _read_weights(path: Path, expected: str) -> dict[str, Tensor]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError("the detector's weights are missing", where=str(path)) from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise InputError("these are not the weights that the detector's card describes", where=str(path))
    try:
        return load(content)
    except SafetensorError as error:
        raise InputError(f"not a file of weights ({error})", where=str(path)) from error


def _rebuild(card: Card, where: str) -> Detector:
    try:
        entry = find("detectors", card.kind)
        if "outside" in entry.traits:
            fix = "use the detector of a cell that trains or adapts one"
            raise InputError("there is nothing of this detector but its scores", value=card.kind, fix=fix)
        given = dict(card.config)
        if "weights" in entry.traits:
            given["weights"] = None  # what it started from; its own weights are beside the card
        detector: Detector = entry.load().build(entry.config.model_validate(given), card.classes)
    except InputError as error:
        raise error.at(where) from error
    except ValidationError as error:
        raise InputError(f"the card does not describe a {card.kind}: {_first(error)}", where=where) from error
    return detector


def save_state(path: Path, tree: Tree) -> None:
    """Write a tree of tensors, numbers and strings as one safetensors file."""
    tensors: dict[str, Tensor] = {}
    skeleton = json.dumps(_pack(tree, tensors))
    write_bytes(path, save(tensors, metadata={"tree": skeleton}))


def load_state(path: Path) -> Tree | None:
    """The tree of ``save_state``, its tensors on the CPU; None if there is no file.

    Raises:
        InputError: the file is not one of ours.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            skeleton = (file.metadata() or {})["tree"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError) as error:
        fix = "delete it: the cell then starts over"
        raise InputError("not the state of an unfinished cell", where=str(path), fix=fix) from error
    return _unpack(json.loads(skeleton), tensors)


def _pack(tree: Tree, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON; tensors are moved to ``tensors`` and named, tuples and dicts are marked as such."""
    if isinstance(tree, Tensor):
        name = str(len(tensors))
        tensors[name] = _plain(tree)
        return {"tensor": name}
    if isinstance(tree, Mapping):
        return {"dict": [[key, _pack(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, tuple):
        return {"tuple": [_pack(value, tensors) for value in tree]}
    if isinstance(tree, list):
        return [_pack(value, tensors) for value in tree]
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"a state holds tensors, numbers, strings and None, but got {type(tree).__name__}")


def _unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Tree:
    if isinstance(packed, list):
        return [_unpack(value, tensors) for value in packed]
    if not isinstance(packed, dict):
        return packed
    ((mark, content),) = packed.items()
    if mark == "tensor":
        return tensors[content]
    if mark == "tuple":
        return tuple(_unpack(value, tensors) for value in content)
    return {key: _unpack(value, tensors) for key, value in content}


def _plain(tensor: Tensor) -> Tensor:
    # A copy: safetensors refuses tensors that share memory, and a state may hold one tensor twice.
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
