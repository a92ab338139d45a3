"""`moons`: two interleaved half circles of points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._checks import Floats, Labels, Seed, count, float_dtype, normal, random_source, spread


def moons(
    samples: int = 100, *, noise: float = 0.1, seed: Seed = 0, dtype: npt.DTypeLike = "float32"
) -> tuple[Floats, Labels]:
    """Noisy points on two half circles of radius 1: (cos t, sin t) for class 0, (1 - cos t, 1/2 - sin t) for class 1.

    t = linspace(0, π, samples) in each class; noise is added afterwards.

    samples : integer, at least 1; points of each class. noise : at least 0; standard deviation of the normal noise on
        each coordinate. seed : as for `spiral`; all of x[:, 0]'s noise is drawn first, then x[:, 1]'s.
    dtype : floating type of x; the points are computed in float64, then rounded.
    Returns x : (2 * samples, 2) and y : (2 * samples,) int64, 0 or 1, class by class.
    Raises DataError for a value out of range.

    The curves are those of scikit-learn's make_moons, whose `n_samples` counts both classes.

    >>> x, y = moons(2, noise=0)
    >>> x.round(3).tolist(), y.tolist()
    ([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.5], [2.0, 0.5]], [0, 0, 1, 1])
    """
    n, noise = count("samples", samples), spread(noise)
    kind, rng = float_dtype(dtype), random_source(seed)
    t = np.linspace(0.0, np.pi, n)
    x0 = np.concatenate((np.cos(t), 1 - np.cos(t))) + noise * normal(rng, 2 * n)
    x1 = np.concatenate((np.sin(t), 0.5 - np.sin(t))) + noise * normal(rng, 2 * n)
    return np.stack((x0, x1), axis=1).astype(kind), np.repeat(np.arange(2, dtype=np.int64), n)
