"""`spiral`: interleaved spirals, the small classification problem used throughout the book."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._checks import Floats, Labels, Seed, count, float_dtype, normal, random_source, spread


def spiral(
    samples: int = 100, classes: int = 3, *, noise: float = 0.2, seed: Seed = 0, dtype: npt.DTypeLike = "float32"
) -> tuple[Floats, Labels]:
    """Noisy points on the arms of a spiral, one arm per class: x = (r sin 2.5t, r cos 2.5t).

    For class c, with n = samples: r = linspace(0, 1, n), t = linspace(4c, 4(c+1), n) + noise · e, e from N(0, 1).

    samples : integer, at least 1; points of each class.
    classes : integer, at least 1; arms. noise : at least 0; standard deviation of the angle t. The book's is 0.2.
    seed : integer, at least 0, or a numpy Generator or legacy RandomState, whose stream continues. Each class draws
        once, in order. `RandomState(0)` gives the book's points: computed in float64, then rounded.
    dtype : floating type of x.
    Returns x : (classes * samples, 2), within the unit circle, and y : (classes * samples,) int64 in [0, classes),
    class by class, not shuffled.
    Raises DataError for a value out of range.

    Andrej Karpathy, CS231n, "Putting it together: minimal neural network case study" (MIT licence);
    Kinsley and Kukieła, Neural Networks from Scratch in Python, chapter 3. The book's package, nnfs, also rounds the
    draws to float32, which can change the last bit of x.

    >>> x, y = spiral(samples=4, classes=2)
    >>> x.shape, x.dtype.name, y.tolist()
    ((8, 2), 'float32', [0, 0, 0, 0, 1, 1, 1, 1])
    """
    n, k, noise = count("samples", samples), count("classes", classes), spread(noise)
    kind, rng = float_dtype(dtype), random_source(seed)
    x = np.empty((k * n, 2), dtype=kind)
    r = np.linspace(0.0, 1.0, n)
    for c in range(k):
        t = np.linspace(4 * c, 4 * (c + 1), n) + noise * normal(rng, n)
        x[c * n : (c + 1) * n] = np.stack((r * np.sin(2.5 * t), r * np.cos(2.5 * t)), axis=1)
    return x, np.repeat(np.arange(k, dtype=np.int64), n)
