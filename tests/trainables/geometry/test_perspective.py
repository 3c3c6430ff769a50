"""Scenes seen through a known camera: parallel edges, shadows, mirrors."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from trainables.errors import InputError
from trainables.geometry.perspective import Meeting, horizon, light, meeting

Array = NDArray[np.float64]
SIZE, FOCAL = (640, 480), 500.0


def _camera(points: ArrayLike, tilt: float = 0.2) -> Array:
    """(…, 3) points, x right, y down, z away from the camera, to (…, 2) pixels; tilted downwards about x."""
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    seen = np.asarray(points, dtype=np.float64) @ turn.T
    return np.asarray(FOCAL * seen[..., :2] / seen[..., 2:] + [SIZE[0] / 2, SIZE[1] / 2])


def _vanishing(direction: ArrayLike, tilt: float = 0.2) -> Array:
    """Where lines along this direction meet: the image of a point far out."""
    return _camera(np.asarray(direction, dtype=np.float64) * 1e9, tilt)


def _parallels(direction: ArrayLike, count: int, seed: int) -> Array:
    """(N, 2, 2) images of edges of length 2 along a direction, at random places in front of the camera."""
    starts = np.random.default_rng(seed).uniform((-3, -2, 6), (3, 2, 12), (count, 3))
    along = np.asarray(direction, dtype=np.float64)
    return _camera(np.stack([starts, starts + 2 * along / np.linalg.norm(along)], axis=1))


def _place(found: Meeting) -> Array:
    assert found.at is not None
    return found.at


def test_parallel_edges_meet_in_their_vanishing_point() -> None:
    found = meeting(_parallels((1, 0.2, 2), 6, seed=0))
    np.testing.assert_allclose(_place(found), _vanishing((1, 0.2, 2)), rtol=1e-6)
    assert found.residuals.max() < 1e-6
    assert found.within(0.01)


def test_marks_that_are_off_by_a_pixel_move_it_little_and_leave_residuals_of_a_pixel() -> None:
    segments = _parallels((1, 0, 1), 20, seed=1)
    errors = []
    for seed in range(20):
        noisy = segments + np.random.default_rng(seed).normal(0, 0.5, segments.shape)
        found = meeting(noisy)
        assert 0.05 < found.residuals.mean() < 1
        errors.append(np.linalg.norm(_place(found) - _vanishing((1, 0, 1))))
    assert np.median(errors) < 25  # pixels, of a point 570 pixels from the middle


def test_residuals_are_distances_from_the_line_through_the_middle_and_the_point() -> None:
    found = meeting(_parallels((1, 0, 1), 5, seed=2) + np.random.default_rng(3).normal(0, 2, (5, 2, 2)))
    noisy = _parallels((1, 0, 1), 5, seed=2) + np.random.default_rng(3).normal(0, 2, (5, 2, 2))
    for (a, b), residual in zip(noisy, found.residuals, strict=True):
        middle = (a + b) / 2
        along = (_place(found) - middle) / np.linalg.norm(_place(found) - middle)
        offset = a - middle
        assert abs(offset[0] * along[1] - offset[1] * along[0]) == pytest.approx(residual, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_no_point_fits_much_better(seed: int) -> None:
    noisy = _parallels((1, 0, 1), 8, seed=4) + np.random.default_rng(seed).normal(0, 1, (8, 2, 2))
    found = _place(meeting(noisy))

    def cost(point: Array) -> float:
        total = 0.0
        for a, b in noisy:
            middle, offset = (a + b) / 2, (a - b) / 2
            along = (point - middle) / np.linalg.norm(point - middle)
            total += (offset[0] * along[1] - offset[1] * along[0]) ** 2
        return total

    best = minimize(cost, _vanishing((1, 0, 1)), method="Nelder-Mead", options={"xatol": 1e-3, "maxiter": 2000})
    assert cost(found) == pytest.approx((meeting(noisy).residuals ** 2).sum())
    assert cost(found) < 1.01 * best.fun


def test_edges_parallel_to_the_image_meet_at_infinity() -> None:
    segments = np.array([[(x, 10.0), (x, 200.0 + x)] for x in (100.0, 200.0, 350.0)])
    found = meeting(segments)
    assert found.at is None
    np.testing.assert_allclose(np.abs(found.point), (0, 1, 0), atol=1e-9)
    assert found.residuals.max() < 1e-9
    assert not found.sides.any()


def test_an_edge_that_is_not_parallel_stands_out() -> None:
    segments = np.concatenate([_parallels((1, 0, 2), 7, seed=6), _parallels((1, 1.5, 2), 1, seed=7)])
    found = meeting(segments)
    assert found.residuals.argmax() == 7
    assert not found.within(2)


def _cast(light_at: ArrayLike, count: int, seed: int) -> tuple[Array, Array]:
    """Points above the floor y = 1.5, and where a lamp or the sun casts their shadows on it; both in pixels.

    Args:
        light_at: (4,) homogeneous; the last 0 for the sun.
    """
    place = np.asarray(light_at, dtype=np.float64)
    tops = np.random.default_rng(seed).uniform((-2, 0, 6), (2, 1, 9), (count, 3))
    rays = tops - place[:3] if place[3] else np.broadcast_to(-place[:3], tops.shape)
    shadows = tops + rays * ((1.5 - tops[:, 1]) / rays[:, 1])[:, None]
    return _camera(tops), _camera(shadows)


@pytest.mark.parametrize(
    ("light_at", "side"),
    [((1, -4, 20, 1), 1), ((0.3, -1, 1.5, 0), 1), ((0.2, -1, -1, 0), -1)],
    ids=["lamp", "sun", "behind"],
)
def test_shadows_point_at_the_image_of_their_light(light_at: tuple[float, ...], side: int) -> None:
    objects, shadows = _cast(light_at, 6, seed=8)
    found = light(objects, shadows)
    expected = _camera(light_at[:3]) if light_at[3] else _vanishing(light_at[:3])
    np.testing.assert_allclose(_place(found), expected, rtol=1e-5)
    assert (found.sides == side).all()


def test_a_shadow_pasted_from_another_light_does_not_fit() -> None:
    first, other = _cast((0.3, -1, 1.5, 0), 6, seed=9), _cast((-1.5, -1, 1, 0), 6, seed=9)
    shadows = np.concatenate([first[1][:5], other[1][5:]])
    assert light(*first).within(0.01)
    assert not light(first[0], shadows).within(5)


def test_points_and_their_reflections_meet() -> None:
    normal = np.array([0.8, 0.0, -0.6])
    points = np.random.default_rng(10).uniform((-2, -1, 6), (2, 1, 8), (5, 3))
    mirrored = points - 2 * ((points - (1, 0, 12)) @ normal)[:, None] * normal
    found = meeting(np.stack([_camera(points), _camera(mirrored)], axis=1))
    np.testing.assert_allclose(_place(found), _vanishing(normal), rtol=1e-5)


def test_level_edges_have_their_vanishing_points_on_the_horizon() -> None:
    level = [meeting(_parallels(d, 6, seed=11)) for d in ((1, 0, 1), (-1, 0, 2), (0.2, 0, 1), (1, 0, 0))]
    found = horizon(level, SIZE, FOCAL)
    middle_of_horizon = _vanishing((0, 0, 1))
    assert found.angles.max() < 1e-4
    np.testing.assert_allclose(np.abs(found.line), (0, 1, middle_of_horizon[1]), atol=1e-3)
    sloped = meeting(_parallels((1, 0.4, 2), 6, seed=12))
    assert horizon([*level[:3], sloped], SIZE, FOCAL).angles.max() > 1


def test_what_determines_no_point_is_refused() -> None:
    with pytest.raises(InputError, match="lie on one line"):
        meeting([[(0, 0), (1, 1)], [(2, 2), (5, 5)], [(7, 7), (8, 8)]])
    with pytest.raises(InputError, match="two lines always meet"):
        meeting([[(0, 0), (1, 1)], [(2, 3), (5, 5)]])
    with pytest.raises(InputError, match=r"no length.*\n.*segments \[1\]"):
        meeting([[(0, 0), (1, 1)], [(2, 3), (2, 3)], [(4, 4), (3, 7)]])
    with pytest.raises(InputError, match="finite"):
        meeting([[(0, 0), (1, 1)], [(2, 3), (2, np.inf)], [(4, 4), (3, 7)]])


def test_what_determines_no_horizon_is_refused() -> None:
    one = meeting(_parallels((1, 0, 1), 5, seed=13))
    with pytest.raises(InputError, match="mark a third"):
        horizon([one, one], SIZE)
    with pytest.raises(InputError, match="in one place"):
        horizon([one, one, one], SIZE)
    across = [meeting([[(x, y), (x + 90 * c, y + 90 * s)] for x, y in ((9, 9), (50, 70), (200, 20))])
              for c, s in ((1, 0), (0, 1), (0.6, 0.8))]  # fmt: skip
    with pytest.raises(InputError, match="no horizon"):
        horizon(across, SIZE)
