"""What all generated data sets have alike: shapes, dtypes, seeds, and what they refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arraynn.datasets import blobs, circles, moons, plane, xor
from arraynn.errors import DataError

CLASSES: dict[Callable[..., Any], int] = {blobs: 3, circles: 2, moons: 2, xor: 2}
HAS_CLASSES = (blobs, circles)
BAD = {"samples": [0], "noise": [-0.1, float("nan"), "x", True], "seed": [-1], "dtype": ["int32"]}


@pytest.mark.parametrize("make", CLASSES)
def test_shapes_types_and_seeds_of_classes(make):
    (x, y), classes = make(50), CLASSES[make]
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((50 * classes, 2), np.float32, (50 * classes,), np.int64)
    assert np.bincount(y).tolist() == [50] * classes
    np.testing.assert_array_equal(x, make(50, seed=np.random.default_rng(0))[0])
    assert not np.array_equal(x, make(50, seed=1)[0])
    assert np.isfinite(make(5, seed=np.random.RandomState(0), dtype="float64")[0]).all()


def test_shapes_types_and_seeds_of_values():
    x, y = plane(50)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((50, 2), np.float32, (50, 1), np.float32)
    assert not np.array_equal(x, plane(50, seed=1)[0])


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        *((make, name, value) for make in (*CLASSES, plane) for name, bad in BAD.items() for value in bad),
        *((make, "classes", 0) for make in HAS_CLASSES),
    ],
)
def test_bad_values_are_refused(make, name, value):
    with pytest.raises(DataError, match=f"^{name} is"):
        make(**{name: value})
