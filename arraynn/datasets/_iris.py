"""`iris`: measurements of 150 irises of three species, shipped with the package."""

from __future__ import annotations

import gzip
from importlib.resources import files

import numpy as np

from ._checks import Floats, Labels


def iris() -> tuple[Floats, Labels]:
    """Sepal length, sepal width, petal length and petal width of 150 irises, in centimetres, and their species.

    Returns x : (150, 4) float32, from 0.1 to 7.9, and y : (150,) int64: 0 setosa, 1 versicolor, 2 virginica, 50 rows
    each, sorted by species, not shuffled. New arrays on each call.
    These are Fisher's numbers, as in scikit-learn and R; the file of the UCI repository differs in rows 34 and 37.

    R. A. Fisher, Annals of Eugenics 7, 1936, table I; measured by E. Anderson.

    >>> x, y = iris()
    >>> x.shape, [round(float(v), 1) for v in x[0]], [int((y == k).sum()) for k in range(3)]
    ((150, 4), [5.1, 3.5, 1.4, 0.2], [50, 50, 50])
    """
    packed = (files("arraynn.datasets") / "data" / "iris.gz").read_bytes()
    rows = np.frombuffer(gzip.decompress(packed), dtype=np.uint8).reshape(-1, 5)
    return (rows[:, :4] / 10).astype(np.float32), rows[:, 4].astype(np.int64)
