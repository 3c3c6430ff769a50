"""Sequences of generators in a synthetic store: steps of every method, with scores whose quality is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.store.tables import SCORES_FILE
from tests.reports.synthetic import Store, scores_of

HELD = {"naive": 0.2, "lwf": 0.6, "ewc": 0.6, "replay": 0.8, "joint": 1.0}
"""The share of what was learnt that a method keeps at every later step."""


def add_sequence(
    store: Store,
    generators: Sequence[str],
    methods: Sequence[str] = ("joint", "lwf", "naive"),
    *,
    name: str = "",
    epochs: int = 3,
    detector: str = "residual_cnn",
) -> None:
    """Every step and its scores, from the source detectors that the store has, for each of their seeds."""
    for model in store.find(Stage.TRAIN, source=generators[0], detector=detector):
        for method in methods:
            before = model
            for step in range(1, len(generators)):
                before = _step(store, before, generators, step, method, name or "-".join(generators), epochs)


def _step(
    store: Store, before: Cell, generators: Sequence[str], step: int, method: str, sequence: str, epochs: int
) -> Cell:
    tags = replace(before.tags, target=generators[step], adaptation=method, sequence=sequence)
    params: dict[str, Any] = {
        "adaptation": {"recipe": {"epochs": epochs}},
        "earlier": {name: ["camera_a"] for name in generators[:step]},
        "target": generators[step],
    }
    cell = Cell(stage=Stage.ADAPT, method=method, params=params, tags=tags, needs=(before.id,))
    if cell not in store.cells:
        store.add(cell, curves=[{"epoch": 1.0, "loss": 0.5, "val_accuracy": 0.9}], seconds=10.0, images=400)
    for place, test in enumerate(generators):
        _score(store, cell, test, 5.0 * HELD[method] ** (step - place) if place <= step else 0.5)
    return cell


def _score(store: Store, model: Cell, test: str, margin: float) -> None:
    tags: Tags = replace(model.tags, test=test)
    cell = Cell(stage=Stage.SCORE, method="clean", params={"test": test}, tags=tags, needs=(model.id,))
    if cell not in store.cells:
        table = scores_of(test, margin, sum(map(ord, model.id)) + tags.seed, store.images)
        accuracy = float(((table["score"] > 0.5) == table["label"]).mean())
        store.add(cell, files=(SCORES_FILE,), seconds=0.5, images=len(table), metrics={"accuracy": accuracy})
        store.write(cell, table)
