"""Weights to start from: given as files, published under tags, never fetched unasked."""

from __future__ import annotations

import hashlib
import pickle
from argparse import Namespace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

from trainables.backbones import build_backbone, weights
from trainables.backbones.published import FILES
from trainables.backbones.weights import as_weights, check_tag, load, read
from trainables.errors import InputError

SMALL = "mobilenet_v3_small"


def _published(name: str) -> dict[str, Tensor]:
    """Weights as torchvision publishes them, with a classifier of 1000 classes, and auxiliary ones."""
    torch.manual_seed(0)
    extra = {"aux_logits": True, "init_weights": True} if name == "googlenet" else {}
    state: dict[str, Tensor] = models.get_model(name, weights=None, **extra).state_dict()
    return state


@pytest.mark.parametrize(
    ("name", "suffix"), [("resnet18", ".safetensors"), ("resnet18", ".pth"), (SMALL, ".pth"), ("googlenet", ".pth")]
)
def test_weights_of_a_file_are_the_networks(tmp_path: Path, name: str, suffix: str) -> None:
    state, path = _published(name), tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    found = build_backbone(name, weights=path).body.state_dict()
    dropped = ("fc.", "classifier.3.", "aux")
    kept = {key: value for key, value in state.items() if not key.startswith(dropped)}
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[key], kept[key]) for key in kept)


def test_names_of_torchvisions_old_files_are_understood(tmp_path: Path) -> None:
    """DenseNets were published when a layer's parts were called ``norm.1`` and ``conv.1``."""
    state = _published("densenet121")
    old = {
        key.replace("norm1.", "norm.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.")
        .replace("conv2.", "conv.2."): value
        for key, value in state.items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    save_file(old, tmp_path / "old.safetensors")
    body = build_backbone("densenet121", weights=tmp_path / "old.safetensors").body
    loaded = {key.removeprefix("0."): value for key, value in body.state_dict().items()}
    name = "denseblock1.denselayer1.norm1.weight"
    assert torch.equal(loaded[name], state[f"features.{name}"])

    transformer = models.VisionTransformer(32, 16, num_layers=1, num_heads=1, hidden_dim=8, mlp_dim=8)
    state = transformer.state_dict()
    old = {key.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): v for key, v in state.items()}
    assert old.keys() != state.keys()
    load(transformer, old, "vit", dropped=("none.",), where="old")


def test_weights_of_timms_files_are_the_networks(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = timm.create_model("test_resnet").state_dict()
    save_file(state, tmp_path / "timm.safetensors")
    body = build_backbone("timm/test_resnet", weights=tmp_path / "timm.safetensors").body
    loaded = {key.removeprefix("network."): value for key, value in body.state_dict().items()}
    assert loaded.keys() == {key for key in state if not key.startswith("fc.")}
    assert all(torch.equal(loaded[key], state[key]) for key in loaded)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.pth: the file of weights does not exist"):
        build_backbone("resnet18", weights=tmp_path / "absent.pth")


def test_keys_and_shapes_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    wrong = {**_published("resnet18"), "surplus": torch.zeros(1), "bn1.weight": torch.zeros(3)}
    del wrong["conv1.weight"]
    save_file(wrong, tmp_path / "wrong.safetensors")
    with pytest.raises(InputError, match="not resnet18's") as error:
        build_backbone("resnet18", weights=tmp_path / "wrong.safetensors")
    for part in ("missing: conv1.weight", "unknown: surplus", "of another shape: bn1.weight"):
        assert part in str(error.value)


@pytest.mark.parametrize("key", ["model", "state_dict", "net"])
def test_a_state_dict_beside_other_things_and_from_several_gpus_is_found(key: str, tmp_path: Path) -> None:
    state = _published("resnet18")
    parallel = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"epoch": 3, key: parallel, "optimizer": {"state": {}, "lr": 0.1}}, tmp_path / "nested.pth")
    save_file(parallel, tmp_path / "parallel.safetensors")
    for name in ("nested.pth", "parallel.safetensors"):
        found = read(tmp_path / name)
        assert found.keys() == state.keys()
        assert all(torch.equal(found[key], state[key]) for key in state)


def test_a_prefix_that_not_all_names_have_is_part_of_them(tmp_path: Path) -> None:
    state = {"module.weight": torch.zeros(1), "weight": torch.ones(1)}
    torch.save(state, tmp_path / "own.pth")
    assert read(tmp_path / "own.pth").keys() == state.keys()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"generator": {"conv1.weight": torch.zeros(1)}, "epoch": 3}, "generator, epoch"),
        ({"model": {"conv1.weight": torch.zeros(1), "epoch": 3}}, "found: 'model'"),
        ({"model": {}}, "found: 'model'"),
        ([torch.zeros(1)], "found: 'list'"),
        (None, "found: 'NoneType'"),
    ],
)
def test_what_a_file_holds_instead_of_weights_is_named(content: object, found: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(InputError, match="something else than named tensors") as error:
        read(tmp_path / "other.pth")
    assert found in str(error.value)


def test_what_would_be_unpickled_is_named_and_nothing_else_is_advised(tmp_path: Path) -> None:
    torch.save({"model": _published(SMALL), "opt": Namespace(lr=0.1)}, tmp_path / "options.pth")
    with pytest.raises(InputError, match=r"argparse\.Namespace") as error:
        read(tmp_path / "options.pth")
    assert "weights_only" not in str(error.value)


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("executed"),))


def test_a_file_that_would_execute_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": Payload()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Payload(), protocol=2))
    (tmp_path / "text.safetensors").write_text("no weights")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    for name in ("evil.pth", "plain.pth", "text.safetensors", "list.pth"):
        with pytest.raises(InputError, match=name):
            build_backbone("resnet18", weights=tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_a_word_is_a_tag_and_the_rest_are_files() -> None:
    assert as_weights("IMAGENET1K_V2") == "IMAGENET1K_V2"
    assert as_weights("resnet50.pth") == Path("resnet50.pth")
    assert as_weights("weights/resnet50") == Path("weights/resnet50")
    assert as_weights(None) is None


@pytest.mark.parametrize(
    ("name", "tag", "told"),
    [
        ("resnet50", "IMAGENET1K_V2", "resnet50-11ad3fa6.pth"),
        ("resnet50", "IMAGENET1K_V9", "did you mean 'IMAGENET1K_V"),
        ("timm/resnet18", "a1_in1k", "model.safetensors of timm/resnet18.a1_in1k on Hugging Face"),
        ("timm/resnet18", "a9_in1k", "or 'a1_in1k'"),
    ],
)
def test_a_tag_is_refused_unless_a_download_is_allowed(name: str, tag: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_tag(name, tag, allow_download=False)
    with pytest.raises(InputError, match=told):
        build_backbone(name, weights=tag)


def test_what_was_fetched_before_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "ADDRESS", (tmp_path / "nowhere").as_uri() + "/")
    with pytest.raises(InputError, match="cannot be fetched"):
        build_backbone(SMALL, weights="IMAGENET1K_V1", allow_download=True)
    state = _published(SMALL)
    torch.save(state, tmp_path / "hub" / "checkpoints" / FILES[SMALL]["IMAGENET1K_V1"])
    found = build_backbone(SMALL, weights="IMAGENET1K_V1", allow_download=True).body.state_dict()
    assert torch.equal(found["features.0.0.weight"], state["features.0.0.weight"])


def test_what_is_fetched_is_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's name holds the beginning of its SHA-256."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(weights, "ADDRESS", tmp_path.as_uri() + "/")
    state = _published(SMALL)
    torch.save(state, tmp_path / "weights.pth")
    digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()[:8]
    for stated in ("0" * 8, digest):
        (tmp_path / f"net-{stated}.pth").write_bytes((tmp_path / "weights.pth").read_bytes())
    monkeypatch.setattr(weights, "FILES", {SMALL: {"FALSE": f"net-{'0' * 8}.pth", "TRUE": f"net-{digest}.pth"}})
    with pytest.raises(InputError, match="cannot be fetched"):
        build_backbone(SMALL, weights="FALSE", allow_download=True)
    found = build_backbone(SMALL, weights="TRUE", allow_download=True).body.state_dict()
    assert torch.equal(found["features.0.0.weight"], state["features.0.0.weight"])
