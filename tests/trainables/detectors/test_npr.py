from __future__ import annotations

import pytest
import torch
from torchvision.models import resnet50

from tests.trainables.toy import toy_detector


def test_the_published_body_is_resnet_50_as_far_as_its_second_stage() -> None:
    detector = toy_detector("npr", body="resnet50").eval()
    whole = resnet50(weights=None)
    kept = (whole.bn1, whole.layer1, whole.layer2)
    expected = sum(p.numel() for part in kept for p in part.parameters()) + 64 * 3 * 3 * 3 + 2 * 512 + 2
    found = sum(p.numel() for p in detector.parameters())
    # The paper gives 1.44 million, with one logit.
    assert found == expected == 1_438_274
    maps = {}
    for name, layer in detector.layers.items():
        layer.register_forward_hook(lambda _, __, out, name=name: maps.update({name: tuple(out.shape)}))
    detector(torch.rand(1, 3, 64, 64))
    assert maps == {"layer1": (1, 256, 16, 16), "layer2": (1, 512, 8, 8)}


def test_the_published_body_computes_what_resnet_50_does() -> None:
    detector = toy_detector("npr", body="resnet50").eval()
    network = resnet50(weights=None)
    first, normalised, _, _, layer1, layer2, *_ = detector.body
    network.conv1, network.bn1, network.layer1, network.layer2 = first, normalised, layer1, layer2
    network.layer3, network.layer4, network.fc = (torch.nn.Identity() for _ in range(3))
    images = torch.rand(2, 3, 40, 36)
    assert torch.allclose(network.eval()(detector.front(images)), detector.features(images), atol=1e-5)


@pytest.mark.parametrize("body", ["small", "resnet50"])
def test_it_sees_two_thirds_of_npr_in_imagenets_deviations(body: str) -> None:
    detector = toy_detector("npr", body=body)
    images = torch.zeros(1, 3, 4, 4)
    images[0, :, 1, 1] = torch.tensor([0.229, 0.224, 0.225])
    seen = detector.front(images)
    assert seen[0, :, 1, 1].tolist() == pytest.approx([2 / 3] * 3)
    assert seen.abs().sum().item() == pytest.approx(2)
    assert not any(p.requires_grad for p in detector.front.parameters())


def test_what_is_twice_as_large_by_copying_looks_flat() -> None:
    detector = toy_detector("npr").eval()
    doubled = torch.rand(1, 3, 16, 16).repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    assert torch.equal(detector(doubled), detector(torch.zeros_like(doubled)))
