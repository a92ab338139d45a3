import numpy as np
import pytest

from arraynn.datasets import circles
from arraynn.errors import DataError


def test_without_noise_each_class_is_a_ring():
    x, y = circles(200, 4, noise=0, dtype="float64")
    np.testing.assert_allclose(np.hypot(*x.T), (y + 1) / 4)
    angles = np.arctan2(*x.T)
    assert angles.min() < -3
    assert angles.max() > 3


def test_noise_is_the_standard_deviation_of_a_coordinate():
    quiet, loud = (circles(1, 1, noise=noise, seed=3, dtype="float64")[0] for noise in (0, 0.5))
    rng = np.random.default_rng(3)
    rng.uniform(size=1)
    np.testing.assert_allclose((loud - quiet)[0], 0.5 * rng.standard_normal(2))


def test_shapes_types_and_seeds():
    x, y = circles(50)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((100, 2), np.float32, (100,), np.int64)
    assert np.bincount(y).tolist() == [50] * (100 // 50)
    np.testing.assert_array_equal(x, circles(50, seed=np.random.default_rng(0))[0])
    assert not np.array_equal(x, circles(50, seed=1)[0])
    assert np.isfinite(circles(5, seed=np.random.RandomState(0), dtype="float64")[0]).all()


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
        circles(**arguments)
