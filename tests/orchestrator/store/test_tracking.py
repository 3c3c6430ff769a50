"""MLflow shows what the ledger holds: once, completely, and again after it was emptied."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.plan.cells import Stage, Tags
from orchestrator.plan.graph import plan_of
from orchestrator.store.ledger import Ledger
from orchestrator.store.mirror import Mirror
from orchestrator.store.records import Failure, Status
from orchestrator.store.target import Target
from tests.orchestrator.store.runs import Runs
from trainables.errors import InputError

CURVES = ({"epoch": 1, "loss": 0.5, "auroc": 0.6}, {"epoch": 2, "loss": 0.25, "auroc": 0.7})


def mirrored(target: Target, *records: Any, warnings: list[str] | None = None) -> Runs:
    with Mirror(target, warn=(warnings if warnings is not None else []).append) as mirror:
        for record in records:
            mirror.finished(record)
    assert mirror.pending == 0
    return Runs(target)


def test_a_cell_is_a_child_run_with_everything_known_of_it(target, record):
    done = record(
        3,
        stage=Stage.SCORE,
        curves=CURVES,
        images=64,
        node="n1",
        files=("scores.parquet",),
        provenance={"git": "abc", "ray_job": "j1", "torch": "2.15"},
    )
    runs = mirrored(target, done)

    run, (parent,) = runs.cells[done.cell], runs.parents
    tags = run.data.tags
    assert (run.info.status, run.info.run_name) == ("FINISHED", done.name)
    assert (run.info.start_time, run.info.end_time) == (1_700_000_003_000, 1_700_000_005_000)
    assert run.data.params == {
        "recipe.epochs": "3",
        "recipe.flips": "true",
        "seed": "3",
        "sizes": "[1, 2]",
    }
    final = {"auroc": 0.75, "seconds": 2.0, "images": 64.0}
    assert run.data.metrics == {**final, "epoch/loss": 0.25, "epoch/auroc": 0.7}
    assert runs.curve(done.cell, "epoch/loss") == [(1, 0.5), (2, 0.25)]
    assert tags["mlflow.parentRunId"] == parent.info.run_id
    assert {key: tags[key] for key in ("stage", "detector", "source", "target", "adaptation", "seed", "test")} == {
        **{"stage": "score", "detector": "cnn", "source": "tconv", "target": "tconv"},
        **{"adaptation": "source_only", "seed": "3", "test": "nearest"},
    }
    assert (tags["selection"], tags["status"], tags["attempt"]) == ("source_val", "done", "1")
    assert (tags["git_commit"], tags["ray_job_id"], tags["node"]) == ("abc", "j1", "n1")
    assert tags["versions"] == '{"torch": "2.15"}'
    assert tags["folder"] == (target.storage / "cells" / done.cell[:2] / done.cell).as_uri()


def test_a_run_has_the_images_that_its_cell_read_as_data_sets(target, record):
    adapted = record(1, stage=Stage.ADAPT)
    runs = mirrored(replace(target, data=(Path("/srv/one"), Path("/srv/two"))), adapted)

    target_images, source = runs.inputs(adapted.cell)
    assert source.dataset.name == "tconv vs compact, phone: train+val"
    assert source.dataset.digest == adapted.data == runs.cells[adapted.cell].data.tags["data_digest"]
    assert json.loads(source.dataset.profile) == {"fake": {"tconv": 20}, "real": {"compact": 12, "phone": 8}}
    assert json.loads(source.dataset.source) == {"uri": "/srv", "folders": ["/srv/one", "/srv/two"]}
    assert [(tag.key, tag.value) for tag in source.tags] == [("mlflow.data.context", "source")]
    assert target_images.dataset.name == "nearest vs phone: adapt"
    assert target_images.tags[0].value == "target"


def test_mlflow_itself_finds_the_folder_of_a_data_set(target, record):
    from mlflow.data import get_source

    (one,) = mirrored(replace(target, data=(target.storage,)), record(1)).inputs(record(1).cell)

    assert get_source(one.dataset).load() == str(target.storage)


def test_runs_are_found_by_their_data_set(target, record):
    runs = mirrored(target, record(1), record(2), replace(record(3), reads=()))
    experiment = runs.client.get_experiment_by_name("demo").experiment_id

    found = runs.client.search_runs([experiment], f"dataset.digest = '{record(1).data}'")

    assert {run.data.tags["cell_id"] for run in found} == {record(1).cell, record(2).cell}


def test_a_study_of_many_generators_has_data_sets_with_names_one_can_read(target, record):
    fakes, reals = {f"generator{i}": 10 for i in range(200)}, {"phone": 9}
    many = replace(record(1).reads[0], fakes=fakes, reals=reals, splits=("test",))
    (found,) = mirrored(target, replace(record(1), reads=(many,))).inputs(record(1).cell)

    assert found.dataset.name == "200 fakes vs phone: test"
    assert len(json.loads(found.dataset.profile)["fake"]) == 200


def test_generators_may_have_names_that_mlflow_takes_in_no_key(target, record):
    audit = replace(record(1), params={"against": {"SD (v1.4)": ["photos & scans"]}})

    assert mirrored(target, audit).cells[audit.cell].data.params == {"against.SD _v1.4_": '["photos & scans"]'}


def test_a_running_cell_shows_its_curve_before_it_ends(target, cell):
    with Mirror(target) as mirror:
        for row in CURVES:
            mirror.progress(cell(1), row)
    running = Runs(target)
    assert running.cells[cell(1).id].info.status == "RUNNING"
    assert running.curve(cell(1).id, "epoch/loss") == [(1, 0.5), (2, 0.25)]
    assert [each.dataset.digest for each in running.inputs(cell(1).id)] == [cell(1).data]


def test_epochs_told_live_are_not_told_again_with_the_record(target, cell, record):
    with Mirror(target) as mirror:
        mirror.progress(cell(1), CURVES[0])
        mirror.progress(cell(1), CURVES[0])  # a worker was lost, and began again
        mirror.finished(record(1, curves=CURVES))

    runs = Runs(target)
    assert runs.count == 2
    assert runs.curve(cell(1).id, "epoch/loss") == [(1, 0.5), (2, 0.25)]
    assert runs.cells[cell(1).id].data.tags["status"] == "done"
    assert runs.cells[cell(1).id].data.params["recipe.epochs"] == "3"


def test_a_run_left_by_a_killed_driver_is_replaced(target, cell, record):
    with Mirror(target) as mirror:
        mirror.progress(cell(1), {"epoch": 1, "loss": 9.0})

    runs = mirrored(target, record(1, curves=CURVES))

    assert runs.count == 2
    assert runs.cells[cell(1).id].info.status == "FINISHED"
    assert runs.curve(cell(1).id, "epoch/loss") == [(1, 0.5), (2, 0.25)]


def test_a_failure_has_its_reason_and_traceback(target, record):
    failure = Failure(kind="ValueError", message="no BatchNorm", traceback="Traceback …\nValueError")
    failed = record(1, Status.FAILED, failure=failure, metrics={})
    blocked = record(
        2, Status.BLOCKED, failure=Failure(kind="blocked", message=failed.name), metrics={}, started=0.0, seconds=0.0
    )

    runs = mirrored(target, failed, blocked)

    first, second = runs.cells[failed.cell], runs.cells[blocked.cell]
    assert (first.info.status, second.info.status) == ("FAILED", "KILLED")
    assert (first.data.tags["failure"], first.data.tags["reason"]) == ("ValueError", "no BatchNorm")
    assert (second.data.tags["status"], second.data.tags["reason"]) == ("blocked", failed.name)
    assert [each.path for each in runs.client.list_artifacts(first.info.run_id)] == ["traceback.txt"]
    folder = Path(first.info.artifact_uri.removeprefix("file://"))
    assert (folder / "traceback.txt").read_text() == failure.traceback
    assert target.storage / "mlartifacts" in folder.parents
    assert abs(second.info.start_time / 1000 - time.time()) < 60


def test_a_retry_takes_the_place_of_the_failure(target, record):
    failure = Failure(kind="OSError", message="lost")
    runs = mirrored(target, record(1, Status.FAILED, failure=failure), record(1, attempt=2))

    (run,) = runs.cells.values()
    assert runs.count == 2
    assert (run.info.status, run.data.tags["attempt"]) == ("FINISHED", "2")
    assert "failure" not in run.data.tags


def test_pictures_are_attached_and_heavy_files_are_not(target, record):
    done = record(1, files=("panel.png", "model.safetensors", "huge.png", "gone.png"))
    folder = target.storage / "cells" / done.cell[:2] / done.cell
    folder.mkdir(parents=True)
    for name, size in (("panel.png", 10), ("model.safetensors", 10), ("huge.png", 3_000_000)):
        (folder / name).write_bytes(b"x" * size)

    runs = mirrored(target, done)

    listed = runs.client.list_artifacts(runs.cells[done.cell].info.run_id)
    assert [each.path for each in listed] == ["panel.png"]


def test_mirroring_again_makes_no_duplicate(target, record):
    records = [record(seed, curves=CURVES) for seed in range(4)]
    first = mirrored(target, *records[:2])

    with Mirror(target) as mirror:
        mirror.replay(records)
        mirror.replay(records, thorough=True)
        mirror.finished(records[0])
    again = Runs(target)

    assert again.count == 5
    assert [len(again.inputs(cell)) for cell in again.cells] == [1] * 4
    kept = {cell: run.info.run_id for cell, run in again.cells.items() if cell in first.cells}
    assert kept == {cell: run.info.run_id for cell, run in first.cells.items()}


def test_two_runs_of_one_cell_become_one(target, record):
    # What a request leaves whose answer was lost.
    runs = mirrored(target, record(1))
    (run,) = runs.cells.values()
    runs.client.create_run(run.info.experiment_id, tags=run.data.tags)
    assert Runs(target).count == 3

    again = mirrored(target, record(2))

    assert again.count == 3
    assert again.cells[record(1).cell].info.run_id == run.info.run_id


def test_the_parent_tells_counts_and_holds_the_report(target, record, tmp_path):
    page, tables = tmp_path / "report.html", tmp_path / "tables"
    page.write_text("<html>")
    tables.mkdir()
    (tables / "matrix.csv").write_text("a,b")
    records = [record(1), record(2), record(3, Status.FAILED)]
    with Mirror(target) as mirror:
        mirror.replay(records)
        mirror.finish(records, [page, tables])

    runs = Runs(target)

    (parent,) = runs.parents
    assert parent.info.status == "FAILED"
    assert {key: value for key, value in parent.data.tags.items() if key.startswith("cells.")} == {
        "cells.done": "2",
        "cells.failed": "1",
        "cells.blocked": "0",
    }
    assert sorted(each.path for each in runs.client.list_artifacts(parent.info.run_id)) == ["matrix.csv", "report.html"]


def test_a_study_that_goes_on_opens_its_parent_again(target, record):
    with Mirror(target) as mirror:
        mirror.finish([])
    assert Runs(target).parents[0].info.status == "FINISHED"

    runs = mirrored(target, record(1))

    assert [parent.info.status for parent in runs.parents] == ["RUNNING"]


def test_names_are_those_of_the_plan_that_runs(target, cell, record):
    # The same work may have another name in another study.
    ours = replace(cell(1), tags=Tags(detector="mine", source="a", target="a", adaptation="source_only", seed=1))
    with Mirror(target) as mirror:
        mirror.begin(plan_of("demo", [ours]), {ours.id: record(1), record(2).cell: record(2)})

    runs = Runs(target)
    assert list(runs.cells) == [ours.id]
    assert runs.cells[ours.id].data.tags["detector"] == "mine"


def test_two_studies_in_one_experiment_have_runs_of_their_own(target, record):
    other = Target.of("other", target.storage, experiment="demo")
    mirrored(target, record(1))
    mirrored(other, record(1))

    found = Runs(target)
    experiment = found.client.get_experiment_by_name("demo").experiment_id
    parents = Counter(run.data.tags.get("mlflow.parentRunId") for run in found.client.search_runs([experiment]))

    assert len(found.parents) == 2
    assert parents == {None: 2, **{parent.info.run_id: 1 for parent in found.parents}}


def test_a_run_deleted_by_hand_is_not_the_end(target, cell, record):
    mirror = Mirror(target)
    mirror.progress(cell(1), CURVES[0])
    while mirror.pending:
        time.sleep(0.01)
    runs = Runs(target)
    runs.client.delete_run(runs.cells[cell(1).id].info.run_id)

    mirror.finished(record(1, curves=CURVES))
    assert mirror.close() == 0

    assert Runs(target).curve(cell(1).id, "epoch/loss") == [(1, 0.5), (2, 0.25)]


def test_one_refused_record_does_not_keep_the_others(target, record):
    warnings: list[str] = []
    bad = record(1, metrics={"a metric with a name MLflow won't take: \t": 1.0})
    with Mirror(target, warn=warnings.append) as mirror:
        mirror.replay([bad, record(2)])
        mirror.finish([bad, record(2)])
    runs = Runs(target)

    assert runs.parents[0].data.tags["ledger"] == ""
    assert runs.cells[record(2).cell].info.status == "FINISHED"
    assert len(warnings) == 1
    assert "refused" in warnings[0]


def test_many_parameters_and_epochs_are_told_in_several_requests(target, record):
    curves = tuple({"epoch": epoch, **{f"m{i}": float(i) for i in range(9)}} for epoch in range(1, 151))
    big = record(1, curves=curves)
    object.__setattr__(big, "params", {f"p{i}": i for i in range(250)})

    runs = mirrored(target, big)

    assert len(runs.cells[big.cell].data.params) == 250
    assert len(runs.curve(big.cell, "epoch/m3")) == 150


REPLAY = """
import sys
from pathlib import Path
from orchestrator.store.ledger import Ledger
from orchestrator.store.mirror import Mirror
from orchestrator.store.target import Target

root = Path(sys.argv[1])
records = Ledger(root).records().values()
with Mirror(Target.of("demo", root)) as mirror:
    mirror.replay(records)
    mirror.finish(records)
print(mirror.pending)
"""


def test_an_emptied_store_is_rebuilt_equal_and_in_silence(tmp_path, target, cell, record):
    failure = Failure(kind="ValueError", message="no", traceback="Traceback")
    records = [record(1, curves=CURVES), record(2, Status.FAILED, failure=failure), record(3, stage=Stage.SCORE)]
    Ledger(tmp_path).commit(*records)
    with Mirror(target) as mirror:
        mirror.progress(cell(1), CURVES[0])
        for each in records:
            mirror.finished(each)
    before = Runs(target).content()
    other = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "ledger", other / "ledger")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}

    done = subprocess.run(
        [sys.executable, "-c", REPLAY, other], capture_output=True, text=True, check=True, env=environment
    )

    assert (done.stdout, done.stderr) == ("0\n", "")
    assert sorted(path.name for path in other.iterdir()) == ["ledger", "mlartifacts", "mlflow.db", "mlflow.db.lock"]
    rebuilt = Runs(Target.of("demo", other)).content()
    for content in (before, rebuilt):
        for *_, tags, _, _ in content.values():
            tags.pop("folder", None)
    assert rebuilt == before


def test_a_summary_spares_the_look_at_every_run_until_something_is_new(target, record):
    records = [record(seed) for seed in range(3)]
    with Mirror(target) as mirror:
        mirror.replay(records)
        mirror.finish(records)
    runs = Runs(target)
    runs.client.delete_run(runs.cells[records[0].cell].info.run_id)

    with Mirror(target) as mirror:
        mirror.replay(records)
    assert len(Runs(target).cells) == 2
    with Mirror(target) as mirror:
        mirror.replay(records, thorough=True)
    assert len(Runs(target).cells) == 3


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql+nodriver://nobody@127.0.0.1:9/x"])
def test_a_store_that_does_not_answer_holds_nothing_up(tmp_path, cell, record, uri):
    warnings: list[str] = []
    begin = time.perf_counter()
    mirror = Mirror(Target.of("demo", tmp_path, uri=uri), warn=warnings.append)
    for seed in range(100):
        mirror.progress(cell(seed), CURVES[0])
        mirror.finished(record(seed))
    calls = time.perf_counter() - begin
    left = mirror.close()

    assert calls < 5  # a call that waited would take its time-out, a hundred times
    assert left >= 100
    assert time.perf_counter() - begin < 30
    assert len(warnings) == 1
    assert uri in warnings[0]


def test_what_a_dead_store_missed_is_mirrored_when_it_answers_again(tmp_path, empty_database, record):
    database = tmp_path / "db" / "mlflow.db"
    (tmp_path / "db").write_text("in the way: no database can be opened here")
    target = Target.of("demo", tmp_path, uri=f"sqlite:///{database}")
    warnings: list[str] = []
    mirror = Mirror(target, warn=warnings.append, retry=0.1)
    mirror.finished(record(1))
    while not warnings:
        time.sleep(0.01)

    (tmp_path / "db").unlink()
    database.parent.mkdir()
    shutil.copy(empty_database, database)
    time.sleep(0.1)
    mirror.finished(record(2))

    assert mirror.close() == 0
    assert set(Runs(target).cells) == {record(1).cell, record(2).cell}
    assert len(warnings) == 1


def test_telling_the_mirror_does_not_wait_for_the_store(target, record):
    records = [record(seed, curves=CURVES) for seed in range(30)]
    with Mirror(target) as mirror:
        for each in records:
            mirror.finished(each)
        assert mirror.pending


def test_closing_waits_as_long_as_the_store_takes_records(target, record):
    mirror = Mirror(target)
    mirror.replay([record(seed) for seed in range(100)])

    # All of them take longer than that, no single one does.
    assert mirror.close(patience=1.2) == 0
    assert len(Runs(target).cells) == 100


@pytest.mark.parametrize("uri", ["./mlruns", "file:/tmp/mlruns", "mlruns", "ftp://host"])
def test_a_store_that_mlflow_no_longer_has_is_refused_at_once(tmp_path, uri):
    with pytest.raises(InputError, match="no MLflow tracking server") as error:
        Target.of("demo", tmp_path, uri=uri)

    assert error.value.value == uri


def test_a_server_keeps_artifacts_and_pages_itself(tmp_path):
    server, local = Target.of("demo", tmp_path, uri="http://host:5000"), Target.of("demo", tmp_path)

    assert (server.artifacts, server.ui_command()) == (None, [])
    assert local.artifacts == (tmp_path / "mlartifacts" / "demo").as_uri()
    assert local.ui_command(port=5001)[-2:] == ["--port", "5001"]
    assert local.uri not in local.ui_command()
    assert local.uri in local.ui_environment.values()


class Server:
    """A tracking server of its own, on a port that is free."""

    def __init__(self, root: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(self.port)),
            *("--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}", "--artifacts-destination", str(root / "art")),
        ]
        self._log = root / "server.log"

    def __enter__(self) -> Server:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(600):
            time.sleep(0.1)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
        raise TimeoutError(self._log.read_text())

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.mark.slow
def test_a_server_that_dies_and_comes_back_misses_nothing(tmp_path, empty_database, cell, record):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    server = Server(tmp_path)
    target = Target.of("demo", tmp_path / "storage", uri=f"http://127.0.0.1:{server.port}")
    warnings: list[str] = []
    mirror = Mirror(target, warn=warnings.append, retry=0.1)
    with server:
        mirror.progress(cell(1), CURVES[0])
        while mirror.pending:
            time.sleep(0.01)
    mirror.finished(record(1, curves=CURVES))
    mirror.finished(record(2, Status.FAILED, failure=Failure(kind="E", message="m", traceback="t")))
    while not warnings:
        time.sleep(0.01)
    with server:
        mirror.finished(record(3))
        assert mirror.close() == 0
        runs = Runs(target)

        assert runs.count == 4
        assert runs.curve(cell(1).id, "epoch/loss") == [(1, 0.5), (2, 0.25)]
        failed = runs.cells[record(2).cell]
        assert [each.path for each in runs.client.list_artifacts(failed.info.run_id)] == ["traceback.txt"]
        assert len(warnings) == 1


IMPORTS = """
import sys
import orchestrator.store.mirror, orchestrator.store.state, orchestrator.store.ledger
print([name for name in ("mlflow", "torch", "ray", "pandas") if name in sys.modules])
"""


def test_mlflow_is_loaded_only_when_it_is_used():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
