"""torchvision's ResNet-18 (He et al. 2016), from random weights or from a file; nothing is ever downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.contract import Config as MemberConfig
from trainables.errors import InputError
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trainables.detector import Detector

# Mean and standard deviation of ImageNet's colours, which published weights were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Config(MemberConfig):
    """Parameters of ``resnet18``.

    Attributes:
        weights: a ``.safetensors`` file, or a file of ``torch.save`` that holds tensors only; its classifier is
            dropped. Random weights if not given.
        recipe: how it is trained.
    """

    weights: Path | None = None
    recipe: Recipe = Recipe(batch=32, learning_rate=3e-4)


def build(config: Config, classes: int) -> Detector:
    """A detector with a new classifier; layers ``layer1`` to ``layer4``, 1/4 to 1/32 of the image's size.

    Raises:
        InputError: the file of weights is missing, unreadable or not a ResNet-18's.
    """
    from torch import nn
    from torchvision.models import resnet18

    from trainables.detector import Detector

    network = resnet18(weights=None)
    network.fc = nn.Identity()
    if config.weights is not None:
        _load(network, config.weights)
    for part in network.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    return Detector(
        front=_normalisation(),
        body=network,
        head=nn.Linear(512, classes),
        layers={name: getattr(network, name) for name in ("layer1", "layer2", "layer3", "layer4")},
        feature_dim=512,
        min_size=32,
        classes=classes,
    )


def _normalisation() -> nn.Module:
    """(x - mean) / std by colour channel, as a fixed 1x1 filter."""
    import torch
    from torch import nn

    normalisation = nn.Conv2d(3, 3, 1, groups=3)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    normalisation.weight = nn.Parameter((1 / std)[:, None, None, None], requires_grad=False)
    normalisation.bias = nn.Parameter(-mean / std, requires_grad=False)
    return normalisation


def _load(network: nn.Module, path: Path) -> None:
    found = {name: tensor for name, tensor in _read(path).items() if not name.startswith("fc.")}
    expected = network.state_dict()
    missing = [n for n in expected if n not in found and not n.endswith("num_batches_tracked")]
    unknown = [n for n in found if n not in expected]
    misshapen = [n for n in expected if n in found and found[n].shape != expected[n].shape]
    if missing or unknown or misshapen:
        lists = {"missing": missing, "unknown": unknown, "of another shape": misshapen}
        listed = "; ".join(f"{what}: {_some(names)}" for what, names in lists.items() if names)
        raise InputError("these weights are not a ResNet-18's", where=str(path), value=listed)
    network.load_state_dict(found, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
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


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
