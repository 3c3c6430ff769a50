"""Spheres rendered exactly under known light, and what the fit says of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import sph_harm_y

from trainables.errors import InputError
from trainables.geometry.lighting import Lighting, difference, harmonics, lighting, of_sphere, shading

Array = NDArray[np.float64]


def _directions(count: int, seed: int) -> Array:
    """Unit vectors, uniform over the sphere."""
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _visible(radius: float = 40) -> Array:
    """Normals at all pixels of a sphere's image, but for a rim."""
    points = np.stack(np.meshgrid(np.arange(100.0), np.arange(100.0)), axis=2).reshape(-1, 2)
    inside = np.linalg.norm(points - 50, axis=1) < 0.98 * radius
    return of_sphere(points[inside], (50, 50), radius)


def _lambert(normals: Array, towards: Array, ambient: float = 0.0) -> Array:
    """A matt sphere under one distant light: nothing of spherical harmonics in it."""
    return np.asarray(np.clip(normals @ (towards / np.linalg.norm(towards)), 0, None) + ambient)


def test_harmonics_are_those_of_scipy_made_real() -> None:
    normals = _directions(50, 0)
    polar, azimuth = np.arccos(normals[:, 2]), np.arctan2(normals[:, 1], normals[:, 0])
    columns = []
    for order in range(3):
        for m in range(-order, order + 1):
            # Without the Condon-Shortley phase, which graphics leaves out.
            value = (-1) ** m * sph_harm_y(order, abs(m), polar, azimuth)
            if m < 0:
                columns.append(np.sqrt(2) * (-1) ** m * value.imag * (-1) ** m)
            else:
                columns.append(value.real if m == 0 else np.sqrt(2) * value.real)
    np.testing.assert_allclose(harmonics(normals), np.stack(columns, axis=1), atol=1e-12)


def test_the_transfer_is_the_shading_of_a_matt_sphere_integrated_over_the_light() -> None:
    light = np.random.default_rng(1).normal(size=9)
    normals, incoming = _directions(5, 2), _directions(400_000, 3)
    radiance = harmonics(incoming) @ light
    by_hand = [4 * np.pi * np.mean(radiance * np.clip(incoming @ normal, 0, None)) for normal in normals]
    np.testing.assert_allclose(shading(light, normals), by_hand, atol=0.03)


@pytest.mark.parametrize(("order", "count"), [(1, 4), (2, 9)])
def test_light_is_found_again_from_the_visible_half_of_a_sphere(order: int, count: int) -> None:
    light = np.random.default_rng(4).normal(size=count)
    normals = _visible()
    found = lighting(normals, shading(light, normals), order=order)
    np.testing.assert_allclose(found.coefficients, light, atol=1e-10)
    assert found.residual < 1e-12
    assert found.condition > 1


def test_noise_moves_the_light_as_far_as_it_should() -> None:
    light, normals = np.random.default_rng(5).normal(size=9), _visible()
    exact = shading(light, normals)
    noisy = exact + np.random.default_rng(6).normal(0, 0.02, len(exact))
    found = lighting(normals, noisy)
    assert np.abs(found.coefficients - light).max() < 0.02
    assert found.residual == pytest.approx(0.02 / np.sqrt(np.mean(exact**2)), rel=0.1)


def test_order_2_holds_what_one_lamp_does_to_a_matt_sphere() -> None:
    towards = np.array([1.0, 0.7, 0.8])
    assert lighting(_visible(), _lambert(_visible(), towards)).residual < 0.06
    assert lighting(_visible(), _lambert(_visible(), towards), order=1).residual > 0.06


@pytest.mark.parametrize("towards", [(1, 0.7, 0.8), (0.5, 0, 1), (0, 1, 1), (-1, 0.3, 2)])
def test_order_1_tells_where_a_lamp_in_front_is(towards: tuple[float, float, float]) -> None:
    unit = np.array(towards) / np.linalg.norm(towards)
    found = lighting(_visible(), _lambert(_visible(), unit), order=1)
    assert np.degrees(np.arccos(found.direction @ unit)) < 15


def test_two_spheres_under_one_lamp_agree_and_under_two_lamps_do_not() -> None:
    normals, rng = _visible(), np.random.default_rng(7)

    def seen(towards: tuple[float, float, float], albedo: float, ambient: float) -> Lighting:
        exact = albedo * _lambert(normals, np.array(towards), ambient)
        return lighting(normals, exact + rng.normal(0, 0.01, len(exact)))

    one, same, other = seen((1, 1, 1), 0.9, 0.1), seen((1, 1, 1), 0.4, 0.3), seen((-1, 1, 1), 0.9, 0.1)
    assert difference(one, same) < 0.01
    assert 0.15 < difference(one, other) < 0.6


def test_the_difference_is_the_correlation_of_two_rendered_spheres() -> None:
    first, second = np.random.default_rng(8).normal(size=(2, 9))
    everywhere = _directions(400_000, 9)
    expected = (1 - np.corrcoef(shading(first, everywhere), shading(second, everywhere))[0, 1]) / 2
    lights = [Lighting(coefficients=light, residual=0, condition=1) for light in (first, second)]
    assert difference(*lights) == pytest.approx(expected, abs=0.01)
    turned = Lighting(coefficients=-3 * first + 5 * np.eye(9)[0], residual=0, condition=1)
    assert difference(lights[0], turned) == pytest.approx(1)


def test_normals_of_a_sphere_point_at_the_camera_and_outwards() -> None:
    found = of_sphere([(50, 50), (70, 50), (50, 30)], centre=(50, 50), radius=40)
    np.testing.assert_allclose(found, [(0, 0, 1), (0.5, 0, np.sqrt(0.75)), (0, 0.5, np.sqrt(0.75))], atol=1e-12)


def test_what_does_not_determine_the_light_is_refused() -> None:
    normals = _visible()
    flat = normals[normals[:, 2] > 0.995]
    with pytest.raises(InputError, match="vary too little"):
        lighting(flat, np.ones(len(flat)))
    with pytest.raises(InputError, match="vary too little"):
        lighting(np.tile(normals[:1], (20, 1)), np.ones(20))
    with pytest.raises(InputError, match="9 coefficients need 9 places"):
        lighting(normals[:8], np.ones(8))
    with pytest.raises(InputError, match="no light to tell"):
        lighting(normals, np.zeros(len(normals)))
    with pytest.raises(InputError, match="finite"):
        lighting(normals, np.full(len(normals), np.nan))
    with pytest.raises(InputError, match="order 1 or 2"):
        lighting(normals, np.ones(len(normals)), order=3)
    with pytest.raises(InputError, match="a normal"):
        lighting(normals[:, :2], np.ones(len(normals)))


def test_light_from_everywhere_has_neither_direction_nor_difference() -> None:
    ambient = Lighting(coefficients=np.eye(9)[0], residual=0, condition=1)
    side = Lighting(coefficients=np.eye(9)[3], residual=0, condition=1)
    with pytest.raises(InputError, match="no direction"):
        _ = ambient.direction
    with pytest.raises(InputError, match="nothing to compare"):
        difference(ambient, side)
    with pytest.raises(InputError, match="the same order"):
        difference(side, Lighting(coefficients=np.eye(4)[1], residual=0, condition=1))


def test_points_off_the_sphere_are_named() -> None:
    with pytest.raises(InputError, match=r"points \[1\]"):
        of_sphere([(50, 50), (95, 50)], (50, 50), 40)
    with pytest.raises(InputError, match="above 0"):
        of_sphere([(50, 50)], (50, 50), 0)
