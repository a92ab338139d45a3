import math

import numpy as np
import pytest

from arraynn.datasets import sine
from arraynn.errors import DataError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_points_are_the_formulas_rounded(dtype):
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
