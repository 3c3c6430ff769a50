from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from tests.trainables.toy import toy_detector
from trainables.errors import InputError


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """Weights as torchvision publishes them, with a classifier of 1000 classes."""
    torch.manual_seed(0)
    return resnet18(weights=None).state_dict()


@pytest.mark.parametrize("name", ["resnet18.safetensors", "resnet18.pth"])
def test_weights_of_a_file_give_the_features_of_that_network(
    published: dict[str, torch.Tensor], tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    save_file(published, path) if path.suffix == ".safetensors" else torch.save(published, path)
    detector = toy_detector("resnet18", weights=path).eval()
    reference = resnet18(weights=None).eval()
    reference.load_state_dict(published)
    reference.fc = torch.nn.Identity()
    images = torch.rand(2, 3, 40, 40)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = reference((images - mean[:, None, None]) / std[:, None, None])
    assert torch.allclose(detector.features(images), expected, atol=1e-4)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.pth: the file of weights does not exist"):
        toy_detector("resnet18", weights=tmp_path / "absent.pth")


def test_keys_and_shapes_that_do_not_fit_are_listed(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    wrong = {**published, "surplus": torch.zeros(1), "bn1.weight": torch.zeros(3)}
    del wrong["conv1.weight"]
    save_file(wrong, tmp_path / "wrong.safetensors")
    with pytest.raises(InputError) as error:
        toy_detector("resnet18", weights=tmp_path / "wrong.safetensors")
    for part in ("missing: conv1.weight", "unknown: surplus", "of another shape: bn1.weight"):
        assert part in str(error.value)


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
            toy_detector("resnet18", weights=tmp_path / name)
    assert not (tmp_path / "executed").exists()
