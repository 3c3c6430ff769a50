"""What is known without torch agrees with torchvision."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torchvision import models

from trainables.backbones.names import as_member, find_backbone
from trainables.backbones.published import ADDRESS, FILES
from trainables.errors import InputError


@pytest.mark.parametrize("name", FILES)
def test_tags_and_files_are_torchvisions(name: str) -> None:
    published = {weights.name: weights.url for weights in models.get_model_weights(name)}
    assert {tag: ADDRESS + file for tag, file in FILES[name].items()}.items() <= published.items()
    left_out = published.keys() - FILES[name].keys()
    assert all("SWAG_E2E" in tag or tag == "IMAGENET1K_FEATURES" for tag in left_out)


def test_a_network_is_found_without_torch() -> None:
    code = """
import sys
from trainables.backbones import find_backbone
find_backbone("resnet50")
print("torch" in sys.modules, "timm" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "False"], done.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnt50", "'resnet50'"),
        ("timm/convnext_tinny", "'timm/convnext_tiny'"),
        ("timm/resnet50.a1_in1k", "weights: a1_in1k"),
    ],
)
def test_an_unknown_network_is_told_with_what_is_near(name: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        find_backbone(name)


def test_the_name_of_a_network_stands_for_the_backbone_of_it() -> None:
    assert as_member("resnet50", {"head": "mlp"}) == ("backbone", {"architecture": "resnet50", "head": "mlp"})
    assert as_member("timm/test_vit", {}) == ("backbone", {"architecture": "timm/test_vit"})
    assert as_member("residual_cnn", {"width": 4}) == ("residual_cnn", {"width": 4})
    with pytest.raises(InputError, match="names the network already"):
        as_member("resnet50", {"architecture": "resnet18"})
    with pytest.raises(InputError, match="'residual_cnn'"):
        as_member("residualcnn", {})


def test_where_open_clip_is_not_installed_the_command_that_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)  # as Python itself marks what cannot be imported
    with pytest.raises(InputError, match="open_clip is not installed") as caught:
        find_backbone("open_clip/ViT-L-14")
    assert "pip install -e '.[clip]'" in str(caught.value.fix)
