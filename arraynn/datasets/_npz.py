"""`load_npz`: reads a user's own arrays from a .npz file, which is not trusted."""

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

_NEEDED = "x and y, or x_train and y_train (and x_test and y_test, if there are test data)"
_MAX_RATIO = 1032  # the largest compression ratio of deflate: 258 bytes from two bits


class NpzData(NamedTuple):
    """The result of `load_npz`: training rows and targets, and test rows and targets, or None."""

    x_train: npt.NDArray[Any]
    y_train: npt.NDArray[Any]
    x_test: npt.NDArray[Any] | None
    y_test: npt.NDArray[Any] | None


def load_npz(path: str | os.PathLike[str]) -> NpzData:
    """Read the arrays of a data set from one `.npz` file, as `numpy.savez(path, x=x, y=y)` writes it.

    path : a .npz file, compressed or not, with x and y, or x_train and y_train; optionally with x_test and y_test.
        Other arrays in it are ignored.
    Returns NpzData(x_train, y_train, x_test, y_test), the last two None if the file has none. dtypes are those of the
    file: booleans, integers or floats. x and y have at least one axis and the same length.
    Raises DataError, which names the file and the array, for an array that is missing, empty, not numeric, damaged, or
    of another length than its partner. Pickled objects are refused, since loading one can run any code. Each array's
    header is checked against the size of the stored data before memory is allocated.

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
    for train, test in zip(keys[:2], keys[2:], strict=False):  # empty if there are no test data
        rows = arrays[train].shape[1:], arrays[test].shape[1:]
        if rows[0] != rows[1]:
            raise DataError(f"{name}: a row of {train} has shape {rows[0]}, one of {test} {rows[1]}; they must agree")
    return NpzData(arrays[keys[0]], arrays[keys[1]], arrays.get("x_test"), arrays.get("y_test"))


def load_npz_inputs(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read the rows to predict for from a `.npz` file: x, or x_test if there is no x.

    path, and the errors raised : as for `load_npz`. Returns x with at least one axis and one row, in the file's dtype.

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
    """The arrays that `wanted(names in the file, path)` selects, in its order, each checked before it is allocated."""
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
    except Exception as error:  # for damaged files, zipfile and NumPy's header parser raise many unrelated types
        raise DataError(
            f"{name} cannot be read as .npz: {error or type(error).__name__}. Write it by numpy.savez"
        ) from error


def _inputs(members: Collection[str], name: str) -> list[str]:
    """The name of the inputs to read, in a list, where no targets are needed."""
    for key in ("x", "x_test"):
        if key in members:
            return [key]
    found = ", ".join(sorted(members)[:20]) or "nothing"
    raise DataError(f"{name} has {found}, and neither x nor x_test; write it by numpy.savez(path, x=x)")


def _pairs(members: Collection[str], name: str) -> list[str]:
    """The names to read: x, y and those of test data, if any. Raises DataError for half a pair or two training sets."""
    found = ", ".join(sorted(members)[:20]) or "nothing"
    names = set(members)
    if {"x", "y"} & names and {"x_train", "y_train"} & names:
        raise DataError(f"{name} has {found}: x, y and x_train, y_train are two training sets. Keep one of them")
    x, y = ("x_train", "y_train") if {"x_train", "y_train"} & names else ("x", "y")
    tested = bool({"x_test", "y_test"} & names)
    keys = [x, y, "x_test", "y_test"] if tested else [x, y]
    if missing := [key for key in keys if key not in members]:
        raise DataError(f"{name} has {found}, but no {', '.join(missing)}; it needs {_NEEDED}")
    return keys


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> npt.NDArray[Any]:
    if info.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):  # other methods have no known bound of their ratio
        raise DataError(f"{what}: compressed by a method that NumPy does not write. Use numpy.savez_compressed")
    stored = min(info.compress_size, os.path.getsize(str(archive.filename)))
    if info.file_size > stored * (_MAX_RATIO if info.compress_type == zipfile.ZIP_DEFLATED else 1):
        raise DataError(f"{what}: the file says {info.file_size} bytes, more than its {stored} can hold. It is damaged")
    with archive.open(info) as member:
        version = npy.read_magic(member)
        if version not in ((1, 0), (2, 0)):  # 3.0 is only for field names, which are refused below
            raise DataError(f"{what}: format version {version}; an array of numbers has (1, 0) or (2, 0)")
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        try:
            shape, _, dtype = header(member)
        except MemoryError as error:  # Python's parser raises it for nesting that is too deep
            raise DataError(f"{what}: its header cannot be parsed. The file is damaged") from error
        _check(shape, dtype, info.file_size - member.tell(), what)
    with archive.open(info) as member:
        array: npt.NDArray[Any] = npy.read_array(member, allow_pickle=False)
        member.read(1)  # at the end of the member, this read verifies its checksum
    return array


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], size: int, what: str) -> None:
    if dtype.hasobject:
        raise DataError(f"{what} holds Python objects, and loading those can run any code. Save an array of numbers")
    if dtype.kind not in "biuf":
        remedy = "encode categories one-hot, and dates as days since the first"
        if what.startswith("y"):
            remedy = "number classes that are texts, as by numpy.unique(y, return_inverse=True)[1]"
        raise DataError(f"{what} is of type {dtype}; numbers are needed: {remedy}")
    if not shape:
        raise DataError(f"{what} is a single number; it needs at least one axis, with one row per example")
    if min(shape) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise DataError(f"{what}: shape {shape} of {dtype} does not fill the {size} bytes there. The file is damaged")
    if 0 in shape:
        raise DataError(f"{what} is empty: its shape is {shape}")
