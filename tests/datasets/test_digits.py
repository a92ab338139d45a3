import hashlib
from importlib.resources import files

import numpy as np

from arraynn.datasets import digits

# the first image of the set, as published
FIRST = """
0  0  5 13  9  1  0  0
0  0 13 15 10 15  5  0
0  3 15  2  0 11  8  0
0  4 12  0  0  8  8  0
0  5  8  0  0  9  8  0
0  4 11  0  1 12  7  0
0  2 14  5 10 12  0  0
0  0  6 13 10  0  0  0
"""


def whole():
    """The set in its published order: pixels of 0 to 16, and labels."""
    x_train, y_train, x_test, y_test = digits()
    order = np.random.RandomState(0).permutation(1797)
    x, y = np.empty((1797, 64)), np.empty(1797, dtype=np.int64)
    x[order], y[order] = np.concatenate((x_train, x_test)) * 16, np.concatenate((y_train, y_test))
    return x, y


def test_shapes_types_and_ranges():
    x_train, y_train, x_test, y_test = digits()
    assert x_train.shape == (1437, 64)
    assert x_test.shape == (360, 64)
    assert y_train.shape == (1437,)
    assert y_test.shape == (360,)
    for x, y in ((x_train, y_train), (x_test, y_test)):
        assert x.dtype == np.float32
        assert x.min() == 0
        assert x.max() == 1
        assert y.dtype == np.int64
        assert set(y.tolist()) == set(range(10))
        np.testing.assert_array_equal(x * 16, np.round(x * 16))


def test_undoing_the_split_gives_the_published_set():
    x, y = whole()
    assert x[0].tolist() == [int(word) for word in FIRST.split()]
    assert y[:10].tolist() == list(range(10))
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_split_is_always_the_same():
    _, y_train, x_test, y_test = digits()
    assert y_train[:10].tolist() == TRAIN_START
    assert y_test[:10].tolist() == TEST_START
    assert hashlib.sha256((x_test * 16).astype("u1").tobytes()).hexdigest() == TEST_SUM


def test_writing_to_a_returned_array_changes_neither_the_next_call_nor_the_other_part():
    x_train, _, x_test, _ = digits()
    x_train[:] = -1
    assert digits()[0].min() == 0
    assert x_test.min() == 0


def test_the_shipped_file_is_small_and_attributed():
    folder = files("arraynn.datasets") / "data"
    assert len((folder / "digits.gz").read_bytes()) < 60_000
    assert "CC BY 4.0" in (folder / "README.md").read_text("utf-8")
    assert "CC BY 4.0" in digits.__doc__


TRAIN_START = [2, 8, 2, 6, 6, 7, 1, 9, 8, 5]
TEST_START = [7, 9, 4, 7, 0, 2, 6, 1, 3, 1]
TEST_SUM = "3e513a101193c0514d97a60d151570d7d1ab8837d20c6d5a76ad044e42edf840"
