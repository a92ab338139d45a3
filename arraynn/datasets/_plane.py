"""`plane`: points of a tilted plane, the simplest regression with two inputs."""

from __future__ import annotations

import numpy.typing as npt

from ._checks import Floats, Seed, count, float_dtype, normal, random_source, spread


def plane(
    samples: int = 300, *, noise: float = 0.1, seed: Seed = 0, dtype: npt.DTypeLike = "float32"
) -> tuple[Floats, Floats]:
    """Uniform points in the square [-1, 1]² and y = (x0 + x1) / 2, with noise on y.

    samples : integer, at least 1; points. noise : at least 0; standard deviation of the normal noise on y.
    seed : as for `spiral`; the points are drawn first, then the noise.
    dtype : floating type of x and y; both are computed in float64, then rounded.
    Returns x : (samples, 2) and y : (samples, 1). A linear layer fits it exactly except for the noise.
    Raises DataError for a value out of range.

    >>> x, y = plane(4, noise=0)
    >>> x.shape, float(abs(y[:, 0] - x.mean(axis=1)).max()) < 1e-6
    ((4, 2), True)
    """
    n, noise = count("samples", samples), spread(noise)
    kind, rng = float_dtype(dtype), random_source(seed)
    x = rng.uniform(-1.0, 1.0, (n, 2))
    y = x.mean(axis=1, keepdims=True) + noise * normal(rng, n)[:, None]
    return x.astype(kind), y.astype(kind)
