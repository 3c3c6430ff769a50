"""timm's networks as backbones: any of them, with those of its layers that can be seen as maps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models.resnet import ResNet
from torch import Tensor, nn

from trainables.backbones import weights as published
from trainables.backbones.backbone import Backbone, normalisation
from trainables.backbones.names import TIMM
from trainables.backbones.shaping import stride_one, without_in_place
from trainables.backbones.transformer import check_multiple
from trainables.errors import InputError

SIZES = (32, 64, 96, 128, 192, 224, 256, 299)
"""Heights that are tried for the smallest that a network takes, where timm says nothing of it."""


class View(nn.Module):
    """A layer whose output is no map, and ``map``, through which that flows as a map: a layer to look into.

    Args:
        inner: the layer; its output is (B, h, w, K), or (B, p + h * w, K) with p tokens that belong to no patch.
        reduction: pixels of the image by pixel of the map, along each side.
    """

    def __init__(self, inner: nn.Module, reduction: int) -> None:
        super().__init__()
        self.inner, self.reduction = inner, reduction
        self.map = nn.Identity()
        self.image = (0, 0)

    def forward(self, *given: Any, **named: Any) -> Tensor:
        """What the layer returns."""
        output: Tensor = self.inner(*given, **named)
        if output.ndim == 4:
            seen: Tensor = self.map(output.permute(0, 3, 1, 2))
            return seen.permute(0, 2, 3, 1)
        height, width = (side // self.reduction for side in self.image)
        before = output.shape[1] - height * width
        patches = output[:, before:].transpose(1, 2)
        seen = self.map(patches.reshape(len(patches), -1, height, width))
        return torch.cat([output[:, :before], seen.flatten(2).transpose(1, 2)], dim=1)


class Sized(nn.Module):
    """A network that is given images of the sizes alone that it takes.

    Args:
        network: (B, 3, H, W) to (B, D).
        patch: H and W are multiples of this.
        exact: H and W are this; None for any.
    """

    def __init__(self, network: nn.Module, patch: int, exact: int | None) -> None:
        super().__init__()
        self.network, self.patch, self.exact = network, patch, exact

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D).

        Raises:
            InputError: the network does not take images of this size.
        """
        size = images.shape[-2], images.shape[-1]
        if self.exact and size != (self.exact, self.exact):
            fix = f"use images of {self.exact}x{self.exact}"
            raise InputError("this network takes images of one size", value=f"{size[0]}x{size[1]}", fix=fix)
        check_multiple(images, self.patch)
        for part in self.network.modules():
            if isinstance(part, View):
                part.image = size
        features: Tensor = self.network(images)
        return features


def build(name: str, weights: Path | str | None, stem_stride: int, allow_download: bool) -> Backbone:
    """As ``build_backbone``, for a name that is timm's, without ``timm/``."""
    if isinstance(weights, str):
        published.check_tag(TIMM + name, weights, allow_download)
    network = _network(name, weights if isinstance(weights, str) else None)
    about = network.pretrained_cfg
    if isinstance(weights, Path):
        heads = about.get("classifier") or ()
        dropped = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
        published.load(network, published.read(weights), TIMM + name, dropped=dropped, where=str(weights))
    if stem_stride == 1:
        _stride_one(network, name)
    patch = _patch(network)
    fixed = bool(about.get("fixed_input_size")) and patch == 1
    body = Sized(without_in_place(network), patch, about["input_size"][-1] if fixed else None)
    # Of a transformer the smallest multiple of its patches that is no smaller than what most networks take.
    whole = -(-SIZES[0] // patch) * patch
    smallest = body.exact or (whole if patch > 1 else _smallest(body, about.get("min_input_size")))
    layers, feature_dim = _layers(body, smallest)
    return Backbone(
        front=normalisation(about["mean"], about["std"]),
        body=body,
        layers=layers,
        feature_dim=feature_dim,
        min_size=smallest // 4 if stem_stride == 1 else smallest,
    )


def _network(name: str, tag: str | None) -> Any:
    """The network without its classifier; a transformer of one kind of patches takes any number of them."""
    full_name = f"{name}.{tag}" if tag else name
    plain: dict[str, Any] = {"pretrained": tag is not None, "num_classes": 0}
    default = timm.get_pretrained_cfg(name)
    # Weights of another image size are fitted to the name's own, or a saved detector could not be built again.
    flexible: dict[str, Any] = {"dynamic_img_size": True, "img_size": default.input_size[-1] if default else 224}
    try:
        try:
            return timm.create_model(full_name, **plain, **flexible)
        except TypeError:
            return timm.create_model(full_name, **plain)
    except (OSError, RuntimeError) as error:
        fix = "name a file of the weights instead: `weights: <path>`"
        raise InputError(f"timm cannot make it ({error})", value=TIMM + full_name, fix=fix) from error


def _stride_one(network: nn.Module, name: str) -> None:
    plain = isinstance(network, ResNet) and isinstance(network.conv1, nn.Conv2d)
    if not plain or not isinstance(network.maxpool, nn.MaxPool2d):
        fix = "choose a ResNet with one convolution and one pooling in its stem"
        raise InputError(f"{TIMM}{name} keeps the strides of its stem", where="stem_stride", value=1, fix=fix)
    stride_one(network, ("conv1", "maxpool"))


def _patch(network: Any) -> int:
    """The side of a transformer's patches, where it takes any number of them; else 1."""
    return int(network.patch_embed.patch_size[0]) if getattr(network, "dynamic_img_size", False) else 1


def _smallest(body: Sized, known: tuple[int, ...] | None) -> int:
    """The smallest height and width that a convolutional network takes."""
    if known:
        return max(known[-1], SIZES[0])
    for size in SIZES:
        try:
            _pass(body, size)
        except (RuntimeError, ValueError, AssertionError):
            continue
        return size
    return int(body.network.pretrained_cfg["input_size"][-1])  # type: ignore[index]


def _pass(body: nn.Module, size: int) -> Tensor:
    """What the network makes of one black image."""
    device = next(body.parameters()).device
    modes = [(part, part.training) for part in body.modules()]
    body.eval()
    with torch.no_grad():
        features: Tensor = body(torch.zeros(1, 3, size, size, device=device))
    for part, training in modes:
        part.training = training
    return features


def _layers(body: Sized, size: int) -> tuple[dict[str, nn.Module], int]:
    """The layers that timm names and that can be seen as maps, by name, and the number of features."""
    found = dict(_named(body.network))
    outputs: dict[str, Any] = {}
    hooks = [
        body.network.get_submodule(path).register_forward_hook(
            lambda _, __, output, path=path: outputs.update({path: output})
        )
        for path in found
    ]
    features = _pass(body, size)
    for hook in hooks:
        hook.remove()
    layers = {}
    for path, (channels, reduction) in _thinned(body.network, found, outputs):
        layer = _as_map(body.network, path, outputs[path], channels, reduction)
        if layer is not None:
            layers[path.replace(".", "_")] = layer
    return layers, features.shape[1]


def _named(network: nn.Module) -> Iterator[tuple[str, tuple[int, int]]]:
    """Path, channels and reduction of the layers that timm lists, shallow to deep, where they are modules."""
    info: Any = getattr(network, "feature_info", None) or []
    modules = dict(network.named_modules())
    for entry in info.get_dicts() if hasattr(info, "get_dicts") else info:
        if entry.get("module") in modules:
            yield entry["module"], (entry["num_chs"], entry["reduction"])


def _thinned(
    network: Any, found: dict[str, tuple[int, int]], outputs: dict[str, Any]
) -> list[tuple[str, tuple[int, int]]]:
    """Of a transformer's many blocks four; the last but one for the last where only a class token is read after it."""
    listed = [(path, about) for path, about in found.items() if isinstance(outputs.get(path), Tensor)]
    if not listed or any(outputs[path].ndim != 3 for path, _ in listed) or len(listed) < 5:
        return listed
    count = len(listed)
    last = count - 1 if getattr(network, "global_pool", None) == "token" else count
    return [listed[after - 1] for after in (count // 4, count // 2, count * 3 // 4, last)]


def _as_map(network: nn.Module, path: str, output: Tensor, channels: int, reduction: int) -> nn.Module | None:
    """The layer itself where it returns a map, the map of a view put around it where one can be made, else None."""
    layer = network.get_submodule(path)
    if output.ndim == 4 and output.shape[1] == channels:
        return layer
    if output.ndim not in (3, 4) or output.shape[-1] != channels:
        return None
    view = View(layer, reduction)
    network.set_submodule(path, view)
    return view.map
