import numpy as np
import pytest

from arraynn.datasets import blobs
from arraynn.errors import DataError


def test_clouds_lie_evenly_on_the_unit_circle():
    x, y = blobs(2000, 5)
    for c in range(5):
        own = x[y == c]
        np.testing.assert_allclose(own.mean(axis=0), [np.sin(0.4 * np.pi * c), np.cos(0.4 * np.pi * c)], atol=0.02)
        np.testing.assert_allclose(own.std(axis=0), 0.2, rtol=0.1)


def test_shapes_types_and_seeds():
    x, y = blobs(50)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((150, 2), np.float32, (150,), np.int64)
    assert np.bincount(y).tolist() == [50] * (150 // 50)
    np.testing.assert_array_equal(x, blobs(50, seed=np.random.default_rng(0))[0])
    assert not np.array_equal(x, blobs(50, seed=1)[0])
    assert np.isfinite(blobs(5, seed=np.random.RandomState(0), dtype="float64")[0]).all()


@pytest.mark.parametrize(
    "arguments",
    [
        {"classes": 0},
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
        blobs(**arguments)
