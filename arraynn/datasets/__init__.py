"""Data to learn on: generated, shipped (`digits`, `iris`), and read from files.

Generated are the classes `spiral`, `vertical`, `circles`, `moons`, `xor`, `blobs`, and the values `sine`, `plane`.

Everything here is NumPy on the host; a model moves arrays to its own library. Files are read with suspicion: sizes
are checked before anything is allocated, nothing is ever unpickled, and whatever is wrong is one DataError.
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
