from __future__ import annotations

import numpy as np
import pytest

from trainables.augment import Augment
from trainables.batches import Order
from trainables.seeding import generator

CHANGING = Augment(vertical=0.5, shear=10, blur=0.5, jpeg=0.5)


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
    given = {"seed": 0, "count": 70, "batch": 16, "target": 30, "augment": CHANGING}
    alone = list(Order(**given).epoch(2))
    shares = [list(Order(**given, rank=rank, world_size=workers).epoch(2)) for rank in range(workers)]
    for step, whole in enumerate(alone):
        for part in (0, 1):
            batches = [share[step][part] for share in shares]
            assert np.array_equal(np.concatenate([b.index for b in batches]), whole[part].index)
            assert np.array_equal(np.concatenate([b.flip for b in batches]), whole[part].flip)
            assert [change for b in batches for change in b.changes] == list(whole[part].changes)


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


def test_the_change_of_an_image_is_drawn_from_the_seed_the_epoch_and_its_place_alone() -> None:
    """Not from the batch it is in, its position in the set, or the other domain."""
    for batch, target in ((10, 0), (20, 0), (20, 15)):
        order = Order(seed=5, count=40, batch=batch, target=target, augment=CHANGING)
        changes = [change for source, _ in order.epoch(3) for change in source.changes]
        expected = [CHANGING.draw(generator(5, "augment", "source", 3, place)) for place in range(40)]
        assert changes == expected
        assert len(set(changes)) == 40
    others = [
        [change for pair in Order(seed=seed, count=40, batch=20, target=15, augment=CHANGING).epoch(epoch)
         for change in pair[domain].changes]
        for seed, epoch, domain in ((5, 4, 0), (6, 3, 0), (5, 3, 1))
    ]  # fmt: skip
    assert all(not set(changes) & set(expected) for changes in others)


def test_which_images_and_which_mirrored_does_not_depend_on_the_augmentation() -> None:
    for plain, changing in zip(
        Order(seed=1, count=64, batch=16, target=24).epoch(2),
        Order(seed=1, count=64, batch=16, target=24, augment=CHANGING).epoch(2),
        strict=True,
    ):
        for one, other in zip(plain, changing, strict=True):
            assert np.array_equal(one.index, other.index)
            assert np.array_equal(one.flip, other.flip)
            assert one.changes == ()


def test_images_are_mirrored_and_then_changed_and_the_set_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 12, 10, 3)).astype(np.uint8)
    before = pixels.copy()
    ((batch, _),) = Order(seed=0, count=30, batch=30, augment=CHANGING).epoch(0)
    mirrored = [pixels[i][:, ::-1] if flip else pixels[i] for i, flip in zip(batch.index, batch.flip, strict=True)]
    expected = np.stack([change.of(image.copy()) for change, image in zip(batch.changes, mirrored, strict=True)])
    assert np.array_equal(batch.of(pixels), expected)
    assert np.array_equal(pixels, before)
    assert not np.array_equal(expected, np.stack(mirrored))


@pytest.mark.parametrize("augment", [Augment(), CHANGING])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_parts_of_a_batch_are_the_batch(augment: Augment, count: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
    ((batch, _),) = Order(seed=0, count=20, batch=20, augment=augment).epoch(0)
    parts = batch.parts(count)
    assert len(parts) == count
    assert np.array_equal(np.concatenate([part.of(pixels) for part in parts]), batch.of(pixels))


def test_both_classes_are_changed_alike() -> None:
    """The share and strength of the changes, over many epochs: a difference would be a shortcut to learn."""
    labels = np.arange(200) % 2
    order = Order(seed=3, count=200, batch=50, augment=CHANGING)
    seen: dict[int, list[tuple[float, ...]]] = {0: [], 1: []}
    for epoch in range(20):
        for source, _ in order.epoch(epoch):
            for label, flip, change in zip(labels[source.index], source.flip, source.changes, strict=True):
                drawn = (flip, change.vertical, change.shear, change.sigma > 0, change.sigma, change.quality)
                seen[int(label)].append(tuple(map(float, drawn)))
    real, fake = (np.array(seen[label]) for label in (0, 1))
    error = np.sqrt(real.var(axis=0) / len(real) + fake.var(axis=0) / len(fake))
    assert (np.abs(real.mean(axis=0) - fake.mean(axis=0)) < 4 * error).all()
