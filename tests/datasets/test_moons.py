import numpy as np
import pytest

from arraynn.datasets import moons
from arraynn.errors import DataError


def test_without_noise_the_classes_are_half_circles_around_their_centres():
    x, y = moons(100, noise=0, dtype="float64")
    centre = np.where(y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    np.testing.assert_allclose(np.hypot(*(x - centre).T), 1)
    assert ((x - centre)[:, 1] * np.where(y == 0, 1, -1) >= -1e-12).all()


def test_shapes_types_and_seeds():
    x, y = moons(50)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((100, 2), np.float32, (100,), np.int64)
    assert np.bincount(y).tolist() == [50] * (100 // 50)
    np.testing.assert_array_equal(x, moons(50, seed=np.random.default_rng(0))[0])
    assert not np.array_equal(x, moons(50, seed=1)[0])
    assert np.isfinite(moons(5, seed=np.random.RandomState(0), dtype="float64")[0]).all()


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
        moons(**arguments)
