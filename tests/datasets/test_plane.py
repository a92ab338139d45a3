import numpy as np
import pytest

from arraynn.datasets import plane
from arraynn.errors import DataError


def test_without_noise_y_is_the_mean_of_both_coordinates():
    x, y = plane(100, noise=0, dtype="float64")
    np.testing.assert_allclose(y[:, 0], (x[:, 0] + x[:, 1]) / 2)
    assert x.min() >= -1
    assert x.max() <= 1


def test_noise_is_on_y_alone():
    (x, y), (same, loud) = plane(2000, noise=0, dtype="float64"), plane(2000, noise=0.3, dtype="float64")
    np.testing.assert_array_equal(x, same)
    np.testing.assert_allclose((loud - y).std(), 0.3, rtol=0.1)


def test_shapes_types_and_seeds():
    x, y = plane(50)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((50, 2), np.float32, (50, 1), np.float32)
    assert not np.array_equal(x, plane(50, seed=1)[0])


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
        plane(**arguments)
