"""An array of which each worker holds some rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._hyperparameters import is_integer
from ..errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class Shard:
    """One worker's rows of an array that the workers hold together, for `Model.fit(…, workers=…)`.

    rows : rows start, start + 1, … of the whole, as an array or nested lists. A memory-mapped array is read only in
        the rows that are needed. A worker may hold no row.
    start : the index of the first of them in the whole. total : the number of rows of the whole, equal on all workers.
    The workers' rows must cover the whole once. All workers raise WorkerError before the first step where rows are
    held by none or by two, or where totals, shapes of rows or dtypes differ. Text of any length is one dtype. Any of
    x, y, sample_weight and the parts of validation_data may be a Shard. `nn.workers(…).rows(total)` cuts the whole
    into even runs.

    A fit has the same bits as where every worker holds everything. In each step a worker receives the rows of x that it
    trains on from the workers that hold them. Every worker gathers all targets and sample weights at the start.

    >>> import numpy as np
    >>> import arraynn as nn
    >>> mine = nn.workers(None).rows(100)
    >>> nn.Shard(np.zeros((100, 4))[mine], mine.start, 100)
    <rows 0 to 100 of 100>
    """

    rows: Any
    start: int
    total: int

    def __post_init__(self) -> None:
        if not is_integer(self.total, 1):
            raise DataError(f"total must be the rows of the whole array, an integer of at least 1, got {self.total!r}")
        if not is_integer(self.start, 0):
            raise DataError(f"start must be the place of a row, an integer of at least 0, got {self.start!r}")
        if self.stop > self.total:
            raise DataError(
                f"rows {self.start} to {self.stop} end behind total={self.total}: give the rows of the whole array as "
                f"total, the same on every worker"
            )

    @property
    def stop(self) -> int:
        """The index after the last row."""
        return int(self.start) + len(self.rows)

    def __repr__(self) -> str:
        return f"<rows {self.start} to {self.stop} of {self.total}>"
