"""Probabilities kept away from 0 and 1, so that their logarithm is finite."""

from __future__ import annotations

from .._array import device, namespace
from .._types import Array, Backward

MARGIN = 1e-7


def clipped(p: Array, /) -> tuple[Array, Backward]:
    """min(max(p, 1e-7), 1 - 1e-7), and backward(dq) -> dp, 0 where p was changed. Infinite p is clipped too."""
    xp = namespace(p)
    low = xp.asarray(MARGIN, dtype=p.dtype, device=device(p))
    high = xp.asarray(1 - MARGIN, dtype=p.dtype, device=device(p))
    q = xp.minimum(xp.maximum(p, low), high)  # not xp.clip, which synchronizes on CuPy

    def clipped_backward(dq: Array) -> Array:
        return dq * xp.astype(q == p, dq.dtype)

    return q, clipped_backward
