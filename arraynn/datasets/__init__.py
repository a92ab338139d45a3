"""Data sets: generated ones, shipped ones (`digits`, `iris`), and readers of data files.

Generated classifications are `spiral`, `vertical`, `circles`, `moons`, `xor`, `blobs`; generated regressions are
`sine` and `plane`.

All arrays are NumPy arrays on the host; a model moves them to its own library. Files are not trusted: sizes are
checked before memory is allocated, nothing is unpickled, and every fault raises a DataError.
"""

from ._blobs import blobs
from ._circles import circles
from ._digits import digits
from ._fashion_mnist import fashion_mnist
from ._idx import read_idx
from ._image_folder import ImageFolder, load_image_folder
from ._iris import iris
from ._mnist import mnist
from ._moons import moons
from ._npz import NpzData, load_npz, load_npz_inputs
from ._plane import plane
from ._sine import sine
from ._spiral import spiral
from ._vertical import vertical
from ._xor import xor

__all__ = [
    "ImageFolder",
    "NpzData",
    "blobs",
    "circles",
    "digits",
    "fashion_mnist",
    "iris",
    "load_image_folder",
    "load_npz",
    "load_npz_inputs",
    "mnist",
    "moons",
    "plane",
    "read_idx",
    "sine",
    "spiral",
    "vertical",
    "xor",
]
