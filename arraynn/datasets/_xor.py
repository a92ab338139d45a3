"""`xor`: points in four quadrants and two classes, a problem that a single layer cannot solve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._checks import Floats, Labels, Seed, count, float_dtype, normal, random_source, spread


def xor(
    samples: int = 100, *, noise: float = 0.1, seed: Seed = 0, dtype: npt.DTypeLike = "float32"
) -> tuple[Floats, Labels]:
    """Points in the square [-1, 1]²: class 0 where both coordinates have the same sign, class 1 where they differ.

    Positions are uniform. Noise is added after the class is decided, so that it blurs the boundary.

    samples : integer, at least 1; points of each class. noise : at least 0; standard deviation of the normal noise on
        each coordinate. seed : as for `spiral`; uniform numbers first, then signs, then noise.
    dtype : floating type of x; the points are computed in float64, then rounded.
    Returns x : (2 * samples, 2) and y : (2 * samples,) int64, 0 or 1, class by class.
    Raises DataError for a value out of range.

    Minsky and Papert, Perceptrons, 1969.

    >>> x, y = xor(3, noise=0)
    >>> ((x[:, 0] * x[:, 1] < 0) == y).all(), y.tolist()
    (np.True_, [0, 0, 0, 1, 1, 1])
    """
    n, noise = count("samples", samples), spread(noise)
    kind, rng = float_dtype(dtype), random_source(seed)
    y = np.repeat(np.arange(2, dtype=np.int64), n)
    x = rng.uniform(0.0, 1.0, (2 * n, 2))
    side = np.where(rng.uniform(0.0, 1.0, 2 * n) < 0.5, -1.0, 1.0)
    x *= np.stack((side, side * (1 - 2 * y)), axis=1)  # the second sign equals the first, inverted for class 1
    x += noise * np.stack((normal(rng, 2 * n), normal(rng, 2 * n)), axis=1)
    return x.astype(kind), y
