"""`digits`: 1797 small handwritten digits, shipped with the package, so that no download is needed."""

from __future__ import annotations

import gzip
from importlib.resources import files

import numpy as np

from ._checks import Floats, Labels

_TRAINED = 1437  # four fifths of 1797


def digits() -> tuple[Floats, Labels, Floats, Labels]:
    """Handwritten digits of 8 × 8 pixels, as 64 numbers each: x = counts / 16.

    Each count, 0 to 16, is the number of black pixels in a 4 × 4 block of a 32 × 32 bitmap.

    Returns x_train : (1437, 64), y_train : (1437,), x_test : (360, 64), y_test : (360,);
    x float32 in [0, 1], the image's rows concatenated; y int64 in [0, 10). New arrays on each call.

    The split is fixed: of `RandomState(0).permutation(1797)`, a stream that NumPy keeps stable, the first 1437 rows are
    for training, the other 360 are held out. It is not stratified, and a writer may be in both parts, so the test
    accuracy is higher than on new writers. scikit-learn's `load_digits` has the same rows unsplit, with pixels of 0
    to 16.

    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
    https://doi.org/10.24432/C50P49, licensed CC BY 4.0. These are the 1797 images of its test set.

    >>> x_train, y_train, x_test, y_test = digits()
    >>> x_train.shape, x_test.shape, float(x_train.min()), float(x_train.max())
    ((1437, 64), (360, 64), 0.0, 1.0)
    """
    packed = (files("arraynn.datasets") / "data" / "digits.gz").read_bytes()
    rows = np.frombuffer(gzip.decompress(packed), dtype=np.uint8).reshape(-1, 65)
    rows = rows[np.random.RandomState(0).permutation(len(rows))]
    x, y = rows[:, :64].astype(np.float32), rows[:, 64].astype(np.int64)
    x /= 16  # exact: a power of two
    # copied, so that the two parts share no memory
    return x[:_TRAINED].copy(), y[:_TRAINED].copy(), x[_TRAINED:].copy(), y[_TRAINED:].copy()
