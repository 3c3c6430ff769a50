"""What is kept of every epoch: the file, its sizes, and who may know which labels."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from trainables.errors import InputError, LabelLeakError
from trainables.selection.trace import ORACLE, SOURCE, TARGET, TEST, THIRD, WIDTH, Trace, narrowed

IDS = {SOURCE: ["a", "b", "c"], TARGET: ["d", "e"], f"{THIRD}gan": ["f"], ORACLE: ["g", "h"], TEST: ["i", "j", "k"]}
KNOWN = {SOURCE: {"c": 1, "b": 0, "a": 1}, ORACLE: {"g": 0, "h": 1}}


def made(epochs: int = 3) -> Trace:
    rng = np.random.default_rng(0)
    trace = Trace(ids=IDS)
    for _ in range(epochs):
        odds = {name: rng.normal(0, 2, len(ids)).astype(np.float32) for name, ids in IDS.items()}
        seen = {name: narrowed(rng.normal(0, 1, (len(IDS[name]), 4)).astype(np.float32)) for name in (SOURCE, TARGET)}
        trace = trace.grown(odds, seen)
    return trace


def test_a_trace_comes_back_from_its_file_bit_for_bit(tmp_path: Path) -> None:
    trace = made()
    trace.save(tmp_path / "cell" / "epochs.safetensors")
    found = Trace.load(tmp_path / "cell" / "epochs.safetensors")
    assert len(found) == len(trace) == 3
    assert found.ids == IDS
    for field in fields(Trace)[1:]:
        kept, loaded = getattr(trace, field.name), getattr(found, field.name)
        assert kept.keys() == loaded.keys()
        for name, array in kept.items():
            assert array.dtype == loaded[name].dtype
            assert np.array_equal(array, loaded[name])
    assert found.log_odds[TEST].shape == (3, 3)
    assert found.features[TARGET].shape == (3, 2, 4)


@pytest.mark.parametrize("content", [None, b"not a trace"], ids=["none", "another file"])
def test_what_is_no_trace_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "epochs.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="no trace"):
        Trace.load(tmp_path / "epochs.safetensors")


def test_an_epoch_has_the_answers_of_its_row_and_labels_by_image() -> None:
    trace = made()
    epoch = trace.epoch(1, KNOWN)
    assert epoch.source.log_odds.tolist() == trace.log_odds[SOURCE][1].tolist()
    assert epoch.source.labels.tolist() == [1, 0, 1]
    assert epoch.target.features.tolist() == trace.features[TARGET][1].tolist()
    assert epoch.third.keys() == {"gan"}
    assert epoch.third["gan"].labels.tolist() == [1]
    assert epoch.third["gan"].features.shape == (1, 0)
    assert epoch.oracle is not None
    assert epoch.oracle.labels.tolist() == [0, 1]
    assert trace.epoch(1, {SOURCE: KNOWN[SOURCE]}).oracle is None


def test_no_labels_of_the_target_reach_a_rule() -> None:
    trace = made()
    with pytest.raises(LabelLeakError, match="target images are unlabelled"):
        _ = trace.epoch(0, KNOWN).target.labels
    for name in (TARGET, TEST):
        with pytest.raises(LabelLeakError, match=name):
            trace.epoch(0, {**KNOWN, name: dict.fromkeys(IDS[name], 1)})


def test_held_out_labels_of_the_target_reach_the_oracle_alone() -> None:
    trace = made()
    right = (trace.log_odds[ORACLE][0] > 0) == np.array([False, True])
    assert trace.value("oracle", 0, KNOWN) == right.mean()
    wrong = {**KNOWN, ORACLE: {"g": 1, "h": 0}}
    assert trace.value("oracle", 0, wrong) == 1 - right.mean()
    for rule in ("source_val", "im", "leave_one_out"):
        assert trace.value(rule, 0, wrong) == trace.value(rule, 0, {SOURCE: KNOWN[SOURCE]})
    assert np.isnan(trace.value("oracle", 0, {SOURCE: KNOWN[SOURCE]}))


def test_narrow_features_are_kept_as_they_are_and_never_overflow() -> None:
    features = np.array([[0.5, -2.0], [1e6, -1e9]], np.float32)
    assert narrowed(features).tolist() == [[0.5, -2.0], [65504.0, -65504.0]]
    assert narrowed(features).dtype == np.float16


def test_wide_features_keep_their_distances_and_angles_in_a_projection() -> None:
    features = np.random.default_rng(1).normal(0, 1, (40, 600)).astype(np.float32)
    features[20:] += 1
    kept = narrowed(features)
    assert kept.shape == (40, WIDTH)
    assert np.array_equal(narrowed(features[3:4]), kept[3:4])
    pairs = np.triu_indices(40, 1)
    before, after = (np.linalg.norm(x[:, None] - x[None], axis=2)[pairs] for x in (features, kept.astype(np.float64)))
    assert (after / before).mean() == pytest.approx(1, abs=0.03)
    assert np.abs(after / before - 1).max() < 0.35
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (features, kept.astype(np.float64))]
    first, second = ((x @ x.T)[pairs] for x in unit)
    assert np.abs(first - second).mean() < 0.1
