"""The ledger keeps what was committed, whatever happens to the process that commits."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Failure, Status
from trainables.errors import InputError


def segments(root: Path) -> list[Path]:
    return sorted((root / "ledger").iterdir())


def test_records_come_back_equal(tmp_path, record):
    done = record(1, curves=({"epoch": 1, "loss": 0.5},), files=("a.png",), provenance={"torch": "2"})
    failure = Failure(kind="ValueError", message="no — «really»", traceback="line\nline", retryable=True)
    failed = record(2, Status.FAILED, failure=failure, metrics={})

    Ledger(tmp_path).commit(done, failed)

    assert Ledger(tmp_path).records() == {done.cell: done, failed.cell: failed}


def test_records_from_before_cells_told_what_they_read_are_still_read(tmp_path, record):
    Ledger(tmp_path).commit(record(1), record(2))
    (segment,) = segments(tmp_path)
    header, *lines = map(json.loads, segment.read_text().splitlines())
    for line in lines:
        assert line.pop("reads")
    segment.write_text("".join(f"{json.dumps(line)}\n" for line in (header, *lines)))

    found = Ledger(tmp_path).records()

    assert found == {each.cell: replace(each, reads=()) for each in (record(1), record(2))}


def test_figures_that_json_has_no_word_for_come_back(tmp_path, record):
    Ledger(tmp_path).commit(record(metrics={"auroc": math.nan, "loss": math.inf, "f1": np.float32(0.5)}))

    (back,) = Ledger(tmp_path).records().values()

    assert math.isnan(back.metrics["auroc"])
    assert (back.metrics["loss"], back.metrics["f1"]) == (math.inf, 0.5)


def test_the_last_record_of_a_cell_counts(tmp_path, record):
    Ledger(tmp_path).commit(record(1, Status.FAILED), record(2))
    Ledger(tmp_path).commit(record(1, Status.DONE, attempt=2))

    found = Ledger(tmp_path).records()

    assert [found[record(seed).cell].status for seed in (1, 2)] == [Status.DONE, Status.DONE]
    assert found[record(1).cell].attempt == 2


def test_a_commit_is_one_file_and_an_empty_one_none(tmp_path, record):
    ledger = Ledger(tmp_path)
    ledger.commit()
    assert not (tmp_path / "ledger").exists()

    ledger.commit(*(record(seed) for seed in range(5)))

    assert len(segments(tmp_path)) == 1


def test_reading_an_empty_storage_writes_nothing(tmp_path):
    assert Ledger(tmp_path).records() == {}
    assert list(tmp_path.iterdir()) == []


def test_refresh_tells_only_what_is_new(tmp_path, record):
    writer, reader = Ledger(tmp_path), Ledger(tmp_path)
    writer.commit(record(1))
    assert [each.cell for each in reader.refresh()] == [record(1).cell]

    writer.commit(record(2))

    assert [each.cell for each in reader.refresh()] == [record(2).cell]
    assert reader.refresh() == ()
    assert len(reader.records()) == 2


def test_compaction_leaves_one_segment_with_the_same_records(tmp_path, record):
    ledger = Ledger(tmp_path)
    for seed in range(6):
        ledger.commit(record(seed % 4, attempt=seed + 1))
    before = Ledger(tmp_path).records()

    Ledger(tmp_path).compact(many=6)

    assert len(segments(tmp_path)) == 1
    assert Ledger(tmp_path).records() == before


def test_few_segments_are_left_as_they_are(tmp_path, record):
    ledger = Ledger(tmp_path)
    for seed in range(5):
        ledger.commit(record(seed))
    before = segments(tmp_path)

    Ledger(tmp_path).compact(many=6)

    assert segments(tmp_path) == before


def test_a_crash_between_writing_and_deleting_changes_nothing(tmp_path, record):
    ledger = Ledger(tmp_path)
    for seed in range(4):
        ledger.commit(record(seed % 2, attempt=seed + 1))
    old = {path: path.read_bytes() for path in segments(tmp_path)}
    before = ledger.records()
    Ledger(tmp_path).compact(many=2)
    for path, content in old.items():
        path.write_bytes(content)

    assert Ledger(tmp_path).records() == before


def test_a_reader_follows_a_ledger_that_is_compacted_under_it(tmp_path, record):
    writer = Ledger(tmp_path)
    for seed in range(4):
        writer.commit(record(seed))
    reader = Ledger(tmp_path)
    reader.refresh()
    writer.commit(record(4))

    Ledger(tmp_path).compact(many=2)
    Ledger(tmp_path).commit(record(0, attempt=9))

    assert len(reader.records()) == 5
    assert reader.records()[record(0).cell].attempt == 9


def test_half_written_files_of_a_killed_driver_are_ignored_and_cleared(tmp_path, record):
    Ledger(tmp_path).commit(record())
    left = tmp_path / "ledger" / ".00000002-abc.jsonl.1-ff.tmp"
    left.write_text('{"format": 1, "rec')

    assert len(Ledger(tmp_path).records()) == 1
    Ledger(tmp_path).compact()
    assert not left.exists()


def lose_the_last_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def strip_a_field(path: Path) -> None:
    header, line, *rest = path.read_text().splitlines()
    value = json.loads(line)
    del value["cell"]
    path.write_text("\n".join([header, json.dumps(value), *rest]))


def claim_another_format(path: Path) -> None:
    header, *rest = path.read_text().splitlines()
    path.write_text("\n".join([header.replace('"format": 1', '"format": 2'), *rest]))


@pytest.mark.parametrize("damage", [lose_the_last_line, cut, empty, strip_a_field, claim_another_format])
def test_a_damaged_segment_is_named_every_time(tmp_path, record, damage):
    ledger = Ledger(tmp_path)
    ledger.commit(record(1), record(2))
    (path,) = segments(tmp_path)
    damage(path)
    reader = Ledger(tmp_path)

    for _ in range(2):
        with pytest.raises(InputError) as error:
            reader.records()
        assert error.value.where == str(path)


def test_1500_records_in_150_commits_are_all_read(tmp_path, record):
    ledger = Ledger(tmp_path)
    for first in range(0, 1500, 10):
        ledger.commit(*(record(seed, metrics={f"m{i}": 0.5 for i in range(12)}) for seed in range(first, first + 10)))

    found = Ledger(tmp_path).records()

    assert len(found) == 1500


COMMIT_FOR_EVER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from conftest import make_record
from orchestrator.store.ledger import Ledger

root = Path(sys.argv[1])
ledger = Ledger(root)
ledger.compact(many=2)
print(len(ledger.records()), flush=True)
for seed in range(int(sys.argv[2]), 10**6, 3):
    ledger.commit(*(make_record(each) for each in range(seed, seed + 3)))
    print(seed, flush=True)
"""


def test_nothing_committed_is_lost_when_drivers_are_killed(tmp_path, start, record):
    code = COMMIT_FOR_EVER.format(here=str(Path(__file__).parent))
    told: list[int] = []
    for life in range(3):
        process = start(code, tmp_path, 1000 * life)
        process.stdout.readline()
        lines = [int(process.stdout.readline()) for _ in range(7 + 5 * life)]
        process.kill()
        rest, _ = process.communicate()
        told += [seed + each for seed in lines + [int(line) for line in rest.split()] for each in range(3)]

        found = Ledger(tmp_path).records()

        assert {record(seed).cell for seed in told} <= found.keys()
        # Whole commits only: three records each.
        assert len(found) % 3 == 0


READ_FOR_EVER = """
import sys
from pathlib import Path
from orchestrator.store.ledger import Ledger

print("ready", flush=True)
smallest = 10**9
while not Path(sys.argv[2]).exists():
    smallest = min(smallest, len(Ledger(Path(sys.argv[1])).records()))
print(smallest)
"""


def test_readers_see_everything_while_the_ledger_is_compacted(tmp_path, start, record):
    stop = tmp_path / "stop"
    Ledger(tmp_path).commit(*(record(seed) for seed in range(20)))
    reader = start(READ_FOR_EVER, tmp_path, stop)
    reader.stdout.readline()

    for turn in range(60):
        ledger = Ledger(tmp_path)
        ledger.commit(record(turn % 20))
        ledger.commit(record(turn % 20, attempt=2))
        ledger.compact(many=2)
    stop.touch()
    out, err = reader.communicate(timeout=30)

    assert err == ""
    assert int(out) == 20
