"""What is known of a network by its name alone, without torch: that it exists, its layers, its smallest image."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from trainables.backbones.published import FILES
from trainables.errors import InputError, nearest
from trainables.registry import DETECTORS

BACKBONE = "backbone"
"""The detector that any network makes."""
TIMM = "timm/"
OPEN_CLIP = "open_clip/"
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's colours, which most published weights were trained with."""
HALVES = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""Those of networks whose weights were converted from TensorFlow's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What networks of one structure have in common.

    Attributes:
        classifier: path of the last affine map; all before it makes features.
        layers: path within the network by name, shallow to deep; of a transformer's the number of blocks before each.
        stem: whether parameters lie before the first layer and belong to a block of their own.
        halves: of its first convolution and first pooling, those that ``stem_stride: 1`` takes the stride from.
        min_size: smallest height and width of an image.
        colours: mean and standard deviation of the images that published weights were trained on.
    """

    classifier: str = "fc"
    layers: Mapping[str, str]
    stem: bool = True
    halves: tuple[str, ...] = ()
    min_size: int = 32
    colours: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET

    def smallest(self, stem_stride: int = 2) -> int:
        """Smallest height and width of an image where the stem has this stride."""
        return self.min_size // 4 if stem_stride == 1 else self.min_size


def _at(prefix: str, *paths: str) -> dict[str, str]:
    """Layers ``prefix1``, ``prefix2``, … at these paths."""
    return {f"{prefix}{number}": path for number, path in enumerate(paths, start=1)}


def _features(*positions: int) -> dict[str, str]:
    return _at("stage", *(f"features.{position}" for position in positions))


def _same(*names: str) -> dict[str, str]:
    return dict(zip(names, names, strict=True))


def _vgg(*convolutions: int, norm: bool = False) -> Family:
    """Layers ``conv1`` to ``conv5``: the last ReLU before each pooling.

    Args:
        convolutions: before each pooling; every one is followed by a BatchNorm, if there is any, and a ReLU.
    """
    ends = accumulate(count * (3 if norm else 2) + 1 for count in convolutions)
    layers = _at("conv", *(f"features.{end - 2}" for end in ends))
    return Family(classifier="classifier.6", layers=layers, stem=False)


def _transformer(blocks: int, patch: int) -> Family:
    """Layers after a quarter, a half and three quarters of the blocks, and before the last block.

    After the last block only the class token is read: what the patches hold there reaches no logit.
    """
    after = [blocks // 4, blocks // 2, blocks * 3 // 4, blocks - 1]
    layers = {f"block{count}": str(count) for count in after}
    return Family(classifier="heads.head", layers=layers, stem=False, min_size=patch)


RESNET = Family(layers=_same("layer1", "layer2", "layer3", "layer4"), halves=("conv1", "maxpool"))
DENSENET = Family(
    classifier="classifier",
    layers={f"denseblock{k}": f"features.denseblock{k}" for k in (1, 2, 3, 4)},
    halves=("features.conv0", "features.pool0"),
)
CONVNEXT = Family(classifier="classifier.2", layers=_features(1, 3, 5, 7))
EFFICIENTNET = Family(classifier="classifier.1", layers=_features(*range(1, 8)))
GOOGLENET = Family(layers=_same("conv3", "inception3b", "inception4e", "inception5b"), colours=HALVES)
INCEPTION = Family(
    layers=_same("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"), min_size=75, colours=HALVES
)
FAMILIES: Mapping[str, Family] = {
    "resnet": RESNET,
    "resnext": RESNET,
    "wide_resnet": RESNET,
    "densenet": DENSENET,
    "convnext": CONVNEXT,
    "efficientnet_b": EFFICIENTNET,
    "efficientnet_v2_s": Family(classifier="classifier.1", layers=_features(*range(1, 7)), min_size=33),
    "efficientnet_v2": Family(classifier="classifier.1", layers=_features(*range(1, 8)), min_size=33),
    "googlenet": GOOGLENET,
    "inception": INCEPTION,
    "mobilenet_v2": Family(classifier="classifier.1", layers=_features(1, 3, 6, 13, 17)),
    "mobilenet_v3_large": Family(classifier="classifier.3", layers=_features(1, 3, 6, 12, 15)),
    "mobilenet_v3_small": Family(classifier="classifier.3", layers=_features(1, 3, 8, 11)),
    "vgg11": _vgg(1, 1, 2, 2, 2),
    "vgg13": _vgg(2, 2, 2, 2, 2),
    "vgg16": _vgg(2, 2, 3, 3, 3),
    "vgg19": _vgg(2, 2, 4, 4, 4),
    "vgg11_bn": _vgg(1, 1, 2, 2, 2, norm=True),
    "vgg13_bn": _vgg(2, 2, 2, 2, 2, norm=True),
    "vgg16_bn": _vgg(2, 2, 3, 3, 3, norm=True),
    "vgg19_bn": _vgg(2, 2, 4, 4, 4, norm=True),
    "vit_b_16": _transformer(12, 16),
    "vit_b_32": _transformer(12, 32),
    "vit_l_16": _transformer(24, 16),
    "vit_l_32": _transformer(24, 32),
    "vit_h_14": _transformer(32, 14),
}
"""By the beginning of a name; the longest that fits is the network's."""


def find_backbone(name: str) -> None:
    """Pass where there is a network of this name; timm is imported for one of timm's alone.

    Raises:
        InputError: there is none; the message gives the nearest names.
    """
    if name.startswith(TIMM):
        _find_in_timm(name)
    elif name.startswith(OPEN_CLIP):
        _find_in_open_clip(name)
    elif name not in FILES:
        raise InputError("there is no network of this name", value=name, fix=nearest(name, FILES))


def as_member(kind: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The detector that a study's ``kind`` stands for, and its parameters: a network's name is a ``backbone``.

    Raises:
        InputError: it is neither a detector's name nor a network's, or the network is named twice.
    """
    if kind in DETECTORS:
        return kind, parameters
    if not kind.startswith((TIMM, OPEN_CLIP)) and kind not in FILES:
        raise InputError("unknown name in detectors", value=kind, fix=nearest(kind, [*DETECTORS, *FILES]))
    if "architecture" in parameters:
        fix = f"delete `architecture`, or write `kind: {BACKBONE}`"
        raise InputError("`kind` names the network already", where="architecture", value=kind, fix=fix)
    find_backbone(kind)
    return BACKBONE, {"architecture": kind, **parameters}


def family(name: str) -> Family:
    """The structure of a network of torchvision's."""
    return FAMILIES[max((start for start in FAMILIES if name.startswith(start)), key=len)]


def check_stem(name: str, stride: int) -> None:
    """Pass where a stem of this stride can be made.

    Raises:
        InputError: the network's stem has no strides that could be taken from it.
    """
    if stride == 1 and not (name.startswith(TIMM) or (name in FILES and family(name).halves)):
        having = "ResNets, ResNeXts and DenseNets of torchvision, and ResNets of timm"
        raise InputError(
            f"{name} keeps the strides of its stem", where="stem_stride", value=1, fix=f"choose one of the {having}"
        )


def block_count(name: str) -> int | None:
    """How many blocks lie before the head, as ``trainables.blocks`` counts them.

    None where only the network that is built tells: of timm's and open_clip's.
    """
    if name.startswith((TIMM, OPEN_CLIP)):
        return None
    return len(family(name).layers) + family(name).stem


def classifier(name: str) -> str | None:
    """Path of the last affine map within the network; None of one that has none, or several."""
    if name.startswith(OPEN_CLIP):
        return None
    if not name.startswith(TIMM):
        return family(name).classifier
    import timm

    config = timm.get_pretrained_cfg(name.removeprefix(TIMM))
    return config.classifier if config is not None and isinstance(config.classifier, str) else None


def _find_in_open_clip(name: str) -> None:
    """By the files that open_clip describes its models in, without importing it; by itself for those added since."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        fix = "install the extra `clip`, in the folder of this project: pip install -e '.[clip]'"
        raise InputError("open_clip is not installed on this machine", value=name, fix=fix)
    model = name.removeprefix(OPEN_CLIP)
    known = {file.stem for file in (Path(spec.origin).parent / "model_configs").glob("*.json")}
    if model not in known and "open_clip" in sys.modules:
        known |= set(sys.modules["open_clip"].list_models())
    if model not in known:
        fix = nearest(name, (OPEN_CLIP + each for each in known))
        raise InputError("open_clip has no model of this name", value=name, fix=fix)


def _find_in_timm(name: str) -> None:
    import timm

    architecture, _, tag = name.removeprefix(TIMM).partition(".")
    if not timm.is_model(architecture):
        known = (TIMM + model for model in timm.list_models())
        raise InputError("timm has no network of this name", value=name, fix=nearest(TIMM + architecture, known))
    if tag:
        fix = f"write {{kind: {TIMM}{architecture}, weights: {tag}, allow_download: true}}"
        raise InputError("the name of a network names no weights", value=name, fix=fix)
