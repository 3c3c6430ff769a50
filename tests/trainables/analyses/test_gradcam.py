from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from tests.trainables.toy import context, toy_images
from trainables.analyses.gradcam import Config, _cam, _panel, analyse, figures
from trainables.contract import Images
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.score import score

CONFIG = Config(layers=("block2", "block4"), images_per_group=5, shown=2)


@pytest.fixture(scope="module")
def groups() -> dict[str, Images]:
    seen, unseen = toy_images(16, seed=20), toy_images(16, seed=21, period=4)
    return {
        "real": seen.take(np.flatnonzero(seen.labels == 0)),
        "seen fake": seen.take(np.flatnonzero(seen.labels == 1)),
        "unseen fake": unseen.take(np.flatnonzero(unseen.labels == 1)),
    }


@pytest.mark.parametrize("target", [0, 1])
def test_maps_are_the_papers_formula(trained: Detector, groups: dict[str, Images], target: int) -> None:
    images = groups["seen fake"].take(np.arange(3))
    trained.eval()
    kept: list[torch.Tensor] = []
    hook = trained.layers["block3"].register_forward_hook(lambda _, __, output: kept.append(output))
    odds = trained.log_odds(as_input(images.pixels[:])) * (1 if target else -1)
    hook.remove()
    (gradient,) = torch.autograd.grad(odds.sum(), kept)
    raw = (gradient.mean(dim=(2, 3), keepdim=True) * kept[0]).sum(dim=1).clamp_min(0)
    expected = functional.interpolate(raw[:, None], size=(32, 32), mode="bilinear")[:, 0].detach().numpy()
    found = _cam(trained, "block3", images, target, "cpu")
    assert found.shape == expected.shape
    for map_, reference in zip(found, expected, strict=True):
        if reference.max() > 0:
            assert np.corrcoef(map_.ravel(), reference.ravel())[0, 1] > 0.999
        else:
            assert not map_.any()


def test_it_writes_a_panel_and_maps_of_every_group_target_and_layer(
    trained: Detector, groups: dict[str, Images], tmp_path: Path
) -> None:
    outcome = analyse(CONFIG, trained, groups, context(tmp_path / "cell"))
    assert outcome.files == ("gradcam.png", "maps.npz")
    assert sorted(p.name for p in (tmp_path / "cell").iterdir()) == ["gradcam.png", "maps.npz"]
    with Image.open(tmp_path / "cell" / "gradcam.png") as panel:
        assert min(panel.size) > 400
        assert len(panel.convert("RGB").getcolors(2**20)) > 1000
    with np.load(tmp_path / "cell" / "maps.npz") as maps:
        names = set(map("/".join, product(("real", "seen_fake", "unseen_fake"), ("fake", "real"), CONFIG.layers)))
        assert names <= set(maps)
        for name in names:
            assert maps[name].shape == (5, 32, 32)
            assert maps[name].min() >= 0
            assert maps[name].max() <= 1
        assert maps["real/ids"].tolist() == sorted(groups["real"].ids)[:5]


def test_images_are_counted_where_each_is_seen_through_several_squares(
    trained: Detector, groups: dict[str, Images], tmp_path: Path
) -> None:
    order = np.array([3, 0, 2, 1])
    squares = groups["seen fake"].take((order[:, None] * 2 + np.arange(2)).reshape(-1))
    ids = [f"image{i}/{k}" for i in order for k in range(2)]
    images = replace(squares, ids=ids, views=2)
    config = Config(layers=("block4",), targets=("fake",), images_per_group=3, shown=2)
    (row,) = analyse(config, trained, {"seen fake": images}, context(tmp_path)).rows
    assert row["images"] == 3
    with np.load(tmp_path / "maps.npz") as maps:
        assert maps["seen_fake/ids"].tolist() == [f"image{i}/{k}" for i in range(3) for k in range(2)]
        assert maps["seen_fake/fake/block4"].shape == (6, 32, 32)
        expected = score(trained, groups["seen fake"].pixels[:6])
        assert maps["seen_fake/scores"].tolist() == expected.tolist()


def test_the_panel_shows_the_first_square_of_each_image(groups: dict[str, Images]) -> None:
    six = groups["seen fake"].take(np.arange(6))
    config = Config(shown=2).model_copy(update={"targets": ()})
    scores = {"seen fake": np.arange(6, dtype=np.float32) / 10}
    for views, shown in ((1, ["0.00", "0.10"]), (3, ["0.00", "0.30"])):
        figure = _panel(config, {"seen fake": replace(six, views=views)}, scores, {}, ())
        assert [axis.get_xlabel() for axis in figure.axes] == [f"P(fake) {text}" for text in shown]


def test_classes_and_layers_have_maps_of_their_own(trained: Detector, groups: dict[str, Images]) -> None:
    images = groups["seen fake"]
    maps = {(layer, t): _cam(trained, layer, images, t, "cpu") for layer in ("block2", "block4") for t in (0, 1)}
    assert not np.allclose(maps["block2", 0], maps["block2", 1], atol=0.05)
    assert not np.allclose(maps["block2", 1], maps["block4", 1], atol=0.05)


def test_rows_and_metrics_say_the_same(trained: Detector, groups: dict[str, Images], tmp_path: Path) -> None:
    outcome = analyse(CONFIG, trained, groups, context(tmp_path))
    assert len(outcome.rows) == 3 * 2 * 2
    for row in outcome.rows:
        name = f"{row['group'].replace(' ', '_')}_{row['layer']}"
        if row["target"] == "fake" and row["empty"] < 1:
            assert outcome.metrics[f"entropy_{name}"] == row["entropy"]
            assert outcome.metrics[f"centre_{name}"] == row["centre"]
    assert all(np.isfinite(value) for value in outcome.metrics.values())


def test_figures_of_maps_whose_answer_is_known() -> None:
    even, point, empty = np.ones((8, 8)), np.zeros((8, 8)), np.zeros((8, 8))
    point[4, 4] = 1
    assert figures(np.stack([even]).astype(np.float32)) == pytest.approx(
        {"images": 1, "empty": 0, "entropy": 1, "centre": 0.25}
    )
    assert figures(np.stack([point, empty]).astype(np.float32)) == pytest.approx(
        {"images": 2, "empty": 0.5, "entropy": 0, "centre": 1}
    )
    assert np.isnan(figures(np.stack([empty]).astype(np.float32))["entropy"])


def test_the_detector_is_left_as_it_was(trained: Detector, groups: dict[str, Images], tmp_path: Path) -> None:
    trained.train()
    analyse(CONFIG, trained, groups, context(tmp_path))
    assert trained.training
    assert not any(layer._forward_hooks for layer in trained.layers.values())
    assert all(p.grad is None or not p.grad.any() for p in trained.parameters())


def test_unknown_layers_and_empty_groups(trained: Detector, groups: dict[str, Images], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'block4'"):
        analyse(Config(layers=("block9",)), trained, groups, context(tmp_path))
    none = groups["real"].take(np.arange(0))
    outcome = analyse(CONFIG, trained, {**groups, "unseen fake": none}, context(tmp_path))
    assert {row["group"] for row in outcome.rows} == {"real", "seen fake"}
    with pytest.raises(InputError, match="no images"):
        analyse(CONFIG, trained, {"real": none}, context(tmp_path))
