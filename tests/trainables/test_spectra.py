from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from torch import nn

from trainables.spectra import Azimuthal, FourierReal, LogCosine, LogMagnitude, cosine


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
