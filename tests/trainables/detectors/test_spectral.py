"""The detectors that look at an image's spectrum: what they are, and that they find the traces they are made for."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.trainables.toy import context, toy_detector, toy_images
from trainables.contract import Images
from trainables.detector import as_input
from trainables.detectors import azimuthal, dct
from trainables.errors import InputError
from trainables.fit import fit
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe
from trainables.registry import find
from trainables.score import log_odds


@pytest.fixture(scope="module")
def source() -> Images:
    return toy_images(96, seed=1)


@pytest.fixture(scope="module")
def held_out() -> Images:
    return toy_images(64, seed=2)


def accuracy(odds: np.ndarray, images: Images) -> float:
    return float(((odds > 0) == images.labels).mean())


@pytest.mark.parametrize(
    ("member", "head"), [(azimuthal, "svm"), (azimuthal, "logistic"), (dct, "ridge"), (dct, "logistic")]
)
def test_a_solved_one_finds_a_grid(
    member: ModuleType, head: str, source: Images, held_out: Images, tmp_path: Path
) -> None:
    name = member.__name__.rpartition(".")[2]
    detector = toy_detector(name, bins=32)
    member.solve(member.Config(head=head, bins=32), detector, source, toy_images(32, seed=3), context(tmp_path))
    assert accuracy(log_odds(detector, held_out.pixels), held_out) > 0.95


def test_dct_is_ridge_regression_on_standardised_logarithms(source: Images, held_out: Images, tmp_path: Path) -> None:
    detector = toy_detector("dct", bins=32)
    dct.solve(dct.Config(bins=32), detector, source, held_out, context(tmp_path))

    def logarithms(images: Images) -> np.ndarray:
        coefficients = dctn(images.pixels[:].transpose(0, 3, 1, 2) / 255.0, norm="ortho", axes=(-2, -1))
        return np.log(np.abs(coefficients) + 1e-12).reshape(len(images), -1)

    ridge = make_pipeline(StandardScaler(), RidgeClassifier(alpha=1.0)).fit(logarithms(source), source.labels)
    wanted = ridge.decision_function(logarithms(held_out))
    found = (log_odds(detector, held_out.pixels) - detector.shift.item()) / detector.scale.item()
    # Logarithms of coefficients near 0 differ between float32 and float64; a solution sees thousands of them.
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_dct_averages_neighbours_of_larger_images() -> None:
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    detector = toy_detector("dct", bins=16)
    coefficients = dctn(image.numpy().astype(np.float64), norm="ortho", axes=(-2, -1))
    wanted = np.log(np.abs(coefficients) + 1e-12).reshape(1, 3, 16, 2, 16, 2).mean(axis=(3, 5)).reshape(1, -1)
    np.testing.assert_allclose(detector.features(image).numpy(), wanted, atol=1e-3)


@pytest.mark.parametrize("kind", ["dct_cnn", "fft_logmag"])
def test_a_prepared_one_standardises_and_then_takes_one_size(kind: str, source: Images, tmp_path: Path) -> None:
    detector = toy_detector(kind)
    entry = find("detectors", kind)
    entry.load().prepare(entry.config(), detector, source, context(tmp_path))
    spectra = detector.front(as_input(source.pixels[:]))
    assert spectra.mean(dim=0).abs().max() < 1e-2
    assert (spectra.std(dim=0, correction=0) - 1).abs().max() < 1e-2
    with pytest.raises(InputError, match="32x32"):
        detector(torch.rand(1, 3, 40, 40))


def test_the_small_network_on_cosines_finds_a_grid(source: Images, held_out: Images, tmp_path: Path) -> None:
    detector = toy_detector("dct_cnn")
    entry = find("detectors", "dct_cnn")
    entry.load().prepare(entry.config(), detector, source, context(tmp_path))
    recipe = Recipe(epochs=12, batch=16, learning_rate=5e-3)
    fit(detector, SUPERVISED, recipe, source, held_out, context(tmp_path))
    assert accuracy(log_odds(detector, held_out.pixels), held_out) > 0.9


def test_the_small_network_has_the_published_filters() -> None:
    weights = [tuple(p.shape) for p in toy_detector("dct_cnn").body.parameters() if p.ndim == 4]
    assert weights == [(3, 3, 3, 3), (8, 3, 3, 3), (16, 8, 3, 3), (32, 16, 3, 3)]


def test_networks_on_spectra_see_the_spectrum_alone() -> None:
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    real, magnitude = toy_detector("fft_real").eval(), toy_detector("fft_logmag").eval()
    spectrum = torch.from_numpy(np.fft.fft2(image.numpy().astype(np.float64)).real).float()
    assert torch.allclose(real.front(image), spectrum, atol=1e-3)
    # Magnitudes do not tell where things stand; real parts do.
    moved = image.roll((3, 5), dims=(-2, -1))
    assert torch.allclose(magnitude(moved), magnitude(image), atol=1e-3)
    assert not torch.allclose(real.front(moved), real.front(image), atol=1e-1)


@pytest.mark.parametrize("kind", ["fft_real", "fft_logmag"])
def test_the_network_and_where_it_starts_can_be_chosen(kind: str) -> None:
    detector = toy_detector(kind, architecture="resnet34")
    assert sum(p.numel() for p in detector.body.parameters()) == 21_284_672  # torchvision's 21,797,672 without `fc`
    assert list(detector.layers) == ["layer1", "layer2", "layer3", "layer4"]


def test_spectra_of_an_image_and_its_mirror_image_are_scored_alike_by_azimuth(source: Images, tmp_path: Path) -> None:
    detector = toy_detector("azimuthal")
    azimuthal.solve(azimuthal.Config(), detector, source, source, context(tmp_path))
    odds, mirrored = (log_odds(detector, pixels) for pixels in (source.pixels[:], source.pixels[:, :, ::-1]))
    np.testing.assert_allclose(mirrored, odds, atol=1e-2)
