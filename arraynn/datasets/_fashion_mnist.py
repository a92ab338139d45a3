"""Fashion-MNIST: 70,000 pictures of clothes, in MNIST's format."""

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
    of_unpacked=False,  # the project's page gives the sums of the compressed files
    at_root=False,  # there the same names mean MNIST
)


def fashion_mnist(
    folder: str | os.PathLike[str] | None = None, *, flatten: bool = True
) -> tuple[Floats, Labels, Floats, Labels]:
    """Pictures of clothes, 28 × 28 pixels: x = (pixels - 127.5) / 127.5.

    folder : where the four IDX files are, named as MNIST's, each as it is or with .gz. None looks in
        $ARRAYNN_DATA/fashion_mnist and in the user's cache ($XDG_CACHE_HOME/arraynn/fashion_mnist or
        ~/.cache/arraynn/fashion_mnist; on Windows %LOCALAPPDATA%/arraynn/fashion_mnist). What the cache lacks is
        downloaded into it, 30 MB, and checked by MD5. A folder that was named is never downloaded into.
    flatten : True gives x as (N, 784), rows of pixels one after another; False as (N, 28, 28).
    Returns x_train : (60000, 784), y_train : (60000,), x_test : (10000, 784), y_test : (10000,);
    x float32 in [-1, 1], y int64: 0 T-shirt/top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt,
    7 sneaker, 8 bag, 9 ankle boot. Not shuffled.
    Raises DataError where files are missing, damaged or another data set's, and where the download fails.

    Xiao, Rasul and Vollgraf, arXiv:1708.07747 (MIT licence). The scaling is that of Kinsley and Kukieła, Neural
    Networks from Scratch in Python, chapter 19; many others divide by 255.

    >>> x_train, y_train, x_test, y_test = fashion_mnist()  # doctest: +SKIP
    >>> x_train.shape, y_train[:5].tolist()  # doctest: +SKIP
    ((60000, 784), [9, 0, 0, 3, 0])
    """
    x_train, y_train, x_test, y_test = load(_SOURCE, folder, flatten)
    for x in (x_train, x_test):  # new arrays, so in place
        x -= 127.5
        x /= 127.5
    return x_train, y_train, x_test, y_test
