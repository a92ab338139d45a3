import numpy as np
import pytest

from arraynn.datasets import xor
from arraynn.errors import DataError


def test_without_noise_the_class_says_whether_signs_differ():
    x, y = xor(500, noise=0, dtype="float64")
    np.testing.assert_array_equal(np.sign(x[:, 0]) != np.sign(x[:, 1]), y == 1)
    quadrants = {tuple(signs) for signs in np.sign(x).tolist()}
    assert quadrants == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    assert np.abs(x).max() <= 1


def test_noise_moves_points_but_not_their_class():
    (quiet, y), (loud, same) = xor(2000, noise=0, dtype="float64"), xor(2000, noise=0.2, dtype="float64")
    np.testing.assert_array_equal(y, same)
    np.testing.assert_allclose((loud - quiet).std(axis=0), 0.2, rtol=0.1)


def test_shapes_types_and_seeds():
    x, y = xor(50)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((100, 2), np.float32, (100,), np.int64)
    assert np.bincount(y).tolist() == [50] * (100 // 50)
    np.testing.assert_array_equal(x, xor(50, seed=np.random.default_rng(0))[0])
    assert not np.array_equal(x, xor(50, seed=1)[0])
    assert np.isfinite(xor(5, seed=np.random.RandomState(0), dtype="float64")[0]).all()


@pytest.mark.parametrize(
    "arguments",
    [
        {"samples": 0},
        {"noise": -0.1},
        {"noise": float("nan")},
        {"noise": "x"},
        {"noise": True},
        {"seed": -1},
        {"dtype": "int32"},
    ],
)
def test_bad_values_are_refused(arguments):
    with pytest.raises(DataError, match=f"^{next(iter(arguments))} is"):
        xor(**arguments)
