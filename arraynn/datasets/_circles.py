"""`circles`: concentric rings of points, classes that no straight line separates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._checks import Floats, Labels, Seed, count, float_dtype, normal, random_source, spread


def circles(
    samples: int = 100, classes: int = 2, *, noise: float = 0.05, seed: Seed = 0, dtype: npt.DTypeLike = "float32"
) -> tuple[Floats, Labels]:
    """Noisy points on concentric rings: class c has radius (c + 1) / classes, with uniformly drawn angles.

    samples : integer, at least 1; points of each class. classes : integer, at least 1; rings.
    noise : at least 0; standard deviation of the normal noise on each coordinate.
    seed : as for `spiral`; each class draws its angles first, then the noise of x[:, 0], then that of x[:, 1].
    dtype : floating type of x; the points are computed in float64, then rounded.
    Returns x : (classes * samples, 2) and y : (classes * samples,) int64 in [0, classes), class by class.
    Raises DataError for a value out of range.

    scikit-learn's make_circles has two rings of evenly spaced points, the outer ring first.

    >>> x, y = circles(2, 2, noise=0)
    >>> np.hypot(*x.T).round(3).tolist(), y.tolist()
    ([0.5, 0.5, 1.0, 1.0], [0, 0, 1, 1])
    """
    n, k, noise = count("samples", samples), count("classes", classes), spread(noise)
    kind, rng = float_dtype(dtype), random_source(seed)
    x = np.empty((k * n, 2), dtype=kind)
    for c in range(k):
        angle, r = rng.uniform(0, 2 * np.pi, n), (c + 1) / k
        across = r * np.sin(angle) + noise * normal(rng, n)
        x[c * n : (c + 1) * n] = np.stack((across, r * np.cos(angle) + noise * normal(rng, n)), axis=1)
    return x, np.repeat(np.arange(k, dtype=np.int64), n)
