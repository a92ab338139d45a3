"""`TableEncoding`: encodes a table's columns as a network's inputs and targets, and decodes predictions."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import layers
from .._array import namespace
from .._types import Array, LayerLike
from ..errors import DataError
from ._columns import Encoded
from ._frame import Table, as_table, is_table
from ._targets import ClassTarget, Places, ValueTarget

WINDOW = 2**24  #: bytes read from a memory-mapped file before their memory is freed
MAPPED = 2**26  #: encoded arrays of more bytes than this go to a temporary file


@dataclass(frozen=True)
class TableEncoding:
    """How the columns of a table become a network's inputs, and outputs become predictions.

    columns : each a `NumberColumn`, `FlagColumn`, `CategoryColumn`, `EmbeddedColumn`, `DateColumn` or `LeftOut`.
        Columns are found in a table by name: their order does not matter, and a table may have others.
    targets : one or more `ValueTarget`, or one `ClassTarget`.

    `learn` makes an encoding from training rows. Encoded, x is (N, D) float32; with embedded columns, a tuple of that
    and (N,) integer codes of each, for the layer that `input_layer` gives.

    >>> frame = {"colour": ["red", "blue", "red", "blue"], "size": [1.0, 2.0, 3.0, 4.5], "price": [1.0, 2.5, 3.0, 4.0]}
    >>> encoding = TableEncoding.learn(frame, target="price")
    >>> print(encoding)
    colour  one-hot, 2 values
    size    number, (x - 2.625) / 1.293
    price   target: a number, learnt as (y - 2.625) / 1.083
    >>> encoding.encode({"size": [2.625], "colour": ["green"]})  # a new colour
    array([[0., 0., 0.]], dtype=float32)
    """

    columns: tuple[Any, ...]
    targets: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.columns, tuple) or not all(isinstance(one, Encoded) for one in self.columns):
            raise TypeError(f"columns must be a tuple of encoded columns, got {str(self.columns)[:80]}")
        if not isinstance(self.targets, tuple) or not all(
            isinstance(t, ValueTarget | ClassTarget) for t in self.targets
        ):
            raise TypeError(f"targets must be a tuple of targets, got {str(self.targets)[:80]}")
        names = [one.name for one in (*self.columns, *self.targets)]
        if len(set(names)) < len(names):
            raise ValueError(f"column names must be unique, got {', '.join(names)[:200]}")
        if any(isinstance(one, ClassTarget) for one in self.targets) and len(self.targets) > 1:
            raise ValueError("several targets must all be numbers")

    @staticmethod
    def learn(frame: Any, target: str | Sequence[str], **options: Any) -> TableEncoding:
        """Choose the encoding of each column from these rows. See `arraynn.encoding.learn`, which gives reasons."""
        from ._learn import learn

        return learn(frame, target, **options).encoding

    # Columns, shapes, classes.

    @property
    def used(self) -> tuple[Any, ...]:
        """The columns that are inputs of the network."""
        return tuple(one for one in self.columns if one.code or one.width)

    @property
    def coded(self) -> tuple[Any, ...]:
        """The embedded columns."""
        return tuple(one for one in self.columns if one.code)

    @property
    def width(self) -> int:
        """D, the numbers in a row of x, without the codes of embedded columns."""
        return sum(one.width for one in self.columns)

    @property
    def input_shape(self) -> Any:
        """The shape of a row of x: (D,), or with embedded columns a tuple of that and of () for each of them."""
        return ((self.width,), *[()] * len(self.coded)) if self.coded else (self.width,)

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The labels of a classification, by output; None for a regression."""
        return self.targets[0].classes if self.targets and isinstance(self.targets[0], ClassTarget) else None

    @property
    def outputs(self) -> int:
        """The number of outputs that the network needs: one for each class, or for each target."""
        return len(self.targets) if self.classes is None else len(self.classes)

    def input_layer(self) -> LayerLike:
        """A network's first layer, for the x that `encode` returns: embeds coded columns and passes numbers through."""
        tables = [layers.Embedding(one.vocabulary, one.units) for one in self.coded]
        return layers.Parallel(layers.Identity(), *tables) if tables else layers.Identity()

    def __str__(self) -> str:
        rows = [(one.name, one.description()) for one in (*self.columns, *self.targets)]
        width = max((len(name) for name, _ in rows), default=0)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    # Encoding and decoding.

    def encode(self, frame: Any, into: Path | None = None) -> Any:
        """Encode a table as x: (N, D) float32, or with embedded columns a tuple of that and int32 codes, (N,) each.

        A file is read chunk by chunk. Large arrays go to a temporary memory-mapped file, in the folder `into` or the
        system's own. Raises DataError where a column is missing, or a cell does not fit its column.
        """
        table = as_table(frame)
        self.require(table, self.used)
        names = [one.name for one in self.used]
        out = Parts(table.count, self.width, len(self.coded), into)
        for chunk in table.chunks(names):
            out.add(chunk.start, *self.parts(chunk))
        return out.x

    def parts(self, chunk: Table) -> tuple[np.ndarray, list[np.ndarray]]:
        """(numbers, [codes of each embedded column]) of rows in memory."""
        wide = np.empty((chunk.count, self.width), np.float32)
        codes, at = [], 0
        for one in self.used:
            found = one.features(chunk.columns[one.name], chunk.where)
            if one.code:
                codes.append(found.astype(np.int32))
            else:
                wide[:, at : at + one.width] = found
                at += one.width
        return wide, codes

    def encode_targets(self, frame: Any) -> np.ndarray:
        """Encode a table's targets as y: (N,) int64 class indices, or standardized float64, (N,) or (N, K)."""
        table = as_table(frame)
        self.require(table, self.targets)
        parts = []
        for chunk in table.chunks([one.name for one in self.targets]):
            found = [one.encoded(chunk.columns[one.name], chunk.where) for one in self.targets]
            parts.append(found[0] if len(found) == 1 else np.stack(found, axis=1))
        if not parts:
            raise DataError("the table is empty: it has 0 rows, at least 1 is needed")
        return np.concatenate(parts).view(Places)

    def rows(self, frame: Any, y: Any = None) -> tuple[Any, Any]:
        """(x, y) of a table. y : the targets, if the table lacks them: labels, or values in their own unit."""
        if y is None:
            return self.encode(frame), self.encode_targets(frame)
        if self.classes is None and len(self.targets) == 1:
            return self.encode(frame), self.encode_targets({self.targets[0].name: y})
        return self.encode(frame), y

    def rows_to_explain(self, frame: Any, y: Any = None) -> tuple[Any, Any]:
        """(x, y) of a table; y is None if the table has no targets and none are given."""
        if y is None and any(one.name not in as_table(frame).names for one in self.targets):
            return self.encode(frame), None
        return self.rows(frame, y)

    def decode(self, predictions: Array) -> Array:
        """Convert predictions, (N,) or (N, K), to the targets' own units; those of a classification are unchanged."""
        if self.classes is not None or not self.targets:
            return predictions
        if len(self.targets) == 1:
            return predictions * float(self.targets[0].scale) + float(self.targets[0].mean)
        xp = namespace(predictions)
        parts = [predictions[:, k] * float(t.scale) + float(t.mean) for k, t in enumerate(self.targets)]
        return xp.stack(parts, axis=1)

    def require(self, table: Any, columns: Sequence[Any]) -> None:
        """Raise DataError unless the table has these columns of the encoding."""
        missing = [one.name for one in columns if one.name not in table.names]
        if missing:
            near = ", ".join(map(repr, table.names[:20])) or "none"
            raise DataError(
                f"the table has no column {missing[0]!r}"
                + (f", nor {', '.join(map(repr, missing[1:6]))}" if missing[1:] else "")
                + f"; it has {near}"
            )


def rows_of_table(encoding: TableEncoding | None, x: Any, y: Any) -> tuple[Any, Any]:
    """Encode x and y if x is a table, else return them unchanged. Raises DataError for a table without an encoding."""
    if not is_table(x):
        return x, y
    if encoding is not None:
        return encoding.rows(x, y)
    if y is None:
        raise DataError("x is a table; give the model an encoding, as nn.TableEncoding.learn(x, target=…) makes it")
    return x, y


def forget(array: Any, first: int = 0, count: int = 0) -> None:
    """Free the pages that reading a memory-mapped array has brought into memory. Its numbers stay in the file.

    array : any array; nothing happens to one that is not memory-mapped, or is mapped copy-on-write.
    first, count : the rows that are read next, if rows are read in order; memory is then freed once per WINDOW bytes.
    """
    if count and first % max(1, WINDOW * len(array) // max(array.nbytes, 1)) >= count:
        return
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    mapping = getattr(array, "_mmap", None)
    if mapping is not None and array.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


class Parts:
    """Arrays for the encoded rows of a table, filled chunk by chunk: in memory or, if large, in a temporary file.

    beside : bytes of other parts of the same table, added to this one's size.
    """

    def __init__(self, count: int, width: int, codes: int, into: Path | None = None, beside: int = 0) -> None:
        self.count, self.width, self.into, self.written = count, width, into, 0
        self.mapped = 4 * count * (width + codes) + beside >= MAPPED
        self.wide = self._allocate((count, width), np.float32)
        self.codes = [self._allocate((count,), np.int32) for _ in range(codes)]

    def _allocate(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        if not np.prod(shape) or not self.mapped:
            return np.empty(shape, dtype)
        from tempfile import TemporaryFile  # imported late: it would double this module's import time

        with TemporaryFile(dir=self.into) as file:  # deleted at once; the mapping keeps its content
            return np.memmap(file, dtype, "w+", shape=shape)

    def add(self, start: int, wide: np.ndarray, codes: list[np.ndarray]) -> None:
        """Write a chunk's rows, the first at index `start`."""
        rows = slice(start, start + len(wide))
        self.wide[rows] = wide
        for own, part in zip(self.codes, codes, strict=True):
            own[rows] = part
        self.written += wide.nbytes
        if self.written > MAPPED:  # unwritten pages stay in the system's cache, not in this process's memory
            self.written = 0
            for array in (self.wide, *self.codes):
                forget(array)

    @property
    def x(self) -> Any:
        """The arrays as the network's x."""
        return (self.wide, *self.codes) if self.codes else self.wide
