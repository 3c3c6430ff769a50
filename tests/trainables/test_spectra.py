from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from torch import nn

from tests.trainables.toy import toy_images
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.spectra import Azimuthal, FourierReal, LogCosine, LogMagnitude, Standardised, cosine, standardise


@pytest.fixture(scope="module", params=[(16, 16), (15, 15), (12, 17)])
def images(request: pytest.FixtureRequest) -> torch.Tensor:
    return torch.rand(3, 3, *request.param, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_cosine_transform_is_scipys(images: torch.Tensor) -> None:
    wanted = dctn(images.numpy(), type=2, norm="ortho", axes=(-2, -1))
    np.testing.assert_allclose(cosine(images).numpy(), wanted, atol=1e-13)
    np.testing.assert_allclose(LogCosine()(images).numpy(), np.log(np.abs(wanted) + 1e-12), atol=1e-6)
    # In the arithmetic of detectors it is as exact as that is.
    np.testing.assert_allclose(cosine(images.float()).numpy(), wanted, atol=1e-5)


def test_the_fourier_transforms_are_numpys(images: torch.Tensor) -> None:
    spectrum = np.fft.fft2(images.numpy())
    np.testing.assert_allclose(FourierReal()(images).numpy(), spectrum.real, atol=1e-12)
    wanted = np.log(1e-8 + np.abs(np.fft.fftshift(spectrum, axes=(-2, -1))))
    np.testing.assert_allclose(LogMagnitude()(images).numpy(), wanted, atol=1e-9)
    height, width = images.shape[-2:]
    assert (LogMagnitude()(images).flatten(2).argmax(dim=2) == height // 2 * width + width // 2).all()


def test_the_azimuthal_spectrum_is_duralls_ring_by_ring() -> None:
    size = 16
    image = np.random.default_rng(0).random((3, size, size))
    power = np.abs(np.fft.fftshift(np.fft.fft2(np.tensordot([0.299, 0.587, 0.114], image, axes=1)))) ** 2
    rings: dict[int, list[float]] = {}
    for row in range(size):
        for column in range(size):
            rings.setdefault(round(np.hypot(row - size / 2, column - size / 2)), []).append(power[row, column])
    wanted = [np.log(np.mean(rings[k])) - np.log(np.mean(rings[0])) for k in range(len(rings))]
    assert len(rings) == 12  # up to the corner at 8 sqrt(2) = 11.3
    found = Azimuthal(len(rings))(torch.from_numpy(image)[None])[0]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-9)
    finer = Azimuthal(23)(torch.from_numpy(image)[None])[0].numpy()
    np.testing.assert_allclose(finer, np.interp(np.linspace(0, 11, 23), np.arange(12), wanted), atol=1e-6)


def test_one_frequency_stands_in_one_place_whatever_the_size() -> None:
    for size in (32, 64):
        waves = 0.5 + 0.4 * torch.cos(2 * torch.pi * torch.arange(size) / 4).expand(1, 3, size, size)
        profile = Azimuthal(46)(waves)[0, 1:]
        # A quarter of a cycle a pixel, of the corner's sqrt(2) / 2.
        assert profile.argmax().item() + 1 == pytest.approx(45 * 0.25 / np.sqrt(0.5), abs=1.5)


def test_flat_and_black_images_have_finite_spectra_and_gradients() -> None:
    images = torch.stack([torch.zeros(3, 16, 16), torch.full((3, 16, 16), 0.5)]).requires_grad_()
    for transform in (Azimuthal(8), LogCosine(), LogMagnitude(), FourierReal()):
        found = transform(images)
        assert torch.isfinite(found).all()
        (gradient,) = torch.autograd.grad(found.sum(), images)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("transform", [Azimuthal(8), LogCosine(), LogMagnitude(), FourierReal()])
def test_gradients_are_those_of_finite_differences(transform: nn.Module) -> None:
    image = torch.rand(1, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(transform, (image,), atol=1e-4)


def of_spectrum(transform: nn.Module) -> Detector:
    pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    front = Standardised(transform)
    return Detector(front=front, body=pooling, head=nn.Linear(3, 2), layers={}, feature_dim=3, min_size=4, classes=2)


def test_standardised_spectra_have_mean_0_and_deviation_1_on_the_images_learnt_from() -> None:
    pixels, detector = toy_images(300, seed=1, size=16).pixels, of_spectrum(LogMagnitude())
    before = detector.front(as_input(pixels[:2]))
    assert torch.equal(before, LogMagnitude()(as_input(pixels[:2])))
    standardise(detector, pixels, "cpu")
    spectra = LogMagnitude()(as_input(pixels[:])).double().numpy()
    np.testing.assert_allclose(detector.front.mean.numpy(), spectra.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(detector.front.std.numpy(), spectra.std(axis=0), atol=1e-5)
    wanted = (spectra - spectra.mean(axis=0)) / spectra.std(axis=0)
    np.testing.assert_allclose(detector.front(as_input(pixels[:])).numpy(), wanted, atol=1e-4)


def test_a_frequency_that_never_varies_is_not_blown_up() -> None:
    pixels, detector = np.full((4, 16, 16, 3), 128, np.uint8), of_spectrum(LogCosine())
    standardise(detector, pixels, "cpu")
    assert (detector.front.std == 1).all()
    assert detector.front(as_input(pixels)).abs().max() < 1e-3


def test_statistics_can_be_trained_past_and_travel_with_a_state() -> None:
    pixels, detector = toy_images(8, seed=1, size=16).pixels, of_spectrum(LogCosine())
    standardise(detector, pixels, "cpu")
    detector.log_odds(as_input(pixels[:])).sum().backward()
    for fresh in (of_spectrum(LogCosine()), copy.deepcopy(detector)):
        fresh.load_state_dict(detector.state_dict())
        assert torch.equal(fresh.front.mean, detector.front.mean)
        assert torch.equal(fresh.log_odds(as_input(pixels[:])), detector.log_odds(as_input(pixels[:])))


def test_images_of_another_size_are_refused_once_there_are_statistics() -> None:
    detector = of_spectrum(LogMagnitude())
    detector(torch.rand(1, 3, 20, 20))
    standardise(detector, toy_images(8, seed=1, size=16).pixels, "cpu")
    with pytest.raises(InputError, match=r"(?s)'20x20'.*16x16 pixels"):
        detector(torch.rand(1, 3, 20, 20))
