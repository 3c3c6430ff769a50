"""What each generator leaves in an image, measured where its description says to look."""

import numpy as np
import pytest

from trainables.benchmark.traces import gain_detail
from trainables.registry import GENERATORS

IMAGE = np.random.default_rng(0).uniform(0.3, 0.7, (64, 48, 3)).astype(np.float32)
GREY = np.full((64, 64, 3), 0.5, np.float32)


def _fingerprint(name, image, seed=1, **parameters):
    member = GENERATORS[name].load()
    return member.fingerprint(member.Config(**parameters), image, np.random.default_rng(seed))


@pytest.mark.parametrize("name", GENERATORS)
def test_it_is_an_image_again_and_the_one_given_is_untouched(name):
    before = IMAGE.copy()
    made = _fingerprint(name, IMAGE)
    assert made.shape == IMAGE.shape
    assert made.dtype == np.float32
    assert 0 <= made.min() <= made.max() <= 1
    assert np.abs(made - IMAGE).max() > 0.001
    np.testing.assert_array_equal(IMAGE, before)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_knob_at_zero_leaves_nothing(name):
    none = dict.fromkeys(GENERATORS[name].config.model_fields, 0.0)
    np.testing.assert_array_equal(_fingerprint(name, IMAGE, **none), IMAGE)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_same_stream_gives_the_same_image(name):
    np.testing.assert_array_equal(_fingerprint(name, IMAGE, seed=5), _fingerprint(name, IMAGE, seed=5))


@pytest.mark.parametrize(("name", "period"), [("tconv", 2), ("nearest", 4)])
def test_the_pattern_has_its_period_and_its_strength(name, period):
    made = _fingerprint(name, GREY, strength=0.1, detail=0)
    np.testing.assert_allclose(made[period:], made[:-period], atol=1e-6)
    np.testing.assert_allclose(made[:, period:], made[:, :-period], atol=1e-6)
    assert np.abs(made[1:] - made[:-1]).max() > 0.01
    # x (1 + s P) + 0.15 s P on x = 0.5
    pattern = GENERATORS[name].load().PATTERN
    np.testing.assert_allclose(made[:period, :period] - 0.5, 0.1 * 0.65 * pattern, atol=1e-6)
    assert pattern.mean(axis=(0, 1)) == pytest.approx([0, 0, 0], abs=1e-6)


def test_latent_blocks_have_gains_of_the_stated_spread():
    made = _fingerprint("latent8", np.full((512, 512, 3), 0.5, np.float32), strength=0.05, detail=0)
    blocks = made.reshape(64, 8, 64, 8, 3)
    assert np.ptp(blocks, axis=(1, 3)).max() < 1e-6
    assert (blocks[:, 0, :, 0] / 0.5).std() == pytest.approx(0.05, rel=0.05)
    assert not np.array_equal(made, _fingerprint("latent8", np.full_like(made, 0.5), seed=2, strength=0.05, detail=0))


@pytest.mark.parametrize("gain", [-0.5, 0.0, 0.3])
def test_detail_gain_is_one_at_low_and_one_plus_gain_at_high_frequencies(gain):
    columns = np.arange(64)
    for frequency, expected in ((1 / 64, 1), (1 / 2, 1 + gain)):
        wave = (0.5 + 0.1 * np.cos(2 * np.pi * frequency * columns)).astype(np.float32)
        image = np.broadcast_to(wave[None, :, None], (64, 64, 3)).copy()
        amplitude = np.ptp(gain_detail(image, gain)[32, 8:-8, 0]) / np.ptp(image[32, 8:-8, 0])
        assert amplitude == pytest.approx(expected, abs=0.05)
