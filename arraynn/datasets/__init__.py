"""Data to learn on: generated (`spiral`, `vertical`, `sine`), shipped (`digits`), and read from files.

Everything here is NumPy on the host; a model moves arrays to its own library. Files are read with suspicion: sizes
are checked before anything is allocated, nothing is ever unpickled, and whatever is wrong is one DataError.
"""

from ._digits import digits
from ._fashion_mnist import fashion_mnist
from ._idx import read_idx
from ._mnist import mnist
from ._npz import NpzData, load_npz, load_npz_inputs
from ._sine import sine
from ._spiral import spiral
from ._vertical import vertical

__all__ = [
    "NpzData",
    "digits",
    "fashion_mnist",
    "load_npz",
    "load_npz_inputs",
    "mnist",
    "read_idx",
    "sine",
    "spiral",
    "vertical",
]
