"""`sine`: one period of a sine, the book's regression problem."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._checks import Floats, Seed, count, float_dtype, normal, random_source, spread


def sine(
    samples: int = 1000, *, noise: float = 0.0, seed: Seed = 0, dtype: npt.DTypeLike = "float32"
) -> tuple[Floats, Floats]:
    """One period of a sine: x = 0, 1/n, …, (n-1)/n and y = sin 2πx, with n = samples, and noise on y.

    samples : integer, at least 1. noise : at least 0; standard deviation of normal noise on y. The book's is 0; then
        nothing is drawn. seed : as for `spiral`.
    dtype : floating type of x and y; both are computed in float64, then rounded.
    Returns x : (samples, 1) in [0, 1) and y : (samples, 1), in [-1, 1] if there is no noise.
    Raises DataError for a value out of range.

    Kinsley and Kukieła, Neural Networks from Scratch in Python, chapter 17.

    >>> x, y = sine(4)
    >>> x.ravel().tolist(), y.shape
    ([0.0, 0.25, 0.5, 0.75], (4, 1))
    """
    n, noise, kind, rng = count("samples", samples), spread(noise), float_dtype(dtype), random_source(seed)
    x = np.arange(n)[:, None] / n
    y = np.sin(2 * np.pi * x)
    if noise:
        y += noise * normal(rng, n)[:, None]
    return x.astype(kind), y.astype(kind)
