"""Lengths of padded sequences, checked where data come in: a step reads no values of arrays."""

from __future__ import annotations

import math

from .._array import is_float, namespace
from .._types import Array
from ..backends import number, of
from ..errors import DataError
from .validation import in_range


def check_lengths(lengths: Array, most: int | None) -> None:
    """Raise DataError unless all are whole numbers in [0, most], where that is known; two looks at the device."""
    if most is None or not math.prod(lengths.shape):
        return
    if is_float(lengths):
        with of(lengths).context():
            fraction = number(namespace(lengths).max(lengths - namespace(lengths).floor(lengths)))
        if fraction:
            raise DataError(f"lengths must be whole numbers, got one with a fraction of {fraction:g}; round them first")
    in_range("lengths", lengths, 0, most, f"sequences have {most} places: cut the lengths, or pad the sequences")
