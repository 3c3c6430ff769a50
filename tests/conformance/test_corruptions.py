"""What every corruption of the registry must do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from tests.trainables.photographs import PHOTOGRAPHS, SIDE
from trainables.contract import Config, Images
from trainables.corruption import corrupted
from trainables.registry import CORRUPTIONS

pytestmark = pytest.mark.parametrize("kind", sorted(CORRUPTIONS))

NOT_BY_DEGREES = ("rotation", "social")
"""Their pixels move, and that hides how much their values change: the mean difference says nothing of the severity."""


def _corrupt(kind: str, image: NDArray[np.uint8], seed: int = 0, **parameters: Any) -> NDArray[np.uint8]:
    member: Any = CORRUPTIONS[kind].load()
    result: NDArray[np.uint8] = member.corrupt(member.Config(**parameters), image, np.random.default_rng(seed))
    return result


def _preset(kind: str) -> list[dict[str, float]]:
    """Parameters from mild to strong; the defaults where there is no severity."""
    member: Any = CORRUPTIONS[kind].load()
    return [{member.SEVERITY: value} for value in member.PRESET] or [{}]


def _images(labels: list[int]) -> Images:
    return Images(
        pixels=PHOTOGRAPHS,
        labels=np.array(labels),
        ids=[f"{k:064x}" for k in range(len(PHOTOGRAPHS))],
        generators=["fake" if label else "real" for label in labels],
    )


def test_it_gives_an_image_of_bytes_and_leaves_its_own_alone(kind: str) -> None:
    for parameters in _preset(kind):
        image = PHOTOGRAPHS[0].copy()
        image.setflags(write=False)
        result = _corrupt(kind, image, **parameters)
        assert result.dtype == np.uint8
        assert result.shape == (SIDE, SIDE, 3)
        assert not np.shares_memory(result, image)
        np.testing.assert_array_equal(image, PHOTOGRAPHS[0])


def test_identity_and_only_identity_changes_nothing(kind: str) -> None:
    same = [np.array_equal(_corrupt(kind, image), image) for image in PHOTOGRAPHS]
    assert all(same) if "identity" in CORRUPTIONS[kind].traits else not any(same)


def test_the_same_image_and_draws_give_the_same_result(kind: str) -> None:
    np.testing.assert_array_equal(_corrupt(kind, PHOTOGRAPHS[1], 3), _corrupt(kind, PHOTOGRAPHS[1].copy(), 3))


def test_sides_that_differ_or_are_odd_stay_so(kind: str) -> None:
    image = PHOTOGRAPHS[0][:41, :64]
    assert _corrupt(kind, image).shape == (41, 64, 3)
    assert _corrupt(kind, np.ascontiguousarray(image[:8, :9])).shape == (8, 9, 3)


def test_size_of_the_result_depends_on_the_size_of_the_image_alone(kind: str) -> None:
    fields = CORRUPTIONS[kind].config.model_fields
    for parameters in ({}, {"back": False}) if "back" in fields else ({},):
        blank = _corrupt(kind, np.zeros_like(PHOTOGRAPHS[0]), **parameters)
        for seed, image in enumerate(PHOTOGRAPHS):
            assert _corrupt(kind, image, seed, **parameters).shape == blank.shape


def test_both_classes_are_treated_alike(kind: str) -> None:
    config: Config = CORRUPTIONS[kind].config()
    views = [corrupted(_images(labels), kind, config) for labels in ([0, 0, 0], [1, 1, 1])]
    np.testing.assert_array_equal(views[0].pixels[:], views[1].pixels[:])


def test_preset_goes_from_mild_to_strong(kind: str) -> None:
    member: Any = CORRUPTIONS[kind].load()
    assert bool(member.SEVERITY) == bool(member.PRESET) == bool(member.UNIT)
    assert list(member.PRESET) in (sorted(member.PRESET), sorted(member.PRESET, reverse=True))
    assert not member.SEVERITY or member.SEVERITY in member.Config.model_fields
    if kind not in NOT_BY_DEGREES:
        for image in PHOTOGRAPHS:
            results = [_corrupt(kind, image, **parameters).astype(int) for parameters in _preset(kind)]
            changes = [np.abs(result - image).mean() for result in results]
            assert (np.diff(changes) > 0).all()


def test_preset_leads_away_from_what_changes_least(kind: str) -> None:
    member: Any = CORRUPTIONS[kind].load()
    if not member.SEVERITY:
        return
    away = np.abs(np.array(member.PRESET) - member.NEUTRAL)
    assert (np.diff([0, *away]) > 0).all()
    values = (member.NEUTRAL, member.PRESET[0])
    least, mild = (_corrupt(kind, PHOTOGRAPHS[0], **{member.SEVERITY: value}).astype(int) for value in values)
    assert np.abs(least - PHOTOGRAPHS[0]).mean() < np.abs(mild - PHOTOGRAPHS[0]).mean()


def test_numbers_out_of_bounds_and_nonsense_are_refused(kind: str) -> None:
    config = CORRUPTIONS[kind].config
    with pytest.raises(ValidationError, match="nonsense"):
        config(nonsense=1)
    for name, field in config.model_fields.items():
        values: list[Any] = ["nonsense", [1]]
        if field.annotation in (int, float, int | None, float | None):
            values += [-1e6, 1e6, float("nan"), float("inf")]
        for value in values:
            with pytest.raises(ValidationError):
                config(**{name: value})


def test_every_parameter_is_explained_with_its_room(kind: str) -> None:
    member: Any = CORRUPTIONS[kind].load()
    for name in member.Config.model_fields:
        assert f"{name}:" in member.Config.__doc__


def test_its_page_has_its_severity_and_preset(kind: str) -> None:
    member: Any = CORRUPTIONS[kind].load()
    page = (Path(__file__).parents[2] / "docs" / "corruptions.md").read_text("utf-8")
    severity = f"`{member.SEVERITY}`, {member.UNIT}" if member.SEVERITY else "none"
    values = ", ".join(f"{value:g}" for value in member.PRESET)
    assert f"| `{kind}` | {severity} | {values}".rstrip() in page
