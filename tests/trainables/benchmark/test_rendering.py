import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from trainables.benchmark.cameras import CAMERAS, Camera, encode_jpeg, photograph, project
from trainables.benchmark.presets import PRESETS, Preset
from trainables.benchmark.scenes import render_scene
from trainables.benchmark.traces import refill_detail
from trainables.contract import Split

NOISELESS = {"blur": (0.8, 0.8), "shot": (0.0, 0.0), "read": 0.0}


def _scene(seed, side=128):
    return render_scene(np.random.default_rng(seed), side)


def test_a_scene_is_linear_light_and_its_stream_decides_it():
    scene = _scene(0)
    assert scene.shape == (128, 128, 3)
    assert scene.dtype == np.float32
    assert 0 <= scene.min() < scene.max() <= 1
    np.testing.assert_array_equal(scene, _scene(0))
    assert not np.array_equal(scene, _scene(1))


def test_scenes_have_the_falling_spectrum_of_photographs():
    power = np.zeros((128, 128))
    for seed in range(60):
        grey = _scene(seed).mean(axis=2)
        power += np.abs(np.fft.fft2((grey - grey.mean()) * np.outer(np.hanning(128), np.hanning(128)))) ** 2
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    rings = np.geomspace(4 / 128, 0.4, 8)
    means = [power[(radius >= low) & (radius < high)].mean() for low, high in pairwise(rings)]
    slope = np.polyfit(np.log(np.sqrt(rings[1:] * rings[:-1])), np.log(means), 1)[0]
    assert -3.0 < slope < -1.5


@pytest.mark.parametrize("demosaic", ["bilinear", "edge_aware"])
@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_without_noise_a_photograph_is_exact_where_nothing_is_to_be_guessed(demosaic, phase):
    camera = Camera(phase=phase, demosaic=demosaic, **NOISELESS)
    even = np.full((32, 32, 3), 0.4, np.float32)
    np.testing.assert_allclose(photograph(camera, even, np.random.default_rng(0)), 0.4, atol=1e-5)
    # Each photosite's own colour is measured, not guessed.
    scene = _scene(3)
    light, photo = project(scene, 0.8), photograph(camera, scene, np.random.default_rng(0))
    row, column = phase
    np.testing.assert_allclose(photo[row::2, column::2, 0], light[row::2, column::2, 0], atol=1e-5)
    np.testing.assert_allclose(
        photo[1 - row :: 2, 1 - column :: 2, 2], light[1 - row :: 2, 1 - column :: 2, 2], atol=1e-5
    )
    np.testing.assert_allclose(photo[row::2, 1 - column :: 2, 1], light[row::2, 1 - column :: 2, 1], atol=1e-5)


def test_edge_aware_demosaicing_errs_less_where_colours_vary_together():
    errors = {}
    for demosaic in ("bilinear", "edge_aware"):
        camera = Camera(phase=(0, 0), demosaic=demosaic, **NOISELESS)
        scenes = [np.repeat(_scene(seed)[..., :1], 3, axis=2) for seed in range(20)]
        photos = [photograph(camera, scene, np.random.default_rng(0)) for scene in scenes]
        errors[demosaic] = np.mean([np.square(p - project(s, 0.8)).mean() for p, s in zip(photos, scenes, strict=True)])
    assert 0 < errors["edge_aware"] < 0.9 * errors["bilinear"]


def test_noise_has_the_stated_variance():
    camera = Camera(phase=(0, 0), demosaic="bilinear", shot=(0.004, 0.004), read=0.01)
    photo = photograph(camera, np.full((512, 512, 3), 0.5, np.float32), np.random.default_rng(0))
    measured = photo[0::2, 0::2, 0]
    assert measured.var() == pytest.approx(0.004 * 0.5 * 0.5 + 0.01**2, rel=0.03)


def test_a_jpeg_file_has_the_quality_asked_for_and_the_colours_in_order():
    red = np.zeros((16, 16, 3), np.float32)
    red[..., 0] = 1
    for quality in (60, 95):
        image = Image.open(io.BytesIO(encode_jpeg(red, quality)))
        reference = io.BytesIO()
        image.save(reference, "JPEG", quality=quality)
        assert image.quantization == Image.open(reference).quantization
        assert image.getpixel((8, 8)) == pytest.approx((255, 0, 0), abs=4)


def test_refilled_detail_is_that_of_the_other_image():
    scene = project(_scene(0), 0.5)
    smooth = project(_scene(0), 3.0)
    refilled = refill_detail(smooth, scene, np.random.default_rng(0))
    fine = [np.var(x - _blurred(x)) for x in (scene, smooth, refilled)]
    assert fine[1] < 0.5 * fine[0]
    assert fine[2] == pytest.approx(fine[0], rel=0.1)
    assert refill_detail(scene, smooth, np.random.default_rng(0)) is scene


def _blurred(image):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, (1.2, 1.2, 0), mode="mirror")


def test_cameras_differ_in_what_they_leave():
    assert len({(c.phase, c.demosaic, c.shot, c.read) for c in CAMERAS.values()}) == len(CAMERAS) >= 3


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_covers_every_split_and_takes_other_counts(name):
    preset = PRESETS[name]
    assert set(preset.fakes) == set(preset.cameras) == set(Split) - {Split.FUSION}
    small = preset.resized({Split.ADAPT: 3}, 32)
    assert (small.fakes[Split.ADAPT], small.real_count(Split.ADAPT), small.image_size) == (3, 3, 32)
    assert small.fakes[Split.TRAIN] == preset.fakes[Split.TRAIN]


def test_the_private_preset_has_no_shared_trace_and_ranking_has_few_fakes_to_adapt_to():
    assert PRESETS["private"].shared == 0
    ranking = PRESETS["ranking"]
    assert ranking.fakes[Split.ADAPT] < ranking.real_count(Split.ADAPT)


@pytest.mark.parametrize("bad", [{"cameras": dict.fromkeys(Split, ("fone",))}, {"generators": {"tcnov": {}}}])
def test_a_preset_of_unknown_members_is_refused(bad):
    with pytest.raises(ValueError, match="did you mean"):
        Preset.model_validate({**PRESETS["demo"].model_dump(), **bad})
