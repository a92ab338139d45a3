"""Reads IDX, the file format of MNIST: 00 00, type code, number of axes, each axis as big-endian uint32, data."""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_AXES = 32  # NumPy 1's limit; NumPy 2 has 64
_MAX_RATIO = 1032  # the largest compression ratio of deflate: 258 bytes from two bits
_MAX_UNPACKED = 2**31  # bytes unpacked from a gzip file
_CHUNK = 2**20


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read the array in an IDX file.

    path : the file, plain or gzip-compressed; its content decides which, not its name.
    Returns an array of the shape and type in the file's header (uint8, int8, int16, int32, float32 or float64),
    in this machine's byte order.
    Raises DataError, which names the file, for one that is missing, not IDX, empty, shorter or longer than its header
    says, or damaged. The header is checked against the file's size before memory is allocated: a plain file must match
    it to the byte; a compressed one can hold at most 1032 times its size and is read up to 2 GiB.

    Yann LeCun, "The MNIST database of handwritten digits", section on file formats.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "three-idx1-ubyte")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    name = os.fspath(path)
    if not os.path.isfile(name):  # reading a named pipe would block
        raise DataError(f"{name}: there is no such file, or it is not a plain file")
    try:
        with open(name, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return _read(file, name, size, packed)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read(unpacked, name, size, packed)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be read: {error}. Download the file again") from error


def _read(stream: io.BufferedIOBase, name: str, size: int, packed: bool) -> npt.NDArray[Any]:
    dtype, shape = _header(stream, name)
    length = math.prod(shape)
    declared = length * dtype.itemsize
    what = f"{name}: its header says shape {shape}, that is {declared} bytes"
    if packed:
        limit = min(size * _MAX_RATIO, _MAX_UNPACKED)
        if declared > limit:
            why = "2 GiB is the limit; unpack the file first" if limit == _MAX_UNPACKED else "the header is damaged"
            raise DataError(f"{what}, but {size} compressed bytes are read up to {limit}: {why}")
    elif (rest := size - 4 - 4 * len(shape)) != declared:
        raise DataError(f"{what}, but {rest} follow. The file is {'truncated' if rest < declared else 'too long'}")

    data = np.empty(length, dtype=dtype)
    view, done = data.view(np.uint8).data, 0
    while done < declared:
        got = stream.readinto(view[done : done + _CHUNK])
        if not got:
            raise DataError(f"{what}, but {done} follow. The file is truncated")
        done += got
    if stream.read(1):  # at the end of a gzip file, this read also verifies its checksum
        raise DataError(f"{what}, but more follow. The file is too long")
    return data.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _header(stream: io.BufferedIOBase, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(f"{name} is not an IDX file: it begins with {magic!r} where 00 00, type, number of axes belong")
    code, axes = magic[2], magic[3]
    if code not in _DTYPES:
        raise DataError(f"{name}: type code 0x{code:02x}; IDX has {', '.join(f'0x{c:02x}' for c in _DTYPES)}")
    if not 1 <= axes <= _MAX_AXES:
        raise DataError(f"{name}: {axes} axes; from 1 to {_MAX_AXES} can be read")
    sizes = stream.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"{name} is truncated: it ends inside its header of {axes} axes")
    shape = struct.unpack(f">{axes}I", sizes)
    if 0 in shape:
        raise DataError(f"{name} is empty: its header says shape {shape}")
    return np.dtype(_DTYPES[code]), shape
