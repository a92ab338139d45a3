"""Probabilities kept away from 0 and 1, so that their logarithm is finite."""

from __future__ import annotations

from typing import Any

from .._array import device, namespace
from .._types import Array, Backward

MARGIN = 1e-7  #: the book's; as good as the largest number below 1 in float32


def clipped(p: Array, /) -> tuple[Any, Backward]:
    """min(max(p, m), 1 - m), and backward(dq) -> dp, 0 where p was changed. Infinite p is clipped too.

    m is 1e-7, or half of the dtype's epsilon where that is more: 1 - 1e-7 is 1 in float16 and bfloat16, and
    log(1 - 1) infinite.
    """
    xp = namespace(p)
    margin = max(MARGIN, float(xp.finfo(p.dtype).eps) / 2)
    low = xp.asarray(margin, dtype=p.dtype, device=device(p))
    high = xp.asarray(1 - margin, dtype=p.dtype, device=device(p))
    q = xp.minimum(xp.maximum(p, low), high)  # not xp.clip, which synchronizes on CuPy

    def clipped_backward(dq: Array) -> Any:
        return dq * xp.astype(q == p, dq.dtype)

    return q, clipped_backward
