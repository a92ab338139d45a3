"""One period of a sine: the book's regression problem."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._checks import Floats, count, float_dtype


def sine(samples: int = 1000, *, dtype: npt.DTypeLike = "float32") -> tuple[Floats, Floats]:
    """One period of a sine: x = 0, 1/n, …, (n-1)/n and y = sin 2πx, with n = samples.

    samples : integer, at least 1.
    dtype : floating type of x and y; both are computed in float64, then rounded.
    Returns x : (samples, 1) in [0, 1) and y : (samples, 1) in [-1, 1]. Nothing is random.
    Raises DataError for a value out of range.

    Kinsley and Kukieła, Neural Networks from Scratch in Python, chapter 17.

    >>> x, y = sine(4)
    >>> x.ravel().tolist(), y.shape
    ([0.0, 0.25, 0.5, 0.75], (4, 1))
    """
    n, kind = count("samples", samples), float_dtype(dtype)
    x = np.arange(n)[:, None] / n
    return x.astype(kind), np.sin(2 * np.pi * x).astype(kind)
