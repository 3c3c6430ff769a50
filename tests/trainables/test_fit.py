from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainables.toy import QUICK, context, toy_detector, toy_images
from trainables.context import LocalContext
from trainables.contract import Images, Pixels
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.fit import fit, train
from trainables.metrics import detection_metrics
from trainables.objective import SUPERVISED, Objective, Step
from trainables.recipe import Recipe
from trainables.saving import Saving
from trainables.score import score
from trainables.seeding import seeded
from trainables.stepping import DivergedError

TIMES = {"seconds", "images_per_second"}


def _weights(detector: Detector) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in detector.state_dict().items()}


def _equal(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def _timeless(rows: Any) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def test_a_trained_detector_tells_the_toy_apart(trained: Detector) -> None:
    test = toy_images(100, seed=9)
    assert detection_metrics(test.labels, score(trained, test.pixels))["accuracy"] >= 0.97


def test_curves_have_a_row_an_epoch_and_are_reported_as_they_come(
    source: Images, source_val: Images, tmp_path: Path
) -> None:
    reported: list[Mapping[str, float]] = []
    run = LocalContext(folder=tmp_path, on_report=reported.append)
    detector = toy_detector()
    outcome = train(type("C", (), {"recipe": QUICK, "ready": False})(), detector, source, source_val, run)
    assert list(outcome.curves) == reported
    assert [row["epoch"] for row in reported] == [1, 2]
    assert set(reported[0]) >= {"loss", "classification", "val_accuracy", "val_auroc", "val_loss", "learning_rate"}
    assert reported[0]["learning_rate"] == QUICK.learning_rate
    assert outcome.images == 2 * len(source)
    figures = detection_metrics(source_val.labels, score(detector, source_val.pixels))
    assert outcome.metrics["source_val_accuracy"] == figures["accuracy"]
    assert outcome.metrics["source_val_auroc"] == pytest.approx(figures["auroc"])


def test_one_seed_gives_one_result_to_the_last_bit(source: Images, source_val: Images, tmp_path: Path) -> None:
    results = []
    for run, seed in enumerate((0, 0, 1)):
        detector = toy_detector()
        torch.manual_seed(run)
        fit(detector, SUPERVISED, QUICK, source, source_val, context(tmp_path / str(run), seed))
        results.append(_weights(detector))
    assert _equal(results[0], results[1])
    assert not _equal(results[0], results[2])


class KilledError(RuntimeError):
    pass


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_killed_fit_goes_on_to_the_same_last_bit(
    source: Images,
    source_val: Images,
    target: Images,
    tmp_path: Path,
    optimiser: str,
    killed_after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Saving, "SHARE", math.inf)  # after every epoch
    recipe = Recipe(epochs=4, batch=32, optimiser=optimiser, learning_rate=2e-3)

    def run(folder: Path, on_report: Any = None) -> tuple[Any, dict[str, torch.Tensor]]:
        detector, head = toy_detector(), nn.Linear(32, 1)
        nn.init.constant_(head.weight, 0.1)
        nn.init.zeros_(head.bias)
        objective = Objective(
            terms={**SUPERVISED.terms, "extra": lambda step: head(step.target_features).square().mean()},
            modules={"head": head},
        )
        local = LocalContext(folder=folder, on_report=on_report)
        fitted = fit(detector, objective, recipe, source, source_val, local, target=target.without_labels())
        return fitted, _weights(detector)

    def kill(row: Mapping[str, float]) -> None:
        if row["epoch"] == killed_after:
            raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path / "killed", kill)
    resumed: list[Mapping[str, float]] = []
    fitted, weights = run(tmp_path / "killed", resumed.append)
    whole, expected = run(tmp_path / "whole")
    assert _equal(weights, expected)
    assert _timeless(fitted.curves) == _timeless(whole.curves)
    assert len(resumed) == 4 - killed_after


def test_saving_costs_a_tenth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("trainables.saving.time.perf_counter", lambda: clock[0])
    saved: list[float] = []

    def save() -> None:
        clock[0] += 2.0  # seconds that one state takes
        saved.append(clock[0])

    saving = Saving()
    for _ in range(100):
        clock[0] += 1.0  # an epoch
        saving.now_and_then(save)
    assert len(saved) == 5
    assert all(later - earlier >= 20 for earlier, later in pairwise(saved))


def test_a_batch_in_parts_is_the_same_step(source: Images, source_val: Images, tmp_path: Path) -> None:
    whole, parts = _without_batchnorm(), _without_batchnorm()
    before = _weights(whole)
    recipe = Recipe(epochs=2, batch=16, optimiser="sgd", learning_rate=0.1)
    fit(whole, SUPERVISED, recipe, source, source_val, LocalContext(folder=tmp_path / "whole"))
    fit(parts, SUPERVISED, recipe, source, source_val, LocalContext(folder=tmp_path / "parts", accumulate=3))
    assert not _equal(_weights(whole), before)
    for name, tensor in _weights(whole).items():
        assert torch.allclose(tensor, _weights(parts)[name], atol=1e-5), name


def _without_batchnorm() -> Detector:
    with seeded(0, "weights"):
        convolution, head = nn.Conv2d(3, 8, 3), nn.Linear(8, 2)
    return Detector(
        front=nn.Identity(),
        body=nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        head=head,
        layers={"convolution": convolution},
        feature_dim=8,
        min_size=3,
        classes=2,
    )


@pytest.mark.parametrize("top", [None, 1])
def test_validation_is_of_images_by_those_of_their_squares_that_count(
    source: Images, source_val: Images, tmp_path: Path, top: int | None
) -> None:
    pairs = source_val.take(np.argsort(source_val.labels, kind="stable"))  # of one class
    held_out = replace(pairs, ids=[f"{k // 2:02}/{k % 2}" for k in range(len(pairs))], views=2, top=top)
    detector = toy_detector()
    fitted = fit(detector, SUPERVISED, Recipe(epochs=1), source, held_out, context(tmp_path))
    fake = np.sort(score(detector, pairs.pixels).astype(np.float64).reshape(-1, 2))[:, 2 - (top or 2) :].mean(axis=1)
    labels = pairs.labels[::2]
    assert fitted.curves[0]["val_accuracy"] == pytest.approx(np.mean((fake > 0.5) == labels))
    assert fitted.curves[0]["val_loss"] == pytest.approx(
        -np.log(np.where(labels == 1, fake, 1 - fake)).mean(), rel=1e-4
    )


def test_the_selected_epochs_weights_are_kept(source: Images, source_val: Images, tmp_path: Path) -> None:
    def first(curves: Any) -> int:
        del curves
        return 0

    kept, one = toy_detector(), toy_detector()
    recipe = QUICK.model_copy(update={"schedule": "constant"})
    fitted = fit(kept, SUPERVISED, recipe, source, source_val, context(tmp_path / "a"), select=first)
    once = recipe.model_copy(update={"epochs": 1})
    fit(one, SUPERVISED, once, source, source_val, context(tmp_path / "b"))
    assert (fitted.chosen, len(fitted.curves)) == (0, 2)
    assert _equal(_weights(kept), _weights(one))


def test_terms_see_as_many_target_as_source_images_of_one_pass(
    source: Images, source_val: Images, target: Images, tmp_path: Path
) -> None:
    seen: list[Step] = []

    def look(step: Step) -> torch.Tensor:
        seen.append(step)
        step.figures["two"] = torch.tensor(2.0)
        return step.features.sum() * 0

    objective = Objective(terms={**SUPERVISED.terms, "look": look})
    detector = toy_detector()
    fitted = fit(detector, objective, QUICK, source, source_val, context(tmp_path), target=target.without_labels())
    assert {(len(s.features), len(s.target_features), len(s.labels)) for s in seen} == {(16, 16, 16)}
    assert [s.progress for s in seen] == pytest.approx(np.arange(16) / 16)
    assert fitted.curves[0]["two"] == 2
    assert fitted.curves[0]["look"] == 0
    assert fitted.images == 2 * 2 * len(source)
    assert "two" not in dict(detector.named_parameters())


def test_a_step_is_what_torch_does_by_hand(source: Images, source_val: Images, tmp_path: Path) -> None:
    few = source.take(np.arange(20))
    recipe = Recipe(epochs=1, batch=32, flips=False, optimiser="sgd", learning_rate=0.1, weight_decay=0)
    fitted_detector, by_hand = toy_detector(), toy_detector().train()
    fit(fitted_detector, SUPERVISED, recipe, few, source_val, context(tmp_path))
    logits = by_hand(as_input(few.pixels[:]))
    nn.functional.cross_entropy(logits, torch.from_numpy(few.labels)).backward()
    with torch.no_grad():
        for parameter in by_hand.parameters():
            if parameter.grad is not None:
                # Nesterov's first step is (1 + momentum) times the gradient.
                parameter -= 0.1 * 1.9 * parameter.grad
    for name, value in by_hand.state_dict().items():
        torch.testing.assert_close(fitted_detector.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_not_finite_is_an_error_that_says_which(
    source: Images, source_val: Images, tmp_path: Path
) -> None:
    objective = Objective(terms={**SUPERVISED.terms, "broken": lambda step: step.logits.sum() * float("nan")})
    with pytest.raises(DivergedError, match=r"epoch 1.*'broken': nan"):
        fit(toy_detector(), objective, QUICK, source, source_val, context(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_sharpness_aware_step_is_two_passes_and_the_first_says_so(
    source: Images, source_val: Images, tmp_path: Path
) -> None:
    passes: list[bool] = []

    def look(step: Step) -> torch.Tensor:
        passes.append(step.first_pass)
        return SUPERVISED.terms["classification"](step)

    for sharpness, expected in ((0.05, [True, False] * 8), (0.0, [False] * 8)):
        objective = Objective(terms={"classification": look}, sharpness=sharpness)
        recipe = QUICK.model_copy(update={"epochs": 1})
        fit(toy_detector(), objective, recipe, source, source_val, context(tmp_path / str(sharpness)))
        assert passes == expected
        passes.clear()


def test_two_figures_of_one_name_are_refused(source: Images, source_val: Images, tmp_path: Path) -> None:
    tell = Objective(before_epoch=(lambda *_: {"fakes": 0.1},))
    twice = SUPERVISED.joined(tell).joined(tell)
    beside_a_term = SUPERVISED.joined(Objective(before_epoch=(lambda *_: {"classification": 0.1},)))
    for objective, name in ((twice, "fakes"), (beside_a_term, "classification")):
        with pytest.raises(InputError, match="tell a figure of one name") as told:
            fit(toy_detector(), objective, QUICK, source, source_val, context(tmp_path))
        assert told.value.value == [name]


def test_too_few_images_and_batches_that_cannot_be_shared_are_refused(source: Images, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too few images"):
        fit(toy_detector(), SUPERVISED, QUICK, source.take(np.arange(1)), source, context(tmp_path))
    three = LocalContext(folder=tmp_path, world_size=3)
    with pytest.raises(InputError, match="3 workers cannot share"):
        fit(toy_detector(), SUPERVISED, QUICK, source, source, three)


@dataclass(kw_only=True)
class OneOfTwo(LocalContext):
    """One worker of two in this process, the other having the same numbers: sees how work is shared."""

    world_size: int = 2
    gathered: list[tuple[int, ...]] = field(default_factory=list)

    def gather(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self.gathered.append(values.shape)
        return np.concatenate([values, values])


def test_a_worker_trains_and_scores_its_share(source: Images, source_val: Images, tmp_path: Path) -> None:
    sizes: list[int] = []
    objective = Objective(
        terms={
            "classification": lambda step: sizes.append(len(step.labels)) or SUPERVISED.terms["classification"](step)
        }
    )
    worker = OneOfTwo(folder=tmp_path)
    half = source_val.take(np.concatenate([np.arange(32), np.arange(32)]))
    fitted = fit(toy_detector(), objective, QUICK, source, half, worker)
    assert set(sizes) == {8}
    assert len(sizes) == 16
    assert (32,) in worker.gathered
    assert 0 <= fitted.curves[-1]["val_accuracy"] <= 1


class Decoded:
    """Pixels that are made when they are asked for, and say by whom."""

    def __init__(self, pixels: Pixels, broken_after: int = 10**9) -> None:
        self._pixels, self.shape = pixels, pixels.shape
        self._left = broken_after
        self.readers: set[str] = set()

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: Any, /) -> np.ndarray[Any, Any]:
        self.readers.add(threading.current_thread().name)
        self._left -= 1
        if self._left < 0:
            raise InputError("the file is gone", where="images/7.png")
        return self._pixels[index]


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("augment", ["none", "cnndetection"])
def test_reading_ahead_does_not_change_a_bit(
    source: Images, source_val: Images, target: Images, tmp_path: Path, accumulate: int, augment: str
) -> None:
    recipe = Recipe.model_validate({**QUICK.model_dump(), "augment": augment})
    few, results = source.take(np.arange(48)), []
    for run, streamed in enumerate((False, True)):
        detector = toy_detector()
        decoded = Decoded(few.pixels)
        images = replace(few, pixels=decoded) if streamed else few
        local = LocalContext(folder=tmp_path / str(run), accumulate=accumulate)
        fitted = fit(detector, SUPERVISED, recipe, images, source_val, local, target=target.without_labels())
        results.append((_weights(detector), _timeless(fitted.curves)))
        assert not streamed or all(name.startswith("ahead") for name in decoded.readers)
    assert _equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_an_image_that_cannot_be_read_in_training_is_told_and_the_thread_ends(
    source: Images, source_val: Images, tmp_path: Path
) -> None:
    broken = replace(source, pixels=Decoded(source.pixels, broken_after=4))
    with pytest.raises(InputError, match=r"images/7\.png: the file is gone"):
        fit(toy_detector(), SUPERVISED, QUICK, broken, source_val, context(tmp_path))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_augmented_images_are_what_is_trained_on(source: Images, source_val: Images, tmp_path: Path) -> None:
    results = []
    for run, augment in enumerate(("none", "cnndetection", "cnndetection")):
        detector = toy_detector()
        recipe = Recipe.model_validate({**QUICK.model_dump(), "augment": augment})
        fit(detector, SUPERVISED, recipe, source, source_val, context(tmp_path / str(run)))
        results.append(_weights(detector))
    assert _equal(results[1], results[2])
    assert not _equal(results[0], results[1])


def test_an_augmented_fit_that_was_killed_goes_on_to_the_same_last_bit(
    source: Images, source_val: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Saving, "SHARE", math.inf)
    recipe = Recipe.model_validate({"epochs": 3, "batch": 32, "augment": {"blur": 0.5, "scale": [0.8, 1.2]}})

    def run(folder: Path, on_report: Any = None) -> dict[str, torch.Tensor]:
        detector = toy_detector()
        fit(detector, SUPERVISED, recipe, source, source_val, LocalContext(folder=folder, on_report=on_report))
        return _weights(detector)

    def kill(row: Mapping[str, float]) -> None:
        if row["epoch"] == 1:
            raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path / "killed", kill)
    assert _equal(run(tmp_path / "killed"), run(tmp_path / "whole"))
