"""Reading the images of a data folder on Ray, for its index: files in batches, a task each."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.run.session import connected
from orchestrator.study.resources import Resources, StageResources
from trainables.errors import InputError
from trainables.indexing.examine import Facts, examine, one_opencv_thread
from trainables.indexing.examining import Examine, Item, examine_in_threads
from trainables.indexing.threads import without_warnings

if TYPE_CHECKING:
    import ray

BATCH = 200
"""Images in a task: a second or so of work, some milliseconds of which are Ray's."""

FEW = 2000
"""Images that are read sooner by threads of this process than a local Ray starts."""

RETRIES = 3
"""How often a batch is given to another worker after its worker was lost."""


def examine_on_ray(address: str | None = None) -> Examine:
    """Reads images on a local Ray or on a cluster, whose nodes must see the data folder under the same path.

    Args:
        address: of the cluster; a local Ray is started, and ended, if not given.
    """

    def read(root: Path, items: Sequence[Item]) -> Generator[list[Facts], None, None]:
        with connected(address, StageResources()) as cluster:
            yield from _in_order(root, items, ahead=2 * cluster.at_once(Resources()))

    return read


def examine_where_it_pays(address: str | None = None) -> Examine:
    """Reads images in threads of this process where they are few, else on Ray.

    Args:
        address: of a cluster; without it, Ray runs on this machine.
    """

    def read(root: Path, items: Sequence[Item]) -> Generator[list[Facts], None, None]:
        reader = examine_in_threads if len(items) <= FEW else examine_on_ray(address)
        with closing(reader(root, items)) as chunks:
            yield from chunks

    return read


def _in_order(root: Path, items: Sequence[Item], ahead: int) -> Generator[list[Facts], None, None]:
    """Facts batch by batch, with so many batches out at once.

    Raises:
        InputError: a node does not see the folder; a batch has lost every worker it was given to.
    """
    import ray

    task = ray.remote(max_retries=RETRIES, num_cpus=1)(_examine_batch)
    out: deque[tuple[ray.ObjectRef[list[Facts]], Sequence[Item]]] = deque()
    try:
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            out.append((task.remote(root, batch), batch))
            if len(out) >= ahead:
                yield _result(*out.popleft())
        while out:
            yield _result(*out.popleft())
    finally:
        for reference, _ in out:
            ray.cancel(reference)


def _examine_batch(root: Path, batch: Sequence[Item]) -> list[Facts]:
    if not root.is_dir():
        fix = "put it on storage that all nodes share, under one path"
        raise InputError("a node of the cluster does not see the data folder", where=str(root), fix=fix)
    with without_warnings(), one_opencv_thread():
        return [examine(root, *item) for item in batch]


def _result(reference: ray.ObjectRef[list[Facts]], batch: Sequence[Item]) -> list[Facts]:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        problem = f"{RETRIES + 1} workers ended while they read these images; what is read is kept"
        found = f"{batch[0][0]} … {batch[-1][0]}"
        raise InputError(
            problem, value=found, fix="look for a damaged file among them, or give them more memory"
        ) from error
