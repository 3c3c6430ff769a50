"""A small finished study, made of real cells, records and files, with scores whose quality is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from orchestrator.plan.cells import Cell, CellId, Digest, Reading, Stage, Tags
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.records import Failure, Record, Status
from orchestrator.store.tables import ATTACKS, ROWS_FILE, SCORES_FILE, write_rows, write_scores
from orchestrator.study.rooms import CorruptionChoice
from orchestrator.study.sweep import expanded

GENERATORS = ("tconv", "nearest", "bilinear", "latent8")
METHODS = ("recalibrate", "adabn", "coral", "dann")
CAMERAS = ("camera_a", "camera_b")
JPEG = {"kind": "jpeg", "name": "jpeg70", "quality": 70}
MARGIN = {
    **{"source_only": 0.5, "recalibrate": 0.5, "adabn": 1.0, "coral": 2.0, "dann": 3.0, "fgda": 2.5, "few_shot": 3.5},
    **{"source_longer": 1.0, "oracle": 5.0},
}
"""How far apart a method's scores of fakes and reals are off the diagonal, in standard deviations."""
EPOCHS = 6
AT_ONCE = ("recalibrate", "adabn")
"""Methods that have no epochs: the detector as handed back is their only checkpoint."""
LABELLED = {"few_shot": ("adapt", "few"), "oracle": ("adapt", "train", "val")}
"""The splits of the target that are read by methods that see its labels."""


@dataclass
class Store:
    """A synthetic store: everything a report reads, and the means to break it."""

    root: Path
    cells: list[Cell] = field(default_factory=list)
    records: dict[CellId, Record] = field(default_factory=dict)
    images: int = 60
    looked_at: bool = True
    rules: tuple[str, ...] = ()

    @property
    def artifacts(self) -> Artifacts:
        return Artifacts(self.root)

    @property
    def study(self) -> dict[str, Any]:
        return {
            "name": "demo",
            "description": "a synthetic store",
            "train_generators": list(GENERATORS),
            "seeds": [0],
            "selection": "source_val",
        }

    def add(self, cell: Cell, **known: Any) -> Cell:
        """File a cell as done."""
        self.cells.append(cell)
        self.records[cell.id] = _record(cell, **known)
        return cell

    def find(self, stage: Stage, **tags: Any) -> list[Cell]:
        """The cells of a stage with these tags."""
        return [c for c in self.cells if c.stage is stage and all(getattr(c.tags, k) == v for k, v in tags.items())]

    def drop(self, cells: Iterable[Cell]) -> None:
        """Make cells not done yet."""
        for cell in cells:
            self.records.pop(cell.id, None)

    def fail(self, cell: Cell) -> None:
        """Make a cell failed, and every cell that needs it blocked."""
        failure = Failure(kind="RuntimeError", message="loss is <nan>", traceback="Traceback:\n  boom")
        self.records[cell.id] = _record(cell, status=Status.FAILED, failure=failure)
        for child in self.cells:
            if cell.id in child.needs:
                blocked = Failure(kind="blocked", message=cell.name)
                self.records[child.id] = _record(child, status=Status.BLOCKED, failure=blocked)

    def write(self, cell: Cell, scores: pd.DataFrame) -> None:
        """Put a table of scores in a cell's folder."""
        columns = [scores[name].to_numpy() for name in ("image", "label", "generator", "score")]
        write_scores(self.artifacts.folder(cell.id) / SCORES_FILE, *columns)

    def judge(self, cell: Cell, rows: pd.DataFrame) -> None:
        """Put what the rules say of every epoch in a cell's folder."""
        write_rows(self.artifacts.folder(cell.id) / ROWS_FILE, rows.to_dict("records"))


def scores_of(test: str, margin: float, seed: int, images: int, shift: float = 0.0) -> pd.DataFrame:
    """Scores of ``images`` real and as many fake images: the same images for every model."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], images)
    logits = rng.normal(size=2 * images) + margin * (labels - 0.5) + shift
    reals = [CAMERAS[i % len(CAMERAS)] for i in range(images)]
    return pd.DataFrame(
        {
            "image": [f"real{i:04d}" for i in range(images)] + [f"{test}{i:04d}" for i in range(images)],
            "label": labels,
            "generator": reals + [test] * images,
            "score": (1 / (1 + np.exp(-logits))).astype(np.float32),
        }
    )


def build_store(
    root: Path,
    *,
    generators: tuple[str, ...] = GENERATORS,
    methods: tuple[str, ...] = METHODS,
    detectors: tuple[str, ...] = ("residual_cnn",),
    seeds: tuple[int, ...] = (0,),
    corruptions: tuple[Any, ...] = (JPEG,),
    images: int = 60,
    looked_at: bool = True,
    rules: tuple[str, ...] = (),
) -> Store:
    """A finished grid; ``corruptions`` as a study's file has them; with attacks and pictures if ``looked_at``.

    Its adaptations are watched if there are ``rules``, of which the first is the study's.
    """
    store = Store(root, images=images, looked_at=looked_at, rules=rules)
    choices = tuple(c for entry in corruptions for c in expanded(entry, CorruptionChoice.model_validate))
    for detector in detectors:
        for seed in seeds:
            for source in generators:
                tags = Tags(detector=detector, source=source, target=source, adaptation="source_only", seed=seed)
                model = _add_model(store, Stage.TRAIN, detector, tags, generators, choices)
                for target in generators:
                    for method in methods if target != source else ():
                        rule = "oracle" if method == "oracle" else (*rules, "source_val")[0]
                        tags = replace(model.tags, target=target, adaptation=method, selection=rule)
                        adapted = _add_model(store, Stage.ADAPT, method, tags, generators, choices, model.id)
                        if rules and method != "oracle":
                            _add_validation(store, adapted)
    return store


def _add_model(
    store: Store,
    stage: Stage,
    method: str,
    tags: Tags,
    tests: tuple[str, ...],
    choices: tuple[CorruptionChoice, ...],
    *needs: CellId,
) -> Cell:
    params: dict[str, Any] = {"name": f"{tags.detector} {tags.source} {tags.target} {tags.adaptation} {tags.seed}"}
    if method == "source_longer":
        params["adaptation"] = {"sees_target": True}
    curves = [{"epoch": e, "loss": 0.7 * 0.6**e, "val_accuracy": 1 - 0.5 * 0.5**e} for e in range(1, 6)]
    if method == "dann":
        curves = [{**row, "discriminator_accuracy": 0.6} for row in curves]
    reads = _reads(tags) if stage is Stage.ADAPT else ()
    model = Cell(stage=stage, method=method, params=params, tags=tags, needs=needs, reads=reads, data=Digest("d" * 20))
    store.add(model, curves=curves, seconds=20.0, images=8000)
    for test in tests:
        _add_score(store, model, test, None, 1.0)
        for choice in choices:
            alike = [other for other in choices if other.kind == choice.kind]
            _add_score(store, model, test, choice, 0.6 ** (1 + alike.index(choice)))
    if store.looked_at:
        _add_attack(store, model)
        _add_gradcam(store, model)
    return model


def _reads(tags: Tags) -> tuple[Reading, ...]:
    splits = LABELLED.get(tags.adaptation, ("adapt",))
    counts = {"fakes": {tags.target: 60}, "reals": dict.fromkeys(CAMERAS, 30)}
    return (Reading(role="target", splits=splits, digest=Digest("e" * 20), **counts),)


def _add_score(store: Store, model: Cell, test: str, choice: CorruptionChoice | None, fades: float) -> None:
    """Scores that lie ``fades`` times as far apart as the clean ones; the control's are the clean ones."""
    tags = replace(model.tags, test=test, variant=choice.name if choice else "")
    kind = choice.kind if choice else "clean"
    params = {"test": test, "corruption": choice.parameters if choice else None}
    cell = Cell(stage=Stage.SCORE, method=kind, params=params, tags=tags, needs=(model.id,))
    margin = 6.0 if test == tags.source else MARGIN[tags.adaptation]
    shift = -2.0 if tags.adaptation == "source_only" and test != tags.source else 0.0
    noise = sum(map(ord, tags.source + test)) + 1000 * tags.seed
    table = scores_of(test, margin * (1 if kind == "identity" else fades), noise, store.images, shift)
    metrics = {"accuracy": float(((table["score"] > 0.5) == table["label"]).mean()), "ap": 0.9}
    if tags.adaptation != "source_only" and test == tags.source:  # what a report takes from the ledger
        metrics |= _figures(table)
    store.add(cell, files=(SCORES_FILE,), seconds=0.5, images=len(table), metrics=metrics)
    if tags.adaptation == "source_only" or test == tags.target:
        store.write(cell, table)


def _add_validation(store: Store, adapted: Cell) -> None:
    """Epochs that grow better on the target, one of them worse again; the last row is the detector as handed back."""
    cell = Cell(
        stage=Stage.VALIDATE,
        method="rules",
        params={"rules": dict.fromkeys(store.rules, 1)},
        tags=adapted.tags,
        needs=(adapted.id,),
    )
    store.add(cell, files=(ROWS_FILE,), seconds=0.1)
    store.judge(cell, epochs_of(adapted.tags, store.rules))


def epochs_of(tags: Tags, rules: tuple[str, ...]) -> pd.DataFrame:
    """A row an epoch: source validation soon stands at its maximum, ``oracle`` is close, others are less and less."""
    rng = np.random.default_rng([tags.seed, *map(ord, tags.source + tags.target + tags.adaptation)])
    epochs = 0 if tags.adaptation in AT_ONCE else EPOCHS
    better = 0.06 * MARGIN[tags.adaptation] * (1 - 0.6 ** np.arange(1, epochs + 2))
    accuracy = np.round(np.clip(0.6 + better + rng.normal(0, 0.03, epochs + 1), 0, 1), 3)
    figures = {rule: accuracy + rng.normal(0, 0.04 * (k + 1), epochs + 1) for k, rule in enumerate(rules)}
    figures |= {"source_val": np.minimum(1.0, 0.9 + 0.05 * np.arange(1, epochs + 2)), "oracle": np.round(accuracy, 2)}
    kept = np.arange(epochs + 1) == epochs
    known = {"epoch": np.arange(1, epochs + 2), "kept": kept, "target_accuracy": accuracy, "target_auroc": accuracy}
    table = pd.DataFrame(known | {rule: figures[rule] for rule in rules})
    if epochs:  # it is the second best epoch's
        table.loc[epochs, ["target_accuracy", *rules]] = table.loc[epochs - 2, ["target_accuracy", *rules]]
    return table


def _figures(table: pd.DataFrame) -> dict[str, float]:
    """AUROC from the ranks of the fakes, and both error rates."""
    fake, called = table["label"] == 1, table["score"] > 0.5
    ranks, fakes, reals = table["score"].rank(), int(fake.sum()), int((~fake).sum())
    auroc = (ranks[fake].mean() - (fakes + 1) / 2) / reals
    return {"auroc": auroc, "fake_to_real": 1 - called[fake].mean(), "real_to_fake": called[~fake].mean()}


def _add_attack(store: Store, model: Cell) -> None:
    tags = replace(model.tags, test=model.tags.target, variant="pgd")
    cell = Cell(stage=Stage.ATTACK, method="pgd", params={"test": tags.test}, tags=tags, needs=(model.id,))
    clean = scores_of(tags.test, 5.0, 3, store.images)
    parts = []
    for epsilon in (0.0, 1.0, 2.0, 4.0):
        moved = clean["score"] + np.where(clean["label"] == 1, -0.3, 0.2) * epsilon
        part = clean.rename(columns={"score": "clean_score"}).drop(columns="generator")
        parts.append(part.assign(epsilon=epsilon, adversarial_score=moved.clip(0, 1), linf=epsilon))
    write_rows(store.artifacts.folder(cell.id) / ROWS_FILE, pd.concat(parts).to_dict("records"), ATTACKS)
    store.add(cell, files=(ROWS_FILE,), seconds=4.0, images=480, metrics={"robust_accuracy_eps2": 0.25})


def _add_gradcam(store: Store, model: Cell) -> None:
    tags = replace(model.tags, variant="gradcam")
    cell = Cell(stage=Stage.ANALYSE, method="gradcam", params={}, tags=tags, needs=(model.id,))
    folder = store.artifacts.folder(cell.id)
    folder.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, 255, 256, dtype=np.uint8)
    Image.fromarray(np.stack([np.tile(ramp, (96, 1))] * 3, axis=-1)).save(folder / "gradcam.png")
    store.add(cell, files=("gradcam.png",), seconds=1.0, images=12)


def _record(cell: Cell, **known: Any) -> Record:
    tags: Mapping[str, Any] = {name: getattr(cell.tags, name) for name in Tags.__slots__}
    place = {"name": cell.name, "stage": cell.stage.value, "method": cell.method, "tags": tags}
    defaults: dict[str, Any] = {
        "status": Status.DONE,
        "params": cell.params,
        "needs": cell.needs,
        "data": cell.data,
        "started": 1_770_000_000.0,
        "node": "node-1",
        "provenance": {"git": "0123abc", "python": "3.11.7", "torch": "2.15.0"},
    }
    return Record(cell=cell.id, **place, **(defaults | known))
