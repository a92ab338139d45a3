"""An array whose rows are held by several workers. The rows of a batch are sent to the workers that train on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._types import Array
from ..distributed import Group
from ..encoding import forget

Rows = slice | np.ndarray  #: indices of rows
CHECKED = 1 << 20  #: numbers that are checked at a time


@dataclass(frozen=True, eq=False)
class ShardedArray:
    """An array whose rows are held by several workers.

    own : the rows of this worker. runs : (start, stop, rank) of each worker that holds rows, in the order of the rows.
    rows : the indices that this array selects, None for all. part : the index of this part of x, where parts differ.
    """

    own: np.ndarray
    group: Group
    runs: tuple[tuple[int, int, int], ...]
    rows: np.ndarray | None = None
    part: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.runs[-1][1] if self.rows is None else len(self.rows), *self.own.shape[1:])

    @property
    def dtype(self) -> Any:
        return self.own.dtype

    def take(self, rows: np.ndarray) -> ShardedArray:
        """Some of the rows, in this order."""
        return replace(self, rows=self._places(rows))

    def of_part(self, part: int | None, spec: Any) -> ShardedArray:
        """The array as this part of x. An `InputSpec` checks its own rows, unless they are memory-mapped."""
        found = replace(self, part=part)
        if not isinstance(self.own, np.memmap):
            start, size = found._start, max(CHECKED // max(math.prod(self.own.shape[1:]), 1), 1)
            for first in range(0, len(self.own), size):
                rows = self.own[first : first + size]
                spec.input(rows, range(start + first, start + first + len(rows)), part)
        return found

    def read(self, wanted: Sequence[Rows], spec: Any) -> Array:
        """The rows that this worker wants, checked and converted by an `InputSpec`. wanted : the rows that each worker
        wants, by rank. All workers call it with the same list."""
        places = [self._places(rows) for rows in wanted]
        holders = [self._holders(rows) for rows in places]
        rank, own = self.group.rank, places[self.group.rank]
        if all((held == worker).all() for worker, held in enumerate(holders)):  # each worker holds all that it wants
            return spec.input(self._held(own), own, self.part)  # nothing is sent
        given = [self._held(rows[held == rank]) for rows, held in zip(places, holders, strict=True)]
        width = math.prod(self.own.shape[1:]) * self.own.dtype.itemsize
        counts = np.bincount(holders[rank], minlength=self.group.size)
        parts = [np.frombuffer(rows.tobytes(), np.uint8) for rows in given]
        received = self.group.swap(parts, [int(count) * width for count in counts])
        found = np.empty((len(own), *self.own.shape[1:]), self.own.dtype)
        for worker, rows in enumerate(received):
            found[holders[rank] == worker] = rows.view(self.own.dtype).reshape(-1, *self.own.shape[1:])
        return spec.input(found, own, self.part)

    @property
    def _start(self) -> int:
        return next((start for start, _, rank in self.runs if rank == self.group.rank), 0)

    def _places(self, rows: Rows) -> np.ndarray:
        """The indices of these rows in the whole array."""
        if self.rows is not None:
            return self.rows[rows]
        return np.arange(*rows.indices(self.shape[0])) if isinstance(rows, slice) else rows

    def _holders(self, places: np.ndarray) -> np.ndarray:
        """The rank of the worker that holds each of these rows."""
        starts = np.asarray([start for start, _, _ in self.runs])
        return np.asarray([rank for _, _, rank in self.runs])[np.searchsorted(starts, places, side="right") - 1]

    def _held(self, places: np.ndarray) -> np.ndarray:
        """Rows that this worker holds, by their indices in the whole array."""
        rows = places - self._start
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:  # most likely in order
            forget(self.own, int(rows[0]), len(rows))
        return np.asarray(self.own[rows])


def is_sharded(x: Any) -> bool:
    """Whether x, or a part of it, is held by several workers."""
    return any(map(is_sharded, x)) if isinstance(x, tuple) else isinstance(x, ShardedArray)
