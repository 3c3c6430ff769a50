"""One integer seed, any number of independent random streams."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def generator(seed: int, *stream: str | int) -> np.random.Generator:
    """A NumPy generator for one named use of the seed: ``generator(seed, "order", epoch)``.

    Streams with different names are independent; no stream depends on what another has drawn.
    """
    return np.random.default_rng(_words(seed, stream))


@contextmanager
def seeded(seed: int, *stream: str | int) -> Iterator[None]:
    """Within, the global generators of torch and NumPy follow this stream; afterwards they are as before.

    For code that draws from the global generators: layer initialisation, dropout, third-party attacks.
    """
    import torch

    legacy = np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    first, second = np.random.SeedSequence(_words(seed, stream)).generate_state(2)
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(first))
        np.random.seed(int(second))
        try:
            yield
        finally:
            np.random.set_state(legacy)


def _words(seed: int, stream: tuple[str | int, ...]) -> list[int]:
    names = (zlib.crc32(s.encode()) if isinstance(s, str) else s for s in stream)
    return [word % 2**32 for word in (seed, seed >> 32, *names)]
