"""`fashion_mnist`: 70,000 images of clothes, in MNIST's format."""

from __future__ import annotations

import os

from ._checks import Floats, Labels
from .mnist_files import Source, load

_SOURCE = Source(
    name="fashion_mnist",
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    md5=(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    of_unpacked=False,  # the project's page gives checksums of the compressed files
    at_root=False,  # in that folder, the same file names mean MNIST
)


def fashion_mnist(
    folder: str | os.PathLike[str] | None = None, *, flatten: bool = True
) -> tuple[Floats, Labels, Floats, Labels]:
    """Images of clothes, 28 × 28 pixels: x = (pixels - 127.5) / 127.5.

    folder : the folder of the four IDX files, named as MNIST's, each unpacked or as .gz. None searches
        $ARRAYNN_DATA/fashion_mnist and the user's cache ($XDG_CACHE_HOME/arraynn/fashion_mnist or
        ~/.cache/arraynn/fashion_mnist; on Windows %LOCALAPPDATA%/arraynn/fashion_mnist). Missing files are downloaded
        into the cache, 30 MB, and verified by MD5. Nothing is downloaded into a given folder.
    flatten : True gives x as (N, 784), the image's rows concatenated; False as (N, 28, 28).
    Returns x_train : (60000, 784), y_train : (60000,), x_test : (10000, 784), y_test : (10000,);
    x float32 in [-1, 1], y int64: 0 T-shirt/top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt,
    7 sneaker, 8 bag, 9 ankle boot. Not shuffled.
    Raises DataError for missing or damaged files, for files of another data set, and for a failed download.

    Xiao, Rasul and Vollgraf, arXiv:1708.07747 (MIT licence). The scaling is that of Kinsley and Kukieła, Neural
    Networks from Scratch in Python, chapter 19; many others divide by 255.

    >>> x_train, y_train, x_test, y_test = fashion_mnist()  # doctest: +SKIP
    >>> x_train.shape, y_train[:5].tolist()  # doctest: +SKIP
    ((60000, 784), [9, 0, 0, 3, 0])
    """
    x_train, y_train, x_test, y_test = load(_SOURCE, folder, flatten)
    for x in (x_train, x_test):  # the arrays are new, so this writes in place
        x -= 127.5
        x /= 127.5
    return x_train, y_train, x_test, y_test
