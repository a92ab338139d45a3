"""The logistic function as a number, for the blocks that have it inside their formula."""

from __future__ import annotations

from typing import Any

from .._array import namespace
from .._types import Array


def logistic(x: Array, /) -> Any:
    """σ(x) = 1 / (1 + exp(-x)), elementwise, in the form that `sigmoid` explains: no overflow, no lost digits."""
    xp = namespace(x)
    e = xp.exp(-xp.abs(x))
    y = xp.maximum(e, xp.astype(x >= 0, x.dtype))
    y /= 1 + e
    return y
