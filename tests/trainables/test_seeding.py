from __future__ import annotations

import numpy as np
import pytest
import torch

from trainables.seeding import generator, seeded


def test_a_stream_depends_on_its_seed_and_its_name_alone() -> None:
    draws = {
        (seed, name): generator(seed, name).integers(2**62)
        for seed in (0, 1, 2**32, -1)
        for name in ("source", "target")
    }
    assert len(set(draws.values())) == len(draws)
    assert generator(1, "source").integers(2**62) == draws[1, "source"]


def test_global_generators_follow_the_seed_within_and_go_on_afterwards() -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    expected = (torch.rand(2)[1].item(), np.random.rand(2)[1])
    torch.manual_seed(5)
    np.random.seed(5)
    torch.rand(1), np.random.rand(1)
    inner = []
    for _ in range(2):
        with seeded(3, "weights"):
            inner.append((torch.rand(1).item(), np.random.rand()))
    assert inner[0] == inner[1]
    assert (torch.rand(1).item(), np.random.rand()) == expected


def test_global_generators_go_on_after_an_error() -> None:
    state = torch.random.get_rng_state()
    with pytest.raises(KeyError), seeded(0, "x"):
        raise KeyError(torch.rand(1))
    assert torch.equal(torch.random.get_rng_state(), state)
