"""What a run tells its user, on a terminal and in a pipe."""

from __future__ import annotations

import io
import os
import pty
import time
from dataclasses import asdict

import pytest
from rich.console import Console

from orchestrator.plan.cells import Stage
from orchestrator.plan.graph import plan_of
from orchestrator.run.progress import LiveView, PlainView, render, view_for
from orchestrator.run.tally import Tally, figure, span
from orchestrator.store.records import Failure, Record, Status
from tests.orchestrator.run.made_up import cell, grid


class Clock:
    """Time that passes when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def record(of, status=Status.DONE, seconds=1.0, **more):
    failure = Failure(kind="ValueError", message="bad\nsecond line") if status is Status.FAILED else None
    return Record(
        cell=of.id,
        name=of.name,
        stage=of.stage.value,
        method=of.method,
        status=status,
        tags=asdict(of.tags),
        params=of.params,
        seconds=seconds,
        failure=failure,
        **more,
    )


def cells(plan, stage):
    return [each for each in plan if each.stage is stage]


def plain(plan, done=()):
    stream, clock = io.StringIO(), Clock()
    view = PlainView(stream, clock)
    view.begin(plan, {each.id: record(each) for each in done})
    return view, stream, clock


def test_time_left_is_work_left_over_the_pace_of_the_work_done():
    plan, clock = grid(sources=4, targets=0), Clock()  # four models, four scores
    tally = Tally(clock)
    tally.begin(plan, {})
    models, scores = cells(plan, Stage.TRAIN), cells(plan, Stage.SCORE)
    clock.now = 100.0  # nothing has begun: waiting for Ray is no work
    tally.started(models[0])
    tally.started(models[1])
    clock.now = 110.0
    for model in models[:2]:
        tally.finished(record(model, seconds=10.0))
    assert tally.eta() is None  # no score cell has been seen

    for score in scores[:2]:
        tally.finished(record(score, seconds=2.0))

    # Left: two models of 10 s and two scores of 2 s. So far 24 s of work were done in 10 s.
    assert tally.eta() == pytest.approx(24 * 10 / 24)


def test_costs_of_earlier_runs_count_but_their_time_does_not():
    plan, clock = grid(sources=3, targets=0), Clock()
    models, scores = cells(plan, Stage.TRAIN), cells(plan, Stage.SCORE)
    tally = Tally(clock)
    tally.begin(plan, {each.id: record(each, seconds=4.0) for each in (models[0], scores[0])})
    assert tally.eta() is None  # the pace of this run is not known yet

    tally.started(models[1])
    clock.now = 6.0
    tally.finished(record(models[1], seconds=6.0))

    # Left: a model of (4 + 6) / 2 s and two scores of 4 s, at 6 s of work in 6 s.
    assert tally.eta() == pytest.approx(5 + 8)


def test_a_retried_cell_counts_once_with_its_last_result():
    plan = grid(sources=1, targets=0)
    model = cells(plan, Stage.TRAIN)[0]
    tally = Tally(Clock())
    tally.begin(plan, {})

    tally.finished(record(model, Status.FAILED))
    assert (tally.count("train", Status.FAILED), len(tally.failures)) == (1, 1)
    tally.finished(record(model))

    assert tally.count("train", Status.FAILED) == 0
    assert tally.count("train", Status.DONE) == tally.ended("train") == 1
    assert not tally.failures


def test_plain_lines_name_models_and_failures_and_sum_up_scores():
    plan = grid(sources=2, targets=0)
    (good, bad), (first, second) = cells(plan, Stage.TRAIN), cells(plan, Stage.SCORE)
    view, stream, clock = plain(plan)

    clock.now = 65.0
    view.finished(record(good, metrics={"loss": 0.3, "val_auroc": 0.98123}))
    view.finished(record(first))
    view.finished(record(bad, Status.FAILED))
    view.finished(record(second, Status.BLOCKED))
    view.end()

    assert stream.getvalue().splitlines() == [
        "grid: 4 cells to run",
        "[1/4  1:05] done train/d/s0/seed0 val_auroc .981",
        "[3/4  1:05  eta 0:21] FAILED train/d/s1/seed0: ValueError: bad",
        "[4/4  1:05] scored 1, blocked 1",
    ]


def test_a_model_that_memory_did_not_suffice_for_is_told_with_its_parts():
    plan = grid(sources=1, targets=0)
    view, stream, _ = plain(plan)
    (model,) = cells(plan, Stage.TRAIN)
    view.finished(record(model, metrics={"source_val_auroc": 0.9, "accumulate": 4.0}))
    told = f"done {model.name} source_val_auroc .900 (out of memory: batches in 4 parts)\n"
    assert stream.getvalue().endswith(told)


def test_many_scores_give_at_most_one_line_in_five_seconds():
    plan = grid(sources=300, targets=0)
    view, stream, clock = plain(plan)

    for score in cells(plan, Stage.SCORE):
        clock.now += 0.1
        view.finished(record(score))

    assert 4 <= len(stream.getvalue().splitlines()) - 1 <= 6  # in 30 s


def test_cells_done_before_are_told_and_counted():
    plan = grid(sources=1, targets=0)
    view, stream, _ = plain(plan, done=cells(plan, Stage.TRAIN))
    view.end()

    assert stream.getvalue() == "grid: 1 cells to run, 1 done before\n"


def test_a_reader_that_went_away_does_not_stop_the_run():
    plan = grid()
    reading, writing = os.pipe()
    view = PlainView(os.fdopen(writing, "w", closefd=False))
    os.close(reading)

    view.begin(plan, {})
    for each in plan:
        view.finished(record(each))
    view.end()
    os.close(writing)


def test_a_pipe_gets_plain_lines_and_a_terminal_the_live_view(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal, other = pty.openpty()
    with os.fdopen(other, "w") as stream:
        assert isinstance(view_for(stream), LiveView)
        monkeypatch.setenv("TERM", "dumb")
        assert isinstance(view_for(stream), PlainView)
    os.close(terminal)

    assert isinstance(view_for(io.StringIO()), PlainView)


def test_the_live_view_shows_bars_running_cells_and_failures():
    plan = grid(sources=10, targets=0)
    models, clock = cells(plan, Stage.TRAIN), Clock()
    tally = Tally(clock)
    tally.begin(plan, {})
    tally.started(models[0])
    tally.progress(models[0], {"epoch": 3.0, "val_auroc": 0.9})
    for model in models[1:9]:
        tally.finished(record(model, Status.FAILED))
    clock.now = 75.0

    console = Console(file=io.StringIO(), width=100)
    console.print(render(tally, "demo"))
    picture = console.file.getvalue()

    assert "demo   8/20  1:15" in picture
    assert "8/10" in picture
    assert "8 failed" in picture
    assert "train/d/s0/seed0  epoch 3  val_auroc .900  1:15" in picture
    assert "train/d/s8/seed0: ValueError: bad" in picture
    assert "and 2 more failed" in picture
    assert "second line" not in picture


def test_the_live_view_draws_while_events_come_in_and_leaves_the_last_picture():
    plan = grid(sources=20)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    view = LiveView(console)
    view.begin(plan, {})
    for each in plan:
        view.started(each)
        view.progress(each, {"epoch": 1.0})
        view.finished(record(each))
        time.sleep(0.001)
    view.end()

    assert f"{len(plan)}/{len(plan)}" in console.file.getvalue()


@pytest.mark.parametrize("make", [PlainView, lambda file: LiveView(Console(file=file))])
def test_ten_thousand_cells_are_counted_to_the_last(make):
    plan = plan_of("large", [cell(Stage.TRAIN, f"m{i}") for i in range(10_000)])
    file = io.StringIO()
    view = make(file)
    view.begin(plan, {})

    for each in plan:
        view.started(each)
        view.progress(each, {"epoch": 1.0})
        view.finished(record(each))
    view.end()

    assert "10000/10000" in file.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(7.9, "0:07"), (192, "3:12"), (7500, "2:05:00")])
def test_spans_read_like_a_clock(seconds, text):
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"auroc": 1.0, "loss": 0.1}, "auroc 1.000"),
        ({"loss": 0.12345}, "loss .123"),
        ({"robust_accuracy_eps1": 0.9, "robust_accuracy_eps4": 0.25, "x": 1.0}, "robust_accuracy_eps4 .250"),
        ({"epoch": 2.0}, ""),
    ],
)
def test_one_figure_stands_for_a_cell(row, text):
    assert figure(row) == text


def searching():
    """A search, and a model that is there besides."""
    return plan_of("searching", [cell(Stage.TUNE, "s0"), cell(Stage.TRAIN, "s1")])


def test_a_search_tells_its_trials_now_and_then():
    view, stream, clock = plain(searching())
    tune = cells(searching(), Stage.TUNE)[0]
    view.started(tune)
    for number, now in ((1, 1.0), (2, 6.0), (3, 7.0)):
        clock.now = now
        view.progress(tune, {"trial": float(number), "trials": 20.0, "best": 0.9 + number / 100})
    lines = [line for line in stream.getvalue().splitlines() if "trial" in line]
    assert [line.partition("] ")[2] for line in lines] == [f"{tune.name} trial 2/20 best .920"]


def test_the_live_view_shows_how_far_a_search_is():
    tally, tune = Tally(Clock()), cells(searching(), Stage.TUNE)[0]
    tally.begin(searching(), {})
    tally.started(tune)
    tally.progress(tune, {"trial": 4.0, "trials": 20.0, "best": 0.93})
    console = Console(file=io.StringIO(), width=120)
    console.print(render(tally, "study"))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "trial 4/20" in shown
    assert "best .930" in shown


def test_another_plan_is_counted_anew_and_the_clock_goes_on():
    clock = Clock()
    tally = Tally(clock)
    before = searching()
    tally.begin(before, {})
    clock.now = 5.0
    tally.started(cells(before, Stage.TUNE)[0])
    tune = record(cells(before, Stage.TUNE)[0], seconds=4.0)
    tally.finished(tune)
    after = plan_of("searching", [*before, cell(Stage.TRAIN, "chosen"), cell(Stage.SCORE, "chosen")])
    tally.replanned(after, {tune.cell: tune})
    assert dict(tally.total) == {"tune": 1, "train": 2, "score": 1}
    assert (tally.ended("tune"), tally.ended("train")) == (1, 0)
    assert tally.elapsed == 5.0
