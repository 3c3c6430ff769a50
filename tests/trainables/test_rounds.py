"""Fits in rounds: what a round is given, and that an interrupted stage goes on to the same last bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.toy import QUICK, context
from trainables.adaptation import auxselftrain, idann, pseudo_label
from trainables.context import LocalContext
from trainables.contract import AdaptationData, Config, Context, Outcome
from trainables.detector import Detector
from trainables.rounds import Carried, in_rounds
from trainables.saving import Saving

TIMES = {"seconds", "images_per_second"}


class KilledError(RuntimeError):
    pass


@dataclass(kw_only=True)
class Killed(LocalContext):
    """Dies when it has saved so often."""

    saves: int

    def save_state(self, state: Any) -> None:
        super().save_state(state)
        self.saves -= 1
        if not self.saves:
            raise KilledError


def _timeless(rows: Any) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


METHODS: list[tuple[Any, Config, int]] = [
    (pseudo_label, pseudo_label.Config(rounds=2, threshold=0.6, recipe=QUICK), 4),
    (auxselftrain, auxselftrain.Config(rounds=2, source="random", recipe=QUICK), 4),
    (idann, idann.Config(share=1.0, final="continue", final_epochs=2, recipe=QUICK), 4),
]


@pytest.mark.parametrize(("member", "config", "saves"), METHODS, ids=["pseudo_label", "auxselftrain", "idann"])
def test_a_stage_killed_after_any_save_goes_on_to_the_same_last_bit(
    member: Any,
    config: Config,
    saves: int,
    copies: Callable[[], Detector],
    data: AdaptationData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Saving, "SHARE", math.inf)  # after every epoch and every round
    whole = copies()
    expected = member.adapt(config, whole, data, context(tmp_path / "whole"))
    for number in range(1, saves + 1):
        folder = tmp_path / str(number)
        with pytest.raises(KilledError):
            member.adapt(config, copies(), data, Killed(folder=folder, saves=number))
        detector = copies()
        outcome = member.adapt(config, detector, data, context(folder))
        assert all(torch.equal(value, whole.state_dict()[name]) for name, value in detector.state_dict().items())
        assert outcome.metrics == expected.metrics
        assert _timeless(outcome.curves) == _timeless(expected.curves)
        assert outcome.images == expected.images


def test_rounds_count_on_and_have_seeds_of_their_own(trained: Detector, tmp_path: Path) -> None:
    seeds: list[int] = []
    reported: list[Mapping[str, float]] = []

    def turn(number: int, carried: Carried, within: Context) -> tuple[Carried, Outcome] | None:
        if number == 3:
            return None
        seeds.append(within.seed)
        assert within.load_state() is None
        rows = [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": 0.25}]
        for row in rows:
            within.report(row)
        metrics = {"epoch": 2.0} if number < 2 else {}
        return {"sum": carried["sum"] + number}, Outcome(metrics=metrics, curves=rows, images=10)

    local = LocalContext(folder=tmp_path, on_report=reported.append)
    standing = in_rounds(trained, local, {"sum": 1}, turn)
    assert standing.carried == {"sum": 4}
    assert [(row["round"], row["epoch"]) for row in standing.curves] == [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5), (3, 6)]
    assert list(standing.curves) == reported
    assert standing.outcome().metrics == {"epoch": 4, "round": 2}  # the last round that has figures
    assert standing.images == 30
    assert len(set(seeds)) == 3
