"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) by layer and class, for real, seen and unseen fake images.

Where in the image, and at which depth, does the detector find its evidence? The gradient is that of the log odds of
the class, through pytorch-grad-cam.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from trainables.contract import FAKE, REAL, Context, Images, Outcome
from trainables.contract import Config as MemberConfig
from trainables.errors import InputError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trainables.detector import Detector

PANEL, MAPS = "gradcam.png", "maps.npz"
CLASSES = {"real": REAL, "fake": FAKE}

Maps = NDArray[np.float32]


class Config(MemberConfig):
    """Parameters of ``gradcam``.

    Attributes:
        layers: names of the detector's layers, or ``all``.
        targets: classes whose evidence is mapped.
        images_per_group: images that the figures are means of: those with the smallest ids. Of an image that is seen
            through several squares each square has its map.
        shown: images of each group in the panel, by their first square.
    """

    layers: Literal["all"] | tuple[str, ...] = "all"
    targets: Annotated[tuple[Literal["fake", "real"], ...], Field(min_length=1)] = ("fake", "real")
    images_per_group: PositiveInt = 32
    shown: NonNegativeInt = 3


def analyse(config: Config, detector: Detector, groups: Mapping[str, Images], context: Context) -> Outcome:
    """Map every group at every layer for every class target.

    Writes ``gradcam.png`` (rows: images of the groups; columns: the image, then target by layer) and ``maps.npz``
    (``<group>/<target>/<layer>``: (n, H, W) in [0, 1], a map each square; ``<group>/ids``, ``<group>/scores``).

    Returns:
        Rows, one a group, target and layer: ``images``; ``empty``, the share of maps without any evidence for the
        target; and over the others the means of ``entropy`` (of the map as a distribution, 1 = spread evenly) and
        ``centre`` (share of the map in the middle half of height and width; .25 = spread evenly). Metrics: the
        same for the first target, ``entropy_<group>_<layer>`` and ``centre_<group>_<layer>``.

    Raises:
        InputError: a layer that the detector does not have, or no images.
    """
    from trainables.score import score
    from trainables.writing import write_bytes

    layers = _layers(config, detector)
    chosen = {name: _smallest_ids(images, config.images_per_group) for name, images in groups.items() if len(images)}
    if not chosen:
        raise InputError("there are no images to analyse")
    maps: dict[tuple[str, str, str], Maps] = {}
    scores: dict[str, NDArray[np.float32]] = {}
    for group, images in chosen.items():
        scores[group] = score(detector, images.pixels, context.device)
        for target in config.targets:
            for layer in layers:
                maps[group, target, layer] = _cam(detector, layer, images, CLASSES[target], context.device)
    panel = _panel(config, chosen, scores, maps, layers)
    write_bytes(context.folder / PANEL, _png(panel))
    write_bytes(context.folder / MAPS, _npz(chosen, scores, maps))
    rows = [{"group": g, "target": t, "layer": name, **figures(m, chosen[g].views)} for (g, t, name), m in maps.items()]
    return Outcome(
        metrics=_metrics(rows, config.targets[0]),
        rows=rows,
        files=(PANEL, MAPS),
        images=sum(map(len, chosen.values())) * (1 + len(layers) * len(config.targets)),
    )


def figures(maps: Maps, views: int = 1) -> dict[str, float]:
    """What is said of (n, H, W) maps in a row; means are over maps that are not empty, NaN where all are.

    Args:
        views: maps of each image.
    """
    mass = maps.sum(axis=(1, 2))
    filled = maps[mass > 0] / mass[mass > 0][:, None, None]
    height, width = maps.shape[1:]
    middle = filled[:, height // 4 : height - height // 4, width // 4 : width - width // 4]
    information = -(filled * np.log(np.where(filled > 0, filled, 1))).sum(axis=(1, 2)) / np.log(height * width)
    return {
        "images": len(maps) // views,
        "empty": float(np.mean(mass == 0)),
        "entropy": float(information.mean()) if len(filled) else math.nan,
        "centre": float(middle.sum(axis=(1, 2)).mean()) if len(filled) else math.nan,
    }


def _metrics(rows: Sequence[Mapping[str, Any]], target: str) -> dict[str, float]:
    return {
        f"{figure}_{_slug(row['group'])}_{row['layer']}": row[figure]
        for row in rows
        if row["target"] == target and row["empty"] < 1
        for figure in ("entropy", "centre")
    }


def _layers(config: Config, detector: Detector) -> tuple[str, ...]:
    if config.layers == "all":
        return tuple(detector.layers)
    for name in config.layers:
        if name not in detector.layers:
            raise InputError("the detector has no such layer", value=name, fix=nearest(name, detector.layers))
    return config.layers


def _smallest_ids(images: Images, count: int) -> Images:
    """All squares of as many images; those of one image still follow each other."""
    firsts = np.argsort(np.asarray(images.ids[:: images.views]))[:count].astype(np.int64) * images.views
    squares = (firsts[:, None] + np.arange(images.views)).reshape(-1)
    return replace(images.take(squares), views=images.views)


def _cam(detector: Detector, layer: str, images: Images, target: int, device: str, batch: int = 64) -> Maps:
    """(n, H, W) in [0, 1], each map scaled to its own range; all 0 where nothing speaks for the target."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    from trainables.detector import TwoLogits, as_input, evaluating, frozen

    parts: list[Maps] = []
    # One layer a call: the library averages over the layers of one call.
    with (
        evaluating(detector),
        frozen(detector),
        GradCAM(TwoLogits(detector).eval(), [detector.layers[layer]]) as cam,
    ):
        for start in range(0, len(images), batch):
            inputs = as_input(images.pixels[start : start + batch], device).requires_grad_(True)
            parts.append(cam(inputs, [ClassifierOutputTarget(target)] * len(inputs)))
    return np.concatenate(parts).clip(0, 1).astype(np.float32)


def _panel(
    config: Config,
    groups: Mapping[str, Images],
    scores: Mapping[str, NDArray[np.float32]],
    maps: Mapping[tuple[str, str, str], Maps],
    layers: Sequence[str],
) -> Figure:
    """Rows: the first images of each group. Columns: the image, then its maps laid over it."""
    from matplotlib.figure import Figure

    rows = [(name, i) for name, of in groups.items() for i in range(0, len(of), of.views)[: config.shown]]
    columns = [(target, layer) for target in config.targets for layer in layers]
    figure = Figure(figsize=(1.35 * (len(columns) + 1) + 0.7, 1.45 * max(len(rows), 1) + 0.9), layout="constrained")
    figure.suptitle("Grad-CAM: where each layer finds evidence for a class (yellow: most)", fontsize=11)
    axes = figure.subplots(max(len(rows), 1), len(columns) + 1, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for column, title in enumerate(["image", *(f"{target}\n{layer}" for target, layer in columns)]):
        axes[0, column].set_title(title, fontsize=8)
    for row, (group, i) in enumerate(rows):
        pixels = groups[group].pixels[i : i + 1][0]
        axes[row, 0].imshow(pixels)
        axes[row, 0].set_ylabel(group if i == 0 else "", fontsize=9)
        axes[row, 0].set_xlabel(f"P(fake) {scores[group][i]:.2f}", fontsize=7, labelpad=2)
        for axis, (target, layer) in zip(axes[row, 1:], columns, strict=True):
            axis.imshow(pixels.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            axis.imshow(maps[group, target, layer][i], cmap="inferno", vmin=0, vmax=1, alpha=0.65)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _npz(
    groups: Mapping[str, Images],
    scores: Mapping[str, NDArray[np.float32]],
    maps: Mapping[tuple[str, str, str], Maps],
) -> bytes:
    arrays: dict[str, NDArray[Any]] = {f"{_slug(g)}/{t}/{layer}": m for (g, t, layer), m in maps.items()}
    for group, images in groups.items():
        arrays[f"{_slug(group)}/ids"] = np.asarray(images.ids)
        arrays[f"{_slug(group)}/scores"] = scores[group]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _slug(group: str) -> str:
    return group.replace(" ", "_")
