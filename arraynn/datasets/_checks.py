"""Checks the arguments of the generated data sets."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.int64]
Seed = int | np.random.Generator | np.random.RandomState


def count(name: str, value: Any) -> int:
    """Check that `value` is an integer of at least 1, and return it as an int."""
    number = _integer(value)
    if number is None or number < 1:
        raise DataError(f"{name} is {value!r}; it must be an integer of at least 1, such as {name}=100")
    return number


def spread(noise: Any) -> float:
    """Check that `noise` is a finite number of at least 0, and return it as a float."""
    try:
        number = math.nan if isinstance(noise, bool | np.bool_) else float(noise)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise DataError(f"noise is {noise!r}; it must be a finite number of at least 0, such as noise=0.1")
    return number


def random_source(seed: Any) -> np.random.Generator | np.random.RandomState:
    """Return a generator unchanged, so that its stream continues, or a new Generator seeded by an integer."""
    if isinstance(seed, np.random.Generator | np.random.RandomState):
        return seed
    number = _integer(seed)
    if number is None or number < 0:
        raise DataError(
            f"seed is {seed!r}; it must be an integer of at least 0, a numpy.random.Generator or a "
            f"numpy.random.RandomState, such as seed=0"
        )
    return np.random.default_rng(number)


def normal(rng: np.random.Generator | np.random.RandomState, size: int) -> Floats:
    """`size` draws from N(0, 1), by `randn` of a RandomState, as in the book, or `standard_normal` of a Generator."""
    return rng.randn(size) if isinstance(rng, np.random.RandomState) else rng.standard_normal(size)


def float_dtype(dtype: Any) -> np.dtype[np.floating[Any]]:
    """Check that `dtype` is a floating type, and return it as a NumPy dtype."""
    try:
        found: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)  # np.dtype(None) is float64
    except TypeError:
        found = None
    if found is None or found.kind != "f":
        raise DataError(f'dtype is {dtype!r}; it must be a floating type, such as dtype="float32"')
    return found


def _integer(value: Any) -> int | None:
    if isinstance(value, bool | np.bool_):  # operator.index(True) is 1, but a bool is a mistake here
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
