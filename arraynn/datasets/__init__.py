"""Data to learn on: generated, shipped (`digits`), and read from files.

Generated are the classes `spiral`, `vertical`, `circles`, `moons`, `xor`, `blobs`, and the values `sine`, `plane`.

Everything here is NumPy on the host; a model moves arrays to its own library. Files are read with suspicion: sizes
are checked before anything is allocated, nothing is ever unpickled, and whatever is wrong is one DataError.
"""

from ._blobs import blobs
from ._circles import circles
from ._digits import digits
from ._fashion_mnist import fashion_mnist
from ._idx import read_idx
from ._mnist import mnist
from ._moons import moons
from ._npz import NpzData, load_npz
from ._plane import plane
from ._sine import sine
from ._spiral import spiral
from ._vertical import vertical
from ._xor import xor

__all__ = [
    "NpzData",
    "blobs",
    "circles",
    "digits",
    "fashion_mnist",
    "load_npz",
    "mnist",
    "moons",
    "plane",
    "read_idx",
    "sine",
    "spiral",
    "vertical",
    "xor",
]
