import csv
import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainables.benchmark.make import make_benchmark
from trainables.contract import Split
from trainables.errors import InputError

TINY = {Split.TRAIN: 4, Split.VAL: 2, Split.ADAPT: 2, Split.FEW: 2, Split.TEST: 2}


def _bytes(root: Path) -> dict[str, str]:
    files = (file for file in root.rglob("*") if file.is_file())
    return {file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _rows(root: Path) -> list[dict[str, str]]:
    with (root / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(tmp_path):
    counts = dict.fromkeys(Split, 12)
    alone = make_benchmark(tmp_path / "alone", "smoke", seed=3, counts=counts, workers=1)
    together = make_benchmark(tmp_path / "together", "smoke", seed=3, counts=counts, workers=2)
    assert _bytes(alone.root) == _bytes(together.root)


def test_another_seed_gives_other_images(tmp_path):
    first = make_benchmark(tmp_path / "0", "smoke", seed=0, counts=TINY)
    second = make_benchmark(tmp_path / "1", "smoke", seed=1, counts=TINY)
    images = [{digest for path, digest in _bytes(b.root).items() if path.endswith(".jpg")} for b in (first, second)]
    assert not images[0] & images[1]


def test_no_two_images_show_one_scene(small_data):
    groups = [row["group"] for row in _rows(small_data)]
    assert len(groups) == len(set(groups)) == 5 * 52


def test_reals_are_as_many_as_the_fakes_of_one_generator_evenly_over_cameras(small_data):
    rows = _rows(small_data)
    for split, count in {"train": 16, "test": 12}.items():
        reals = [row["generator"] for row in rows if row["label"] == "0" and row["split"] == split]
        assert {name: reals.count(name) for name in reals} == {"compact": count // 2, "reflex": count // 2}
        for generator in ("tconv", "nearest", "bilinear", "latent8"):
            assert sum(row["generator"] == generator and row["split"] == split for row in rows) == count


def test_the_manifest_lists_every_image_under_its_folder(small_data):
    rows = _rows(small_data)
    images = {file.relative_to(small_data).as_posix() for file in small_data.rglob("*.jpg")}
    assert {row["path"] for row in rows} == images
    for row in rows:
        kind = "fake" if row["label"] == "1" else "real"
        assert row["path"].startswith(f"{kind}/{row['generator']}/")
    assert {(row["generator"], row["family"]) for row in rows if row["label"] == "1"} == {
        ("tconv", "gan"), ("nearest", "gan"), ("bilinear", "dm"), ("latent8", "dm"),
    }  # fmt: skip


def test_ranking_keeps_one_camera_for_the_targets(tmp_path):
    rows = _rows(make_benchmark(tmp_path / "ranking", "ranking", counts=TINY).root)
    for row in rows:
        held_out = row["split"] in {"adapt", "few", "test"}
        assert (row["source"] == "phone") == held_out


def test_a_second_call_makes_nothing(tmp_path):
    first = make_benchmark(tmp_path / "data", "smoke", counts=TINY)
    before = {file: file.stat().st_mtime_ns for file in first.root.rglob("*")}
    second = make_benchmark(tmp_path / "data", "smoke", counts=TINY)
    assert (first.made, second.made) == (True, False)
    assert before == {file: file.stat().st_mtime_ns for file in first.root.rglob("*")}


@pytest.mark.parametrize("changed", [{"seed": 1}, {"image_size": 32}, {"counts": {Split.TRAIN: 3}}])
def test_a_folder_with_other_data_is_refused_and_left_as_it_is(tmp_path, changed):
    root = make_benchmark(tmp_path / "data", "smoke", counts=TINY).root
    before = _bytes(root)
    with pytest.raises(InputError, match="not empty"):
        make_benchmark(root, "smoke", **{"counts": TINY, **changed})
    assert _bytes(root) == before


def test_unknown_preset_names_the_nearest(tmp_path):
    with pytest.raises(InputError, match="did you mean 'ranking'"):
        make_benchmark(tmp_path / "data", "rankin")
    assert not (tmp_path / "data").exists()


def test_progress_ends_at_all(tmp_path):
    seen = []
    made = make_benchmark(
        tmp_path / "data", "smoke", counts=TINY, progress=lambda done, all_: seen.append((done, all_))
    )
    assert seen[-1] == (made.images, made.images)
    assert seen == sorted(seen)


def test_an_error_half_way_leaves_nothing(tmp_path):
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_benchmark(tmp_path / "data", "smoke", counts=TINY, progress=stop)
    assert [file.name for file in tmp_path.iterdir()] == [".data.lock"]


def test_a_killed_run_leaves_no_folder_of_that_name_and_the_next_run_makes_it(tmp_path):
    code = (
        "import sys; from pathlib import Path; from trainables.benchmark.make import make_benchmark\n"
        "make_benchmark(Path(sys.argv[1]), 'smoke', workers=1, progress=lambda done, _: print(done, flush=True))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.kill()
    assert not (tmp_path / "data").exists()
    assert (tmp_path / ".data.making").exists()
    made = make_benchmark(tmp_path / "data", "smoke", counts=TINY)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".data.lock", "data"]
    assert len(list(made.root.rglob("*.jpg"))) == made.images


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes through /proc")
def test_workers_end_with_the_process_that_started_them(tmp_path):
    code = (
        "import sys, multiprocessing as mp; from pathlib import Path\n"
        "from trainables.benchmark.make import make_benchmark\n"
        "show = lambda *_: print(*(child.pid for child in mp.active_children()), flush=True)\n"
        "make_benchmark(Path(sys.argv[1]), 'demo', workers=2, progress=show)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    ) as run:
        workers = [Path("/proc", pid) for pid in run.stdout.readline().split()]
        run.kill()
    assert workers
    deadline = time.monotonic() + 20
    while any(_lives(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_lives(worker) for worker in workers)


def _lives(process: Path) -> bool:
    try:
        return "(zombie)" not in (process / "status").read_text()
    except OSError:
        return False
