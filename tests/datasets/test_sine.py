import math

import numpy as np
import pytest

from arraynn.datasets import sine
from arraynn.errors import DataError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_points_follow_the_formula_rounded_to_the_dtype(dtype):
    x, y = sine(1000, dtype=dtype)
    assert x.shape == y.shape == (1000, 1)
    assert x.dtype == y.dtype == np.dtype(dtype)
    for i in (0, 1, 333, 500, 999):
        assert x[i, 0] == np.dtype(dtype).type(i / 1000)
        assert y[i, 0] == pytest.approx(math.sin(2 * math.pi * i / 1000), abs=8 * float(np.finfo(dtype).eps))


def test_the_default_is_a_thousand_points_of_float32():
    x, _ = sine()
    assert x.shape == (1000, 1)
    assert x.dtype == np.float32


@pytest.mark.parametrize("arguments", [{"samples": 0}, {"samples": 1.5}, {"dtype": "int32"}])
def test_bad_values_are_refused(arguments):
    with pytest.raises(DataError, match=f"^{next(iter(arguments))} is"):
        sine(**arguments)


def test_noise_is_on_y_alone_and_seeded():
    (x, y), (same, loud) = sine(2000), sine(2000, noise=0.3)
    np.testing.assert_array_equal(x, same)
    np.testing.assert_allclose((loud - y).std(), 0.3, rtol=0.1)
    np.testing.assert_array_equal(loud, sine(2000, noise=0.3, seed=0)[1])
    assert not np.array_equal(loud, sine(2000, noise=0.3, seed=1)[1])
    with pytest.raises(DataError, match=r"^noise is"):
        sine(noise=None)
