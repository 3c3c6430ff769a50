"""The detectors on a frozen CLIP, on a tiny one of open_clip's own code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.trainables import tiny_clip
from tests.trainables.toy import context, toy_detector, toy_images
from trainables.checkpoint import load_detector, save_detector
from trainables.clip import OnClip
from trainables.contract import Images
from trainables.detector import Detector, as_input
from trainables.detectors import clip_knn, clip_linear, clip_svm
from trainables.errors import InputError
from trainables.registry import find
from trainables.score import infer, score

KINDS = ("clip_knn", "clip_linear", "clip_svm")
SOURCE, HELD_OUT = toy_images(40, seed=0, amplitude=60), toy_images(40, seed=1, amplitude=60)


def _solved(kind: str, folder: Path, source: Images = SOURCE, **parameters: object) -> Detector:
    entry = find("detectors", kind)
    config = entry.config(**tiny_clip.parameters(), **parameters)
    detector = toy_detector(kind, **parameters)
    entry.load().solve(config, detector, source, HELD_OUT, context(folder))
    return detector


def _features(detector: Detector, images: Images) -> NDArray[np.float64]:
    return infer(detector, detector.features, images.pixels).astype(np.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_what_the_features_tell_and_leaves_the_network(kind: str, tmp_path: Path) -> None:
    detector = _solved(kind, tmp_path)
    assert ((score(detector, HELD_OUT.pixels) > 0.5) == HELD_OUT.labels).mean() > 0.8
    batch = as_input(HELD_OUT.pixels[:3])
    assert torch.equal(detector.features(batch), toy_detector(kind).features(batch))
    assert not any(p.requires_grad for p in detector.body.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_without_weights_it_is_not_learnt_and_what_would_fetch_them_is_told(kind: str, tmp_path: Path) -> None:
    entry = find("detectors", kind)
    detector = toy_detector(kind)
    with pytest.raises(InputError) as error:
        entry.load().solve(entry.config(), detector, SOURCE, HELD_OUT, context(tmp_path))
    for part in ("ViT-L-14-quickgelu", "weights", "hf download timm/vit_large_patch14_clip_224.openai open_clip_model"):
        assert part in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_published_with_openais_vit_l_14(kind: str) -> None:
    config = find("detectors", kind).config()
    assert isinstance(config, OnClip)
    assert config.architecture == "open_clip/ViT-L-14-quickgelu"


def test_the_linear_head_minimises_cross_entropy_with_a_penalty(tmp_path: Path) -> None:
    detector = _solved("clip_linear", tmp_path, penalty=2.0)
    features = _features(detector, SOURCE)
    spread = features.std(axis=0)
    scaled, signs = (features - features.mean(axis=0)) / spread, 2 * SOURCE.labels - 1
    state = detector.head.state_dict()
    weight = (state["weight"][1] - state["weight"][0]).double().numpy()
    bias = float(state["bias"][1] - state["bias"][0])
    w, b = weight * spread, bias + weight @ features.mean(axis=0)

    def slope(w: NDArray[np.float64], b: float) -> NDArray[np.float64]:
        """Of ``sum log(1 + exp(-y (w x + b))) + |w|^2`` by w: 2 / 2 is the penalty."""
        pull = -signs / (1 + np.exp(signs * (scaled @ w + b)))
        return np.asarray(pull @ scaled + 2.0 * w)

    assert np.abs(slope(w, b)).max() < 1e-2 * np.abs(slope(0 * w, 0.0)).max()


def test_the_svm_is_fitted_to_so_many_images_of_each_class(tmp_path: Path) -> None:
    config = clip_svm.Config(**tiny_clip.parameters(), images=5)
    detector = toy_detector("clip_svm")
    outcome = clip_svm.solve(config, detector, SOURCE, HELD_OUT, context(tmp_path))
    assert outcome.images == 10
    more = clip_svm.Config(**tiny_clip.parameters(), images=21)
    with pytest.raises(InputError, match="21 images of each class"):
        clip_svm.solve(more, detector, SOURCE, HELD_OUT, context(tmp_path))


@pytest.mark.parametrize("k", [1, 9])
def test_neighbours_vote_over_the_sources_features(k: int, tmp_path: Path) -> None:
    detector = _solved("clip_knn", tmp_path, k=k)
    known, seen = (_features(detector, images) for images in (SOURCE, HELD_OUT))
    known, seen = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (known, seen))
    nearest = np.argsort(-(seen @ known.T), axis=1)[:, :k]
    votes = SOURCE.labels[nearest].mean(axis=1) > 0.5
    assert ((score(detector, HELD_OUT.pixels) > 0.5) == votes).all()


def test_banks_are_bounded_and_kept_with_the_detector(tmp_path: Path) -> None:
    detector = _solved("clip_knn", tmp_path / "a", bank=7)
    config = clip_knn.Config(**tiny_clip.parameters(), bank=7).model_dump(mode="json")
    save_detector(tmp_path, detector, {"kind": "clip_knn", "config": config, "image": {"size": 32}})
    loaded, _ = load_detector(tmp_path)
    assert loaded.state_dict()["head.real"].shape == (7, 24)
    assert np.array_equal(score(loaded, HELD_OUT.pixels), score(detector, HELD_OUT.pixels))


def test_too_few_images_to_vote_are_refused(tmp_path: Path) -> None:
    few = SOURCE.take(np.arange(8))
    with pytest.raises(InputError, match="a vote of 9 needs more images of label 0"):
        _solved("clip_knn", tmp_path, few, k=9)


def test_members_have_the_heads_they_are_named_after() -> None:
    assert clip_linear.Config().head == "logistic"
    assert clip_svm.Config().head == "svm"
