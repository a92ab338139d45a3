"""`mnist`: 70,000 images of handwritten digits."""

from __future__ import annotations

import os

from ._checks import Floats, Labels
from .mnist_files import Source, load

_SOURCE = Source(
    name="mnist",
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    md5=(
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
    of_unpacked=True,  # each mirror compresses differently
    at_root=True,
)


def mnist(
    folder: str | os.PathLike[str] | None = None, *, flatten: bool = True
) -> tuple[Floats, Labels, Floats, Labels]:
    """Handwritten digits of 28 × 28 pixels: x = pixels / 255.

    folder : the folder of the four IDX files, each unpacked or as .gz: train-images-idx3-ubyte,
        train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte. None searches $ARRAYNN_DATA/mnist,
        $ARRAYNN_DATA, and the user's cache ($XDG_CACHE_HOME/arraynn/mnist or ~/.cache/arraynn/mnist; on Windows
        %LOCALAPPDATA%/arraynn/mnist). Missing files are downloaded into the cache, 11 MB, and verified by MD5. Nothing
        is downloaded into a given folder.
    flatten : True gives x as (N, 784), the image's rows concatenated; False as (N, 28, 28).
    Returns x_train : (60000, 784), y_train : (60000,), x_test : (10000, 784), y_test : (10000,);
    x float32 in [0, 1], y int64 in [0, 10).
    Raises DataError for missing or damaged files, for files of another data set, and for a failed download.

    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE, 1998.

    >>> x_train, y_train, x_test, y_test = mnist()  # doctest: +SKIP
    >>> x_train.shape, y_train[:5].tolist()  # doctest: +SKIP
    ((60000, 784), [5, 0, 4, 1, 9])
    """
    x_train, y_train, x_test, y_test = load(_SOURCE, folder, flatten)
    x_train /= 255  # in place, as the arrays are new: the training images take 188 MB
    x_test /= 255
    return x_train, y_train, x_test, y_test
