from __future__ import annotations

import numpy as np
import pytest

from trainables.batches import Order


def _source(order: Order, epoch: int) -> np.ndarray:
    return np.concatenate([source.index for source, _ in order.epoch(epoch)])


def test_an_epoch_reads_every_image_at_most_once_in_full_batches() -> None:
    order = Order(seed=0, count=50, batch=16)
    read = _source(order, 0)
    assert order.steps == 3
    assert len(read) == 48
    assert len(set(read.tolist())) == 48


def test_epochs_have_orders_of_their_own_and_a_seed_repeats_them() -> None:
    order = Order(seed=0, count=64, batch=16)
    assert not np.array_equal(_source(order, 0), _source(order, 1))
    assert np.array_equal(_source(order, 1), _source(Order(seed=0, count=64, batch=16), 1))
    assert not np.array_equal(_source(order, 0), _source(Order(seed=1, count=64, batch=16), 0))


def test_fewer_images_than_a_batch_make_one_smaller_batch() -> None:
    (source, _), *rest = Order(seed=0, count=10, batch=16).epoch(0)
    assert sorted(source.index.tolist()) == list(range(10))
    assert not rest


def test_the_target_is_cycled_without_favour() -> None:
    order = Order(seed=0, count=64, batch=16, target=24)
    read = [t.index for epoch in range(3) for _, t in order.epoch(epoch) if t is not None]
    assert {len(index) for index in read} == {16}
    assert np.array_equal(np.bincount(np.concatenate(read)), np.full(24, 3 * 64 // 24))


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_share_the_batches_of_one_process(workers: int) -> None:
    alone = list(Order(seed=0, count=70, batch=16, target=30).epoch(2))
    shares = [
        list(Order(seed=0, count=70, batch=16, target=30, rank=rank, world_size=workers).epoch(2))
        for rank in range(workers)
    ]
    for step, whole in enumerate(alone):
        for part in (0, 1):
            batches = [share[step][part] for share in shares]
            assert np.array_equal(np.concatenate([b.index for b in batches]), whole[part].index)
            assert np.array_equal(np.concatenate([b.flip for b in batches]), whole[part].flip)


def test_mirrored_images_are_mirrored_left_to_right_and_about_half_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (400, 4, 5, 3)).astype(np.uint8)
    ((batch, _),) = Order(seed=0, count=400, batch=400).epoch(0)
    read = batch.of(pixels)
    expected = np.stack(
        [pixels[i][:, ::-1] if flip else pixels[i] for i, flip in zip(batch.index, batch.flip, strict=True)]
    )
    assert np.array_equal(read, expected)
    assert 150 < batch.flip.sum() < 250
    ((plain, _),) = Order(seed=0, count=400, batch=400, flips=False).epoch(0)
    assert not plain.flip.any()
