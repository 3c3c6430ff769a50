from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainables.toy import toy_images
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.spectra import LogCosine, LogMagnitude
from trainables.standardising import Standardised, standardise


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
