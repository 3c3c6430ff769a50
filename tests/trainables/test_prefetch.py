from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from trainables.data.stack import Stack
from trainables.prefetch import ahead, in_memory, in_threads, pays, ready


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")}


@pytest.mark.parametrize("depth", [0, 1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_the_items_come_in_their_order_and_all_of_them(depth: int, count: int) -> None:
    with ahead(range(count), depth) as items:
        assert list(items) == list(range(count))
    assert not _threads()


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_none_is_made_further_ahead_than_the_depth(depth: int) -> None:
    made: list[int] = []
    enough = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for k in range(10):
            made.append(k)
            enough.release()
            yield k

    with ahead(items(), depth) as found:
        for k, item in enumerate(found):
            assert item == k
            for _ in range(depth + 1 if k == 0 else 1):  # those before it, itself, and those ahead
                assert k + depth >= 10 or enough.acquire(timeout=10)
            assert len(made) == min(10, k + 1 + depth)


def test_the_next_item_is_made_while_one_is_in_use() -> None:
    in_use, next_is_made = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 0
        assert in_use.wait(10)
        next_is_made.set()
        yield 1

    with ahead(items(), 1) as found:
        assert next(found) == 0
        in_use.set()
        assert next_is_made.wait(10), "the second item is made before it is asked for"
        assert next(found) == 1


@pytest.mark.parametrize("depth", [0, 2])
def test_an_exception_comes_at_its_place(depth: int) -> None:
    def items() -> Iterator[int]:
        yield 0
        yield 1
        raise OSError("cannot read the third")

    with ahead(items(), depth) as given:
        assert [next(given), next(given)] == [0, 1]
        with pytest.raises(OSError, match="cannot read the third"):
            next(given)
    assert not _threads()


def test_a_body_that_ends_early_ends_the_thread() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    endless = items()
    with pytest.raises(KeyError), ahead(endless, 2) as given:
        assert {next(given): "the first"}["another"]
    assert not _threads()
    assert next(endless) <= 4
    endless.close()
    assert closed.is_set()


def test_results_of_many_threads_are_in_the_items_order() -> None:
    barrier = threading.Barrier(2)

    def function(item: int) -> int:
        if item < 2:
            barrier.wait(10)  # only two threads at once get past it
        return item * item

    if len(os.sched_getaffinity(0)) > 1:
        assert in_threads(function, [0, 1]) == [0, 1]
    assert in_threads(lambda item: item + 1, range(1000)) == list(range(1, 1001))
    assert in_threads(function, []) == []


def test_no_more_threads_than_cpus_that_the_process_may_use() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from trainables import prefetch as p"
    command = [sys.executable, "-c", f"{code}; print(p._pool()._max_workers)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "1"


def test_an_exception_in_a_thread_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda item: 1 // item, [2, 1, 0])


def test_a_forked_process_has_threads_of_its_own() -> None:
    in_threads(abs, [-1])
    child = os.fork()
    if not child:
        os._exit(0 if in_threads(abs, [-1, -2]) == [1, 2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class _Decoded:
    """Pixels that are made when they are asked for."""

    shape = (4, 8, 8, 3)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: object) -> np.ndarray:
        return np.zeros(self.shape, np.uint8)[index]


def test_reading_ahead_pays_where_reading_is_work(tmp_path) -> None:
    array = np.zeros((4, 8, 8, 3), np.uint8)
    np.save(tmp_path / "pixels.npy", array)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    for memory in (array, mapped, Stack([mapped, array]), Stack([Stack([mapped])], np.arange(3))):
        assert in_memory(memory)
        assert not pays(memory, "cpu")
        assert pays(memory, "cuda:0")
    for decoded in (_Decoded(), Stack([array, _Decoded()]), Stack([Stack([_Decoded()])])):
        assert not in_memory(decoded)
        assert pays(decoded, "cpu")


def test_ready_pixels_are_the_same_bytes() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    for given in (pixels, pixels[:, ::-1], pixels[:, :, 1:4]):
        tensor = ready(given, "cpu")
        assert tensor.dtype == torch.uint8
        assert np.array_equal(tensor.numpy(), given)
