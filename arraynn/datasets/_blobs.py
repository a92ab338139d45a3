"""`blobs`: normally distributed clusters of points, with centres evenly spaced on a circle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._checks import Floats, Labels, Seed, count, float_dtype, normal, random_source, spread


def blobs(
    samples: int = 100, classes: int = 3, *, noise: float = 0.2, seed: Seed = 0, dtype: npt.DTypeLike = "float32"
) -> tuple[Floats, Labels]:
    """Normally distributed clusters around (sin a, cos a), a = 2π c / classes, for class c.

    samples : integer, at least 1; points of each class. classes : integer, at least 1; clusters.
    noise : at least 0; standard deviation of a cluster along each axis.
    seed : as for `spiral`; each class draws twice, the first coordinate first.
    dtype : floating type of x; the points are computed in float64, then rounded.
    Returns x : (classes * samples, 2) and y : (classes * samples,) int64 in [0, classes), class by class.
    Raises DataError for a value out of range.

    scikit-learn's make_blobs draws the centres at random; here they are evenly spaced.

    >>> x, y = blobs(1, 4, noise=0)
    >>> (x.round(3) + 0.0).tolist(), y.tolist()
    ([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]], [0, 1, 2, 3])
    """
    n, k, noise = count("samples", samples), count("classes", classes), spread(noise)
    kind, rng = float_dtype(dtype), random_source(seed)
    x = np.empty((k * n, 2), dtype=kind)
    for c in range(k):
        rows, angle = slice(c * n, (c + 1) * n), 2 * np.pi * c / k
        x[rows, 0] = np.sin(angle) + noise * normal(rng, n)
        x[rows, 1] = np.cos(angle) + noise * normal(rng, n)
    return x, np.repeat(np.arange(k, dtype=np.int64), n)
