"""Weights to start from: a file of tensors, or a tag under which they are published and may be fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
OPTIONAL = ("num_batches_tracked", "_extra_state")
"""Ends of names that older files lack."""
NESTED = ("model", "state_dict", "net")
"""Under which of its names a file that holds more than a state dict usually has one."""
PARALLEL = "module."
"""What ``nn.DataParallel`` puts before every name."""


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
        "missing": [key for key in expected if key not in kept and not key.endswith(OPTIONAL)],
        "unknown": [key for key in kept if key not in expected],
        "of another shape": [key for key in expected if key in kept and kept[key].shape != expected[key].shape],
    }
    if any(lists.values()):
        listed = "; ".join(f"{what}: {_some(keys)}" for what, keys in lists.items() if keys)
        fix = "name the network that they are of, or other weights"
        raise InputError(f"these weights are not {name}'s", where=where, value=listed, fix=fix)
    network.load_state_dict(kept, strict=False)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of one of ``torch.save``, by name.

    Such a file holds them alone, or under one of ``NESTED`` beside other things. What ``nn.DataParallel`` puts before
    their names is taken off. Nothing but tensors and plain values is unpickled.

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
            return _bare(load_file(path))
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        fix = "where it came from, save its state dict alone: `torch.save(model.state_dict(), path)`"
        problem = "nothing but tensors is unpickled, and the file holds more"
        raise InputError(problem, where=str(path), value=_refused(error), fix=fix) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        fix = "save a state dict of tensors, best as .safetensors"
        raise InputError(f"cannot read weights from it ({error})", where=str(path), fix=fix) from error
    return _bare(_state_dict(content, str(path)))


def _some(names: Sequence[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _state_dict(content: Any, where: str) -> Mapping[str, Tensor]:
    """The named tensors that a file holds, or that one of the things in it is.

    Raises:
        InputError: there are none.
    """
    found = content if isinstance(content, Mapping) else {}
    for state in (found, *(found.get(key) for key in NESTED)):
        if isinstance(state, Mapping) and state and all(map(_is_named_tensor, state.items())):
            return state
    fix = f"save a state dict, alone or as one of {', '.join(f'`{key}`' for key in NESTED)}"
    value = _some([str(key) for key in found]) or type(content).__name__
    raise InputError("the file holds something else than named tensors", where=where, value=value, fix=fix)


def _refused(error: Exception) -> str | None:
    """The class that torch names in its refusal to unpickle, if it names one."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return found and found[1]


def _is_named_tensor(item: tuple[Any, Any]) -> bool:
    import torch

    return isinstance(item[0], str) and isinstance(item[1], torch.Tensor)


def _bare(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    parallel = all(key.startswith(PARALLEL) for key in state)
    return {key.removeprefix(PARALLEL) if parallel else key: tensor for key, tensor in state.items()}


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
