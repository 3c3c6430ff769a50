from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.toy import QUICK, context, toy_detector, toy_images
from trainables.adaptation.tta import Config, adapt
from trainables.analyses.gradcam import _cam
from trainables.checkpoint import load_detector, save_detector
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector, TwoLogits, as_input, evaluating
from trainables.fit import fit
from trainables.objective import SUPERVISED
from trainables.registry import find
from trainables.score import infer, log_odds, score

# What each view does to (N, H, W, 3) pixels, written out in numpy.
MIRROR = [lambda x: x, lambda x: x[:, :, ::-1]]
DIHEDRAL = [
    *MIRROR,
    lambda x: x.transpose(0, 2, 1, 3),
    lambda x: x.transpose(0, 2, 1, 3)[:, ::-1],
    lambda x: x.transpose(0, 2, 1, 3)[:, :, ::-1],
    lambda x: x[:, ::-1, ::-1],
    lambda x: x[:, ::-1],
    lambda x: x.transpose(0, 2, 1, 3)[:, ::-1, ::-1],
]
VIEWS: dict[str, Any] = {"mirror": MIRROR, "dihedral": DIHEDRAL}

both = pytest.mark.parametrize("views", ["mirror", "dihedral"])


def _looking(detector: Detector, views: Any, data: AdaptationData, folder: Path) -> Detector:
    """The detector after the adaptation."""
    adapt(Config(views=views), detector, data, context(folder))
    return detector


@both
def test_logits_are_the_mean_over_the_views(
    views: str, copies: Callable[[], Detector], data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    plain = copies()
    for detector in (plain, adapted := copies()):
        detector.scale.fill_(1.5)
        detector.shift.fill_(-0.3)
    pixels = np.asarray(target.pixels[:20])
    alone = [infer(plain, plain.forward, np.ascontiguousarray(view(pixels))) for view in VIEWS[views]]
    found = infer(_looking(adapted, views, data, tmp_path), adapted.forward, pixels)
    np.testing.assert_allclose(found, np.mean(alone, axis=0), rtol=1e-5, atol=1e-5)
    assert not np.allclose(found, alone[0], atol=1e-3)
    odds = found[:, 1] - found[:, 0]
    np.testing.assert_allclose(log_odds(adapted, pixels), odds, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(score(adapted, pixels), 1 / (1 + np.exp(-odds)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(infer(adapted, adapted.features, pixels), infer(plain, plain.features, pixels))


@both
def test_every_view_of_an_image_has_the_images_score(
    views: str, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    pixels = np.asarray(target.pixels[:12])
    plain = log_odds(trained, pixels)
    mirrored = log_odds(trained, np.ascontiguousarray(pixels[:, :, ::-1]))
    assert np.abs(plain - mirrored).max() > 1e-3
    expected = log_odds(_looking(trained, views, data, tmp_path), pixels)
    for view in VIEWS[views]:
        np.testing.assert_allclose(log_odds(trained, np.ascontiguousarray(view(pixels))), expected, rtol=0, atol=1e-5)


@both
def test_nothing_else_of_the_detector_changes(
    views: str, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items() if name != "_extra_state"}
    prior = float((log_odds(trained, target.pixels) > 0).mean())
    outcome = adapt(Config.model_validate({"views": views}), trained, data, context(tmp_path))
    after = trained.state_dict()
    assert set(after) - set(before) == {"_extra_state"}
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert outcome.metrics == {
        "predicted_prior_before": prior,
        "predicted_prior": (log_odds(trained, target.pixels) > 0).mean(),
    }


@both
def test_a_checkpoint_keeps_the_views(
    views: str, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    expected = score(_looking(trained, views, data, tmp_path), target.pixels)
    config = find("detectors", "residual_cnn").config().model_dump(mode="json")
    save_detector(tmp_path / "cell", trained, {"kind": "residual_cnn", "config": config, "image": {"size": 32}})
    loaded, _ = load_detector(tmp_path / "cell")
    assert loaded.views == trained.views == len(VIEWS[views])
    np.testing.assert_array_equal(score(loaded, target.pixels), expected)


@both
def test_scores_do_not_depend_on_the_batch(
    views: str, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    _looking(trained, views, data, tmp_path)
    whole = score(trained, target.pixels)
    for batch in (1, 7, 33):
        np.testing.assert_allclose(score(trained, target.pixels, batch=batch), whole, rtol=0, atol=1e-6)


def test_images_need_not_be_square(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    pixels = np.asarray(toy_images(4, seed=6, size=48).pixels)[:, :32]
    expected = log_odds(_looking(trained, "dihedral", data, tmp_path), pixels)
    turned = np.ascontiguousarray(pixels.transpose(0, 2, 1, 3))
    np.testing.assert_allclose(log_odds(trained, turned), expected, rtol=0, atol=1e-5)


@both
def test_gradients_of_the_mean_flow_to_the_pixels(
    views: str, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    _looking(trained, views, data, tmp_path).eval()
    images = as_input(np.asarray(target.pixels[:4])).double().requires_grad_()
    trained.double()
    (TwoLogits(trained)(images)[:, 1]).sum().backward()
    assert images.grad is not None
    place, step = (0, 1, 9, 20), 1e-4
    with torch.no_grad():
        nudge = torch.zeros_like(images)
        nudge[place] = step
        slope = (trained.log_odds(images + nudge) - trained.log_odds(images - nudge)).sum() / (2 * step)
    assert images.grad[place].item() == pytest.approx(slope.item() / 2, rel=1e-4)


@pytest.mark.parametrize("layer", ["block2", "block4"])
def test_grad_cam_maps_the_image_as_it_is(
    layer: str, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    some = target.take(np.arange(6))
    expected = _cam(trained, layer, some, 1, "cpu")
    assert expected.any()
    found = _cam(_looking(trained, "dihedral", data, tmp_path), layer, some, 1, "cpu")
    # For two classes the log odds are linear in the logits: a view's share of the mean only scales its map.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_training_goes_on_by_the_image_as_it_is_and_validates_by_the_views(
    copies: Callable[[], Detector], data: AdaptationData, source: Images, source_val: Images, tmp_path: Path
) -> None:
    plain, adapted = copies(), _looking(copies(), "mirror", data, tmp_path)
    fit(plain, SUPERVISED, QUICK, source, source_val, context(tmp_path / "plain"))
    fitted = fit(adapted, SUPERVISED, QUICK, source, source_val, context(tmp_path / "adapted"), select=lambda _: 1)
    assert adapted.views == 2
    accuracy = ((score(adapted, source_val.pixels) > 0.5) == (source_val.labels == 1)).mean()
    assert fitted.curves[-1]["val_accuracy"] == accuracy
    assert all(
        torch.equal(one, two)
        for (_, one), (_, two) in zip(plain.named_parameters(), adapted.named_parameters(), strict=True)
    )


def test_an_untrained_detector_in_training_mode_is_put_back(
    data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    detector = toy_detector(width=4).train()
    _looking(detector, "mirror", data, tmp_path)
    assert detector.training
    with evaluating(detector):
        assert detector(as_input(np.asarray(target.pixels[:2]))).shape == (2, 2)
