"""An array that stays on the host; its rows are moved to the device a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import Array
from ..encoding import forget


@dataclass(frozen=True)
class HostArray:
    """Rows of an array that stays on the host, because it is memory-mapped or too large for the device.

    rows : the indices of the rows; None means all, in order. part : the index of this part of x, where parts differ.
    """

    array: np.ndarray
    rows: np.ndarray | None = None
    part: int | None = None

    def read(self, rows: Any, spec: Any) -> Array:
        """These rows, checked and converted by an `InputSpec`."""
        if self.rows is not None:
            rows = self.rows[rows]
        places = np.arange(*rows.indices(len(self.array))) if isinstance(rows, slice) else rows
        if isinstance(rows, slice) and len(places):
            forget(self.array, int(places[0]), len(places))  # rows before these, read in order, are not needed soon
        return spec.input(np.asarray(self.array[rows]), places, self.part)

    def take(self, rows: np.ndarray) -> HostArray:
        """Some of the rows, in this order."""
        return HostArray(self.array, rows if self.rows is None else self.rows[rows], self.part)
