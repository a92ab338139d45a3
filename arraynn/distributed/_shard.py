"""An array of which each worker holds some rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._hyperparameters import is_integer
from ..errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class Shard:
    """This worker's rows of an array that all workers hold together, for `Model.fit(…, workers=…)`.

    rows : rows start, start + 1, … of the whole, as an array or nested lists. A memory-mapped array is read where
        rows of it are needed. A worker may hold no row at all.
    start : the place of the first of them in the whole. total : how many rows the whole has, on every worker.
    The workers' rows must cover the whole once: WorkerError on all of them, before the first step, where rows are
    held by none or by two, or where totals, shapes of rows or dtypes differ; text of any length is one dtype. Any of
    x, y, sample_weight and the parts of validation_data may be given so. `nn.workers(…).rows(total)` cuts the whole
    into even runs.

    A fit has the bits that it has where every worker holds everything. In each step the rows of x that a worker trains
    on are sent to it by those that hold them. Targets and sample weights are gathered by every worker at the start.

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
        """The place behind the last row."""
        return int(self.start) + len(self.rows)

    def __repr__(self) -> str:
        return f"<rows {self.start} to {self.stop} of {self.total}>"
