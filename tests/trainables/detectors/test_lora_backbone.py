from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import torch

from tests.trainables import tiny_clip
from tests.trainables.toy import context, toy_detector, toy_images
from trainables.adaptation import lora
from trainables.checkpoint import save_detector
from trainables.contract import AdaptationData
from trainables.detector import Detector, as_input
from trainables.fit import fit
from trainables.freezing import renew
from trainables.lowrank import LAYERS, LowRank
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe

IMAGES = toy_images(16, seed=0)
FAST = Recipe(epochs=1, batch=8, learning_rate=1e-2)


def _fitted(folder: Path, **parameters: object) -> Detector:
    detector = toy_detector("lora_backbone", **parameters)
    fit(detector, SUPERVISED, FAST, IMAGES, IMAGES, context(folder))
    return detector


def test_at_first_it_is_the_network_itself(tmp_path: Path) -> None:
    known = toy_detector("backbone", seed=3).eval()
    save_detector(tmp_path, known, {"kind": "backbone", "config": {}, "image": {"size": 32}})
    detector = toy_detector("lora_backbone", weights=tmp_path / "model.safetensors").eval()
    batch = as_input(IMAGES.pixels[:4])
    assert torch.equal(detector.features(batch), known.features(batch))


def test_corrections_and_head_alone_are_trained_and_counted() -> None:
    detector = toy_detector("lora_backbone", rank=2)
    trained = {name: p.numel() for name, p in detector.named_parameters() if p.requires_grad}
    plain = toy_detector("backbone")
    layers = [part for part in plain.body.modules() if isinstance(part, LAYERS)]
    shapes = [(part.weight.shape[0], part.weight[0].numel()) for part in layers]
    assert len(layers) == 20
    assert sum(trained.values()) == sum(2 * (o + i) for o, i in shapes) + 512 * 2 + 2
    assert all(name.startswith("head.") or name.endswith((".up", ".down")) for name in trained)


def test_a_fit_changes_weights_by_no_more_than_the_rank(tmp_path: Path) -> None:
    before, after = toy_detector("lora_backbone", rank=3), _fitted(tmp_path, rank=3)
    for name, tensor in before.body.state_dict().items():
        assert name.endswith((".up", ".down")) or torch.equal(tensor, after.body.state_dict()[name])
    first, second = (d.body.get_submodule("layer2.0.conv1") for d in (before, after))
    difference = (second.weight - first.weight).detach().double().flatten(1)
    sizes = torch.linalg.svdvals(difference)
    assert sizes[2] > 1e-6
    assert sizes[3] < 1e-5 * sizes[0]


def test_a_transformers_attention_is_corrected_too(tmp_path: Path) -> None:
    detector = toy_detector("lora_backbone", rank=2, **tiny_clip.parameters())
    corrected = [name for name, part in detector.named_modules() if isinstance(part, LowRank)]
    # Of each block the attention's two matrices and the two of its MLP; and the patches' convolution.
    assert len(corrected) == 4 * 4 + 1
    fit(detector, SUPERVISED, FAST, IMAGES, IMAGES, context(tmp_path))
    ups = [part.up for part in detector.modules() if isinstance(part, LowRank)]
    assert sum(bool(up.any()) for up in ups) == len(ups)


def test_the_adaptation_of_the_same_name_corrects_the_corrections(data: AdaptationData, tmp_path: Path) -> None:
    source = _fitted(tmp_path / "a", **tiny_clip.parameters())
    adapted, fresh = copy.deepcopy(source), toy_detector("lora_backbone", **tiny_clip.parameters())
    few = replace(data, few=toy_images(24, seed=4, period=4))
    lora.adapt(lora.Config(recipe=FAST), adapted, few, context(tmp_path / "b"))
    fresh.load_state_dict(adapted.state_dict())
    batch = as_input(IMAGES.pixels[:4])
    assert torch.equal(fresh.eval()(batch), adapted.eval()(batch))
    name = "body.0.blocks.encoder1.mlp.c_fc.parametrizations.weight.original"
    assert not torch.equal(source.state_dict()[name], adapted.state_dict()[name])


def test_new_random_weights_are_none_of_the_networks(tmp_path: Path) -> None:
    detector = _fitted(tmp_path)
    kept = {name: tensor.clone() for name, tensor in detector.state_dict().items() if name.endswith("original")}
    renew(detector, seed=1)
    assert not any(part.up.any() for part in detector.modules() if isinstance(part, LowRank))
    assert kept
    assert all(torch.equal(detector.state_dict()[name], tensor) for name, tensor in kept.items())
