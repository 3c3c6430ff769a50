"""Weights to start from: a file of tensors, or a tag under which they are published and may be fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.backbones.names import TIMM
from trainables.backbones.published import ADDRESS, FILES
from trainables.errors import InputError, nearest

if TYPE_CHECKING:
    from torch import Tensor, nn

# How torchvision's published files name what its networks name otherwise: DenseNets', and the transformers'.
RENAMED = {
    r"(denselayer\d+\.(?:norm|conv))\.([12])\.": r"\1\2.",
    r"\.mlp\.linear_1\.": ".mlp.0.",
    r"\.mlp\.linear_2\.": ".mlp.3.",
}


def as_weights(given: Any) -> Any:
    """A string as a study has it: a word is a tag, anything with a dot or a slash in it is a file."""
    return Path(given) if isinstance(given, str) and not re.fullmatch(r"\w+", given) else given


def check_tag(name: str, tag: str, allow_download: bool) -> None:
    """Pass where weights are published under the tag and may be fetched.

    Args:
        name: of a network that exists.

    Raises:
        InputError: there are none, or they may not; the message names their file.
    """
    files = _timm_files(name) if name.startswith(TIMM) else FILES.get(name, {})
    if tag not in files:
        fix = nearest(tag, files) if files else "leave it out, or name a file"
        raise InputError(f"no weights of {name} are published under this tag", where="weights", value=tag, fix=fix)
    if not allow_download:
        raise InputError(
            f"these weights are a file to be downloaded, {files[tag]}",
            where="weights",
            value=tag,
            fix="write `allow_download: true` beside it, or name a copy of the file: `weights: <path>`",
        )


def fetched(name: str, tag: str) -> dict[str, Tensor]:
    """The published weights of one of torchvision's networks, from torch's cache on this machine or from its address.

    Raises:
        InputError: they cannot be fetched, or are not what was published.
    """
    from torch import hub

    file = FILES[name][tag]
    try:
        state: dict[str, Tensor] = hub.load_state_dict_from_url(
            ADDRESS + file, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        fix = f"put the file into {Path(hub.get_dir()) / 'checkpoints'}, or name a copy of it: `weights: <path>`"
        raise InputError(f"{file} cannot be fetched ({error})", where="weights", value=tag, fix=fix) from error
    return state


def load(network: nn.Module, found: Mapping[str, Tensor], name: str, *, dropped: tuple[str, ...], where: str) -> None:
    """Give a network these weights.

    Args:
        found: by the network's own names, or by those that torchvision published them under.
        name: of the network.
        dropped: beginnings of names of parts that the network no longer has.
        where: they come from.

    Raises:
        InputError: they are not such a network's; what is missing, unknown or of another shape is listed.
    """
    kept = {_renamed(key): tensor for key, tensor in found.items() if not key.startswith(dropped)}
    expected = network.state_dict()
    lists = {
        "missing": [key for key in expected if key not in kept and not key.endswith("num_batches_tracked")],
        "unknown": [key for key in kept if key not in expected],
        "of another shape": [key for key in expected if key in kept and kept[key].shape != expected[key].shape],
    }
    if any(lists.values()):
        listed = "; ".join(f"{what}: {_some(keys)}" for what, keys in lists.items() if keys)
        raise InputError(f"these weights are not {name}'s", where=where, value=listed)
    network.load_state_dict(kept, strict=False)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of one of ``torch.save`` that holds tensors only, by name.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        fix = "put the weights there, or leave out `weights` to start from random ones; nothing is downloaded"
        raise InputError("the file of weights does not exist", where=str(path), fix=fix)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        fix = "save a state dict of tensors, best as .safetensors"
        raise InputError(f"cannot read weights from it ({error})", where=str(path), fix=fix) from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise InputError("the file holds something else than named tensors", where=str(path))
    return content


def _timm_files(name: str) -> dict[str, str]:
    """By tag, what timm would download."""
    import timm

    architecture = name.removeprefix(TIMM)
    full_names = timm.list_pretrained(f"{architecture}.*")
    return {full.removeprefix(f"{architecture}."): _timm_file(full) for full in full_names}


def _timm_file(full_name: str) -> str:
    import timm

    config = timm.get_pretrained_cfg(full_name)
    if config is None or config.hf_hub_id is None:
        return str(config and config.url)
    return f"{config.hf_hub_filename or 'model.safetensors'} of {config.hf_hub_id} on Hugging Face"


def _renamed(key: str) -> str:
    for old, new in RENAMED.items():
        key = re.sub(old, new, key)
    return key


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
