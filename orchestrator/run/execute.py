"""Run one job in this process: the same code alone, in a Tune trial, in a Ray Train worker and in a Ray task."""

from __future__ import annotations

import logging
import os
import platform
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.jobs import Job
from orchestrator.run.adapting import adapt
from orchestrator.run.bench import Bench, ContextFactory, names, with_rows
from orchestrator.run.place import Place, preprocess_of
from orchestrator.run.training import train
from orchestrator.run.validating import validate
from orchestrator.store.records import IN_PARTS, Failure, Record, Status
from orchestrator.store.tables import ATTACKS, AUDITS, ROWS_FILE, SCORES_FILE, read_rows, write_scores
from orchestrator.study.spaces import OUTSIDE
from trainables.context import LocalContext
from trainables.contract import Context, Images, Outcome, Split
from trainables.registry import find
from trainables.writing import remove_temporaries

Work: TypeAlias = Callable[[Job, Place, ContextFactory], Sequence[Record]]

MOST_PARTS = 8
"""Of a batch that does not fit."""
EXHAUSTED = ("DefaultCPUAllocator", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
"""What torch says of memory that runs out, where it raises no ``OutOfMemoryError``: on the CPU, and in CUDA's parts."""

_log = logging.getLogger(__name__)


def execute(job: Job, place: Place, context_for: ContextFactory) -> list[Record]:
    """Run the cells of a job one after the other, a model's scores while it is still on the device.

    A cell that raises becomes a failed record; the job goes on unless it was the model. Each finished cell leaves its
    record in its own folder, so that a driver that died before committing it can take it up, and so that a worker that
    died takes only its unfinished cell with it: the job's next worker does not run the others again.

    Returns:
        A record for every cell of the job, up to a model that failed.
    """
    bench = Bench(place, context_for)
    left = {record.cell: record for record in place.artifacts.left_behind(cell.id for cell in job.cells)}
    records = []
    for cell in job.cells:
        record = left.get(cell.id) or _attempt(cell, bench)
        records.append(record)
        if record.status is not Status.DONE and cell.stage.makes_model:
            break
    return records


def record_of(cell: Cell, place: Place, status: Status, **result: Any) -> Record:
    """A cell's record, made in this process."""
    here = {"node": platform.node(), "process": os.getpid(), "provenance": dict(place.provenance)}
    return Record.of(cell, status, **here, **result)


def failure_of(error: BaseException, *, retryable: bool = False) -> Failure:
    """Why a cell failed, from the exception that ended it."""
    text = "".join(traceback.format_exception(error))
    return Failure(kind=type(error).__name__, message=str(error), traceback=text, retryable=retryable)


def _attempt(cell: Cell, bench: Bench) -> Record:
    started, clock = time.time(), time.perf_counter()
    try:
        context = bench.context_for(cell)
        started, clock = time.time(), time.perf_counter()  # the context imported torch, and start-up is not work
        outcome = _within_memory(cell, bench, context)
        record = record_of(
            cell,
            bench.place,
            status=Status.DONE,
            metrics=outcome.metrics,
            curves=tuple(outcome.curves),
            files=tuple(outcome.files),
            images=outcome.images,
            seconds=time.perf_counter() - clock,
            started=started,
        )
        if context.rank == 0:
            remove_temporaries(context.folder)  # of attempts that were killed
            bench.place.artifacts.leave(record)
    except Exception as error:  # noqa: BLE001 (a failing cell is a result; the rest of the grid goes on)
        return record_of(
            cell,
            bench.place,
            status=Status.FAILED,
            failure=failure_of(error),
            seconds=time.perf_counter() - clock,
            started=started,
        )
    return record


def _within_memory(cell: Cell, bench: Bench, context: LocalContext) -> Outcome:
    """Run the cell; where memory runs out, again with its batches in twice as many parts, down to an eighth.

    Not where several workers train together: the others would wait for the one that starts over.

    Returns:
        The cell's outcome; of a model that took more parts than it was asked to, their number is among its figures.
    """
    asked = context.accumulate
    while True:
        try:
            outcome = _STAGES[cell.stage](cell, bench, context)
            parted = cell.stage.makes_model and context.accumulate > asked
            figures = {**outcome.metrics, IN_PARTS: float(context.accumulate)} if parted else outcome.metrics
            return replace(outcome, metrics=figures)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error) or context.world_size > 1 or context.accumulate >= MOST_PARTS:
                raise
        context.accumulate *= 2
        _log.warning("%s: out of memory; again with batches in %d parts", cell.name, context.accumulate)
        bench.forget()


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in EXHAUSTED)


def _audit(cell: Cell, bench: Bench, context: Context) -> Outcome:
    from trainables.auditing.audit import audit
    from trainables.data.reader import Reader

    place, against = bench.place, cell.params["against"]
    assert isinstance(against, dict)
    reals: dict[str, Any] = against
    manifest, preprocess = place.manifest(), preprocess_of(cell)
    # Of a set that it looks at the audit reads a few thousand images: nothing to decode the whole set for.
    reader = Reader(manifest, preprocess, place.cache, budget=0)
    found = audit(manifest, reals, preprocess=preprocess, reader=reader)
    rows = [{str(name): value for name, value in row.items()} for row in found.scores.to_dict("records")]
    outcome = Outcome(metrics=found.metrics, rows=rows, files=found.save(context.folder), images=found.findings.images)
    return with_rows(outcome, context, AUDITS)


def _score(cell: Cell, bench: Bench, context: Context) -> Outcome:
    from trainables.metrics import detection_metrics
    from trainables.score import digest_of

    generators = [*names(cell, "reals"), str(cell.params["test"])]
    scores: dict[str, np.float32] = {}
    fresh = 0
    for generator in generators:
        key = (cell.tags.variant, generator)
        if key not in bench.scores:
            bench.scores[key] = _scores(cell, bench, context, generator)
            fresh += len(bench.scores[key])
        scores = bench.scores[key] | scores
    images = bench.place.reader(cell).images(generators, Split.TEST)
    firsts = slice(None, None, images.views)  # the first square of each image
    digests = [digest_of(square) for square in images.ids[firsts]]
    labels, found = images.labels[firsts], np.array([scores[digest] for digest in digests])
    write_scores(context.folder / SCORES_FILE, digests, labels, images.generators[firsts], found)
    return Outcome(metrics=detection_metrics(labels, found), files=[SCORES_FILE], images=fresh * images.views)


def _scores(cell: Cell, bench: Bench, context: Context, generator: str) -> dict[str, np.float32]:
    """P(fake) of one generator's test images by digest, each scored once whatever number of test sets holds it."""
    from trainables.corruption import corrupted
    from trainables.features import kept_score
    from trainables.score import batch_of, digest_of, per_image, score

    images = bench.place.reader(cell).images([generator], Split.TEST)
    if cell.method == OUTSIDE:
        given = read_rows(bench.place.artifacts.folder(cell.needs[0]) / ROWS_FILE).set_index("image")["score"]
        digests = [digest_of(square) for square in images.ids[:: images.views]]
        return dict(zip(digests, given[digests].to_numpy(np.float32), strict=True))
    detector = bench.model(cell.needs[0])
    if cell.params["corruption"] is not None:
        config = find("corruptions", cell.method).config.model_validate(cell.params["corruption"])
        images = corrupted(images, cell.method, config)
        # Made as they are read, and each seen by few: their features would fill the cache.
        return per_image(images, score(detector, images.pixels, context.device, batch_of(context)))
    return per_image(images, kept_score(detector, images.pixels, context))


def _attack(cell: Cell, bench: Bench, context: Context) -> Outcome:
    entry = find("attacks", cell.method)
    config = entry.config.model_validate(cell.params["attack"])
    images = bench.place.reader(cell).images([*names(cell, "reals"), str(cell.params["test"])], Split.TEST)
    outcome = entry.load().attack(config, bench.model(cell.needs[0]), images, context)
    return with_rows(outcome, context, ATTACKS)


def _analyse(cell: Cell, bench: Bench, context: Context) -> Outcome:
    entry = find("analyses", cell.method)
    config = entry.config.model_validate(cell.params["analysis"])
    reader = bench.place.reader(cell)
    groups: dict[str, Images] = {
        "real": reader.images(names(cell, "reals"), Split.TEST),
        "seen fake": reader.images(names(cell, "seen"), Split.TEST),
    }
    groups |= {f"unseen fake: {name}": reader.images([name], Split.TEST) for name in names(cell, "unseen")}
    outcome = entry.load().analyse(config, bench.model(cell.needs[0]), groups, context)
    return with_rows(outcome, context)


_STAGES: Mapping[Stage, Callable[[Cell, Bench, LocalContext], Outcome]] = {
    Stage.AUDIT: _audit,
    Stage.TRAIN: train,
    Stage.ADAPT: adapt,
    Stage.VALIDATE: validate,
    Stage.SCORE: _score,
    Stage.ATTACK: _attack,
    Stage.ANALYSE: _analyse,
}
