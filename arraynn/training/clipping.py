"""Clipping of gradients, by value and by their norm."""

from __future__ import annotations

from .. import tree
from .._array import device, namespace
from .._types import Array, Nest


def clip(grads: Nest, norm: float | None = None, value: float | None = None) -> Nest:
    """The gradients cut to [-value, value], then scaled by min(1, norm / ‖g‖), ‖g‖ over all trained leaves.

    Pascanu, Mikolov and Bengio, ICML 2013, Algorithm 1. Statistics are passed by. A norm that is not finite makes the
    gradients so too, so that it is seen.
    """
    if norm is None and value is None:
        return grads
    clipped = tree.trained(grads)
    if value is not None:
        clipped = tree.map(lambda g: _between(g, value), clipped)
    leaves = tree.leaves(clipped)
    if norm is not None and leaves:
        xp = namespace(leaves[0])
        length = xp.sqrt(sum(xp.sum(g * g) for g in leaves))
        # norm / max(‖g‖, norm) is min(1, norm / ‖g‖) without a division by 0
        factor = norm / xp.maximum(length, xp.asarray(norm, dtype=length.dtype, device=device(length)))
        factor = factor + 0 * length  # nan where ‖g‖ is infinite; else its finite gradients would be 0, and it unseen
        clipped = tree.map(lambda g: g * xp.astype(factor, g.dtype, copy=False), clipped)
    return tree.with_statistics(clipped, grads)


def _between(g: Array, value: float) -> Array:
    xp = namespace(g)  # not xp.clip, which synchronizes on CuPy
    high = xp.asarray(value, dtype=g.dtype, device=device(g))
    return xp.minimum(xp.maximum(g, -high), high)
