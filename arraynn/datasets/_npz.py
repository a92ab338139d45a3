"""Reads a user's own arrays from a .npz file, which is not trusted."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from ..errors import DataError

_NEEDED = "x and y, or x_train and y_train (and x_test and y_test, where there is test data)"
_MAX_RATIO = 1032  # deflate's own bound: 258 bytes from two bits


class NpzData(NamedTuple):
    """What `load_npz` found: rows and their targets, and the same to test on, or None."""

    x_train: npt.NDArray[Any]
    y_train: npt.NDArray[Any]
    x_test: npt.NDArray[Any] | None
    y_test: npt.NDArray[Any] | None


def load_npz(path: str | os.PathLike[str]) -> NpzData:
    """The arrays of a data set in one `.npz` file, as `numpy.savez(path, x=x, y=y)` writes it.

    path : a .npz file, compressed or not, with x and y, or x_train and y_train; either may come with x_test and y_test.
        Other arrays in it are left alone.
    Returns NpzData(x_train, y_train, x_test, y_test), the last two None where the file has none; dtypes as in the file:
    booleans, integers or floats. x and y have at least one axis and agree in length.
    Raises DataError, naming the file and the array, where one is missing, empty, not of numbers, damaged, or not as
    long as its partner. Pickled objects are refused, since loading one can run any code. Each array's header is
    checked against the size of the stored data before memory is taken.

    NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "mine.npz")
    ...     np.savez(path, x=np.zeros((4, 2)), y=np.asarray([0, 1, 1, 0]))
    ...     x_train, y_train, x_test, y_test = load_npz(path)
    >>> x_train.shape, y_train.tolist(), x_test
    ((4, 2), [0, 1, 1, 0], None)
    """
    name, arrays = os.fspath(path), _arrays(path, _pairs)
    keys = list(arrays)
    for x, y in zip(keys[::2], keys[1::2], strict=True):
        if len(arrays[x]) != len(arrays[y]):
            raise DataError(f"{name}: {x} has {len(arrays[x])} rows and {y} {len(arrays[y])}; they must agree")
    for train, test in zip(keys[:2], keys[2:], strict=False):  # no pairs where there is no test data
        rows = arrays[train].shape[1:], arrays[test].shape[1:]
        if rows[0] != rows[1]:
            raise DataError(f"{name}: a row of {train} has shape {rows[0]}, one of {test} {rows[1]}; they must agree")
    return NpzData(arrays[keys[0]], arrays[keys[1]], arrays.get("x_test"), arrays.get("y_test"))


def load_npz_inputs(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """x, or where there is none x_test, of a `.npz` file, as `numpy.savez(path, x=x)` writes it: rows to predict for.

    path, what is refused and how : as in `load_npz`. Returns x with at least one axis and one row, in the file's dtype.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "mine.npz")
    ...     np.savez(path, x=np.zeros((4, 2)))
    ...     load_npz_inputs(path).shape
    (4, 2)
    """
    (x,) = _arrays(path, _inputs).values()
    return x


def _arrays(
    path: str | os.PathLike[str], wanted: Callable[[Collection[str], str], list[str]]
) -> dict[str, npt.NDArray[Any]]:
    """The arrays that `wanted(names in the file, path)` names, in its order, each checked before it takes memory."""
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise DataError(f"{name}: there is no such file, or it is not a plain file")
    try:
        with zipfile.ZipFile(name) as archive:
            found = [info.filename.removesuffix(".npy") for info in archive.infolist()]
            if len(set(found)) < len(found):
                raise DataError(f"{name} holds an array twice. Write it by numpy.savez")
            members = dict(zip(found, archive.infolist(), strict=True))
            return {key: _read(archive, members[key], f"{key} in {name}") for key in wanted(members, name)}
    except (DataError, MemoryError):
        raise
    except Exception as error:  # on a damaged file zipfile and NumPy's header parser raise a dozen unrelated types
        raise DataError(
            f"{name} cannot be read as .npz: {error or type(error).__name__}. Write it by numpy.savez"
        ) from error


def _inputs(members: Collection[str], name: str) -> list[str]:
    """The one name to read where no targets are needed."""
    for key in ("x", "x_test"):
        if key in members:
            return [key]
    found = ", ".join(sorted(members)[:20]) or "nothing"
    raise DataError(f"{name} has {found}, and neither x nor x_test; write it by numpy.savez(path, x=x)")


def _pairs(members: Collection[str], name: str) -> list[str]:
    """The names to read: x, y and perhaps the two of the test data. Half a pair, or two training sets, is a mistake."""
    found = ", ".join(sorted(members)[:20]) or "nothing"
    names = set(members)
    if {"x", "y"} & names and {"x_train", "y_train"} & names:
        raise DataError(f"{name} has {found}: x, y and x_train, y_train are two training sets. Keep one of them")
    x, y = ("x_train", "y_train") if {"x_train", "y_train"} & names else ("x", "y")
    tested = bool({"x_test", "y_test"} & names)
    keys = [x, y, "x_test", "y_test"] if tested else [x, y]
    if missing := [key for key in keys if key not in members]:
        raise DataError(f"{name} has {found}, and no {', '.join(missing)}; it needs {_NEEDED}")
    return keys


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> npt.NDArray[Any]:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # no bound is known for the others
        raise DataError(f"{what}: compressed in a way that NumPy does not write. Use numpy.savez_compressed")
    most = min(info.compress_size, os.path.getsize(str(archive.filename)))
    if info.file_size > most * (_MAX_RATIO if info.compress_type == zipfile.ZIP_DEFLATED else 1):
        raise DataError(f"{what}: the file says {info.file_size} bytes, more than its {most} can hold. It is damaged")
    with archive.open(info) as member:
        version = npy.read_magic(member)
        if version not in ((1, 0), (2, 0)):  # 3.0 is only for field names, which are refused below anyway
            raise DataError(f"{what}: format version {version}; an array of numbers has (1, 0) or (2, 0)")
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        try:
            shape, _, dtype = header(member)
        except MemoryError as error:  # Python's parser raises it, whatever the memory, where nesting is too deep
            raise DataError(f"{what}: its header cannot be parsed. The file is damaged") from error
        _check(shape, dtype, info.file_size - member.tell(), what)
    with archive.open(info) as member:
        array: npt.NDArray[Any] = npy.read_array(member, allow_pickle=False)
        member.read(1)  # at the end of the member this read checks the sum of its bytes
    return array


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], size: int, what: str) -> None:
    if dtype.hasobject:
        raise DataError(f"{what} holds Python objects, and loading those can run any code. Save an array of numbers")
    if dtype.kind not in "biuf":
        remedy = "text that names categories becomes a column of 0 and 1 for each, dates become days since the first"
        if what.startswith("y"):
            remedy = "number classes that are words, as by numpy.unique(y, return_inverse=True)[1]"
        raise DataError(f"{what} is of type {dtype}; numbers are needed: {remedy}")
    if not shape:
        raise DataError(f"{what} is a single number; it needs at least one axis, one row an example")
    if min(shape) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise DataError(f"{what}: shape {shape} of {dtype} does not fill the {size} bytes there. The file is damaged")
    if 0 in shape:
        raise DataError(f"{what} is empty: its shape is {shape}")
