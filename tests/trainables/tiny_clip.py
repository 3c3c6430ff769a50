"""A CLIP of open_clip's own code, small enough for tests: four blocks, random weights, saved as published ones are."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

NAME = "tiny-clip"
_kept = tempfile.TemporaryDirectory(prefix="tiny-clip-")


@cache
def model() -> Any:
    """The whole model, of images and texts; the test is skipped where open_clip is not installed."""
    open_clip = pytest.importorskip("open_clip", reason="comes with the extra `clip`")
    open_clip.add_model_config(Path(__file__).with_name(f"{NAME}.json"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return open_clip.create_model(NAME).eval()


@cache
def weights() -> Path:
    """A file of its weights."""
    path = Path(_kept.name) / "open_clip_model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in model().state_dict().items()}, path)
    return path


def parameters() -> dict[str, Any]:
    """Of a detector that is built on it."""
    return {"weights": weights(), "architecture": f"open_clip/{NAME}"}
