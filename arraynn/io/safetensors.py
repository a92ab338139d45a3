"""Reads and writes the safetensors format. All sizes are checked against the file before memory is allocated.

A file has 8 bytes of header length, the header as JSON, and the tensors one after another. It is written byte for byte
as the safetensors library writes it; the library itself is not used, as some platforms have no wheel of it. Its reader
is not used either, as it accepts a key twice and sets no limits to the header.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from ..errors import CheckpointError

DTYPES = {"F32": "<f4", "F64": "<f8"}
MAX_HEADER = 100_000_000  #: bytes, the format's limit
MAX_PARTS = 1_000_000  #: commas and brackets in the JSON: an empty list takes 2 bytes there and 56 in memory
MAX_AXES = 32

Tensors = dict[str, np.ndarray]


def serialized(tensors: Tensors, metadata: dict[str, str]) -> bytes:
    """The bytes of a file. Tensors are float32 or float64; float64 come first, then they are sorted by name."""
    header: dict[str, Any] = {"__metadata__": metadata}
    names = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
    parts: list[Any] = []
    end = 0
    for key, array in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        begin, end, dtype = end, end + array.nbytes, array.dtype.newbyteorder("<")
        header[key] = {"dtype": names[dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
        parts.append(np.ascontiguousarray(array, dtype))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8
    return b"".join((len(text).to_bytes(8, "little"), text, *parts))


def read(path: str | Path) -> tuple[dict[str, str], Tensors]:
    """Read (metadata, tensors) of a file. Any fault raises CheckpointError, which names the file.

    Tensors are float32 or float64, returned in this machine's byte order. They must fill the file exactly: no gaps, no
    overlaps, nothing after them.
    """
    name = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):  # checked before opening, as a named pipe would block
            raise CheckpointError(f"{name} is not a plain file")
        with open(name, "rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size, name)
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {name}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _read(file: BinaryIO, size: int, name: str) -> tuple[dict[str, str], Tensors]:
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > size - 8:
        raise CheckpointError(f"{name} is not a safetensors file, or is truncated: it ends inside its header")
    if length > MAX_HEADER:
        raise CheckpointError(f"{name}: a header of {length} bytes; {MAX_HEADER} is the format's limit")
    header = strict_json(file.read(length), f"{name}: the header")
    if not isinstance(header, dict):
        raise CheckpointError(f"{name} is not a safetensors file: its header is not an object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{name}: the metadata must be texts by name")
    spans = sorted((_span(entry, f"{name}: tensor {key[:80]!r}"), key) for key, entry in header.items())
    tensors, at = {}, 0
    for (begin, end, *_), key in spans:
        if begin != at:
            what = "overlaps another" if begin < at else "leaves a gap before it"
            raise CheckpointError(f"{name}: tensor {key[:80]!r} {what}, at byte {begin}")
        at = end
    if at != (rest := size - 8 - length):
        what = "is truncated" if at > rest else "has bytes that belong to no tensor"
        raise CheckpointError(f"{name} {what}: its tensors take {at} bytes, {rest} follow the header")
    for (begin, end, shape, dtype), key in spans:
        array = np.empty((end - begin) // np.dtype(dtype).itemsize, dtype)
        view = array.view(np.uint8).data
        if file.readinto(view) != end - begin:  # type: ignore[attr-defined]
            raise CheckpointError(f"{name} was truncated while it was read")
        tensors[key] = array.reshape(shape).astype(np.dtype(dtype).newbyteorder("="), copy=False)
    return metadata, tensors


def _span(entry: Any, what: str) -> tuple[int, int, tuple[int, ...], str]:
    """(begin, end, shape, dtype) of a tensor, checked to be consistent."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end], **rest} if not rest:
            pass
        case _:
            raise CheckpointError(f"{what} must have dtype, shape and two data_offsets")
    if dtype not in DTYPES:
        raise CheckpointError(f"{what} is of dtype {dtype[:20]!r}; {' and '.join(DTYPES)} can be read")
    if not all(type(n) is int and 0 <= n < 2**63 for n in (begin, end, *shape)) or len(shape) > MAX_AXES:
        raise CheckpointError(f"{what} has a shape or offsets that no array has")
    if math.prod(max(n, 1) for n in shape) >= 2**60:  # axes of 0 count as 1: no array is this large in its others
        raise CheckpointError(f"{what} has the shape {tuple(shape)}, which no array has")
    if end - begin != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
        raise CheckpointError(f"{what} has the shape {tuple(shape)} of {dtype}, which {end - begin} bytes do not hold")
    return begin, end, tuple(shape), DTYPES[dtype]


def strict_json(data: bytes | str, what: str) -> Any:
    """Parse an untrusted JSON text.

    Raises CheckpointError for a text that is not JSON, holds a key twice, nan or an infinite number, is nested beyond
    Python's limit, or has more than a million parts.

    >>> strict_json('{"a": [1, 2.5]}', "it")
    {'a': [1, 2.5]}
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise CheckpointError(f"{what} holds a key twice")
        return found

    def finite(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise CheckpointError(f"{what} holds a number that is not finite")
        return value

    def refused(text: str) -> NoReturn:
        raise CheckpointError(f"{what} holds {text}, which is not JSON")

    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        if (parts := sum(text.count(mark) for mark in ",[{")) > MAX_PARTS:
            raise CheckpointError(f"{what} has {parts} parts, {MAX_PARTS} are the limit")
        return json.loads(text, object_pairs_hook=unique, parse_float=finite, parse_constant=refused)
    except CheckpointError:
        raise
    except RecursionError:
        raise CheckpointError(f"{what} is nested too deeply") from None
    except ValueError as error:  # not UTF-8, not JSON, or an integer of thousands of digits
        raise CheckpointError(f"{what} is not JSON: {error}") from None
