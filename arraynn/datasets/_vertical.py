"""`vertical`: clusters of points side by side, classes that straight lines separate, or nearly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._checks import Floats, Labels, Seed, count, float_dtype, normal, random_source, spread


def vertical(
    samples: int = 100, classes: int = 3, *, noise: float = 0.1, seed: Seed = 0, dtype: npt.DTypeLike = "float32"
) -> tuple[Floats, Labels]:
    """Clusters around (c/3, 1/2) for class c: x = (noise · e + c/3, noise · e' + 0.5), e and e' from N(0, 1).

    samples : integer, at least 1; points of each class.
    classes : integer, at least 1; clusters. noise : at least 0; standard deviation of a cluster. The book's is 0.1.
    seed : integer, at least 0, or a numpy Generator or legacy RandomState, whose stream continues. Each class draws
        twice, the first coordinate first, as in the book.
    dtype : floating type of x; the points are computed in float64, then rounded.
    Returns x : (classes * samples, 2) and y : (classes * samples,) int64 in [0, classes), class by class.
    Raises DataError for a value out of range.

    Kinsley and Kukieła, Neural Networks from Scratch in Python, chapter 6.

    >>> x, y = vertical(samples=2, classes=3)
    >>> x.shape, y.tolist()
    ((6, 2), [0, 0, 1, 1, 2, 2])
    """
    n, k, noise = count("samples", samples), count("classes", classes), spread(noise)
    kind, rng = float_dtype(dtype), random_source(seed)
    x = np.empty((k * n, 2), dtype=kind)
    for c in range(k):
        rows = slice(c * n, (c + 1) * n)
        x[rows, 0] = noise * normal(rng, n) + c / 3
        x[rows, 1] = noise * normal(rng, n) + 0.5
    return x, np.repeat(np.arange(k, dtype=np.int64), n)
