import pickle

import numpy as np
import pytest

from trainables.data.stack import Stack, open_pixels

RNG = np.random.default_rng(0)
PARTS = [RNG.integers(0, 256, (n, 4, 4, 3), dtype=np.uint8) for n in (3, 0, 5, 1)]
WHOLE = np.concatenate(PARTS)
ORDER = RNG.permutation(9)


@pytest.mark.parametrize(
    "index",
    [
        0, -1, np.int64(4), slice(None), slice(2, 7, 2), slice(5, 5), slice(None, None, -1),
        np.array([8, 0, 3, 3, -2]), np.array([], dtype=np.int64), np.arange(9) % 2 == 0, [1, 2],
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", [None, ORDER])
def test_indexing_is_that_of_one_array(index, order):
    stack, whole = Stack(PARTS, order), WHOLE if order is None else WHOLE[order]
    np.testing.assert_array_equal(stack[index], whole[index])
    assert stack[index].dtype == np.uint8
    assert stack.shape == whole.shape
    assert len(stack) == len(whole)


@pytest.mark.parametrize("index", [9, -10, np.array([0, 9])])
def test_out_of_range(index):
    with pytest.raises(IndexError):
        Stack(PARTS)[index]


@pytest.mark.parametrize("order", [None, ORDER, np.array([8, 1, 1, 0, 4, 2])])
def test_its_distinct_images_make_it_again(order):
    sets, places = Stack(PARTS, order).distinct()
    np.testing.assert_array_equal(np.concatenate([each[:] for each in sets])[places], Stack(PARTS, order)[:])
    assert sum(map(len, sets)) == (9 if order is None else len(set(order.tolist())))
    assert all(len(each.parts) == 1 and len(each) for each in sets)  # of one part each, and none of an empty one


def test_what_is_read_is_a_copy():
    stack = Stack(PARTS)
    stack[:][:] = 0
    stack[0][:] = 0
    np.testing.assert_array_equal(stack[:], WHOLE)


def test_a_memory_map_travels_as_its_path(tmp_path):
    big = RNG.integers(0, 256, (200, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", big)
    stack = Stack([Stack([open_pixels(tmp_path / "pixels.npy"), big[:2]])], np.arange(201, -1, -1))
    sent = pickle.dumps(stack)
    assert len(sent) < 8_000
    np.testing.assert_array_equal(pickle.loads(sent)[:], stack[:])
