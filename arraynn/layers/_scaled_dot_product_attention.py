"""Attention: a mean of values, weighted by the similarity of a query to their keys."""

from __future__ import annotations

import math
from typing import Any

from .._array import device, namespace
from .._ranges import dropping, flag
from .._types import Array, Backward
from ..errors import ShapeError
from ..random import Key, quantized


def scaled_dot_product_attention(
    q: Array,
    k: Array,
    v: Array,
    /,
    *,
    mask: Array | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    key: Key | None = None,
) -> tuple[Array, Backward]:
    """Scaled dot-product attention, y = A v with A = softmax(q kᵀ / √D), row by row.

    q : (N, …, T, D), k : (N, …, S, D), v : (N, …, S, E), with the same leading axes, such as (N, heads).
    mask : booleans, or 0 and 1, that broadcast to (N, …, T, S); where it is true, or 1, a query may attend to the key.
        Keras's and PyTorch's functions do the same; PyTorch's MultiheadAttention marks keys *not* to attend to.
    causal : query t attends to keys 0 to t only. If T and S differ, the first query is aligned with the first key, as
        in PyTorch; FlashAttention aligns the last ones.
    dropout : probability of dropping a weight of A, in training; key : `Key` of this step and layer, None is inference.
    Returns y : (N, …, T, E) and backward(dy) -> dq, dk, dv: dv = Aᵀ dy, and with dA = dy vᵀ, dS = A (dA - Σ_s A dA),
    dq = dS k / √D and dk = dSᵀ q / √D.
    A masked key has weight 0 exactly. A fully masked query gives 0, where a softmax would give nan, and its gradients
    are 0. Masked keys and values must still be finite.
    Raises ShapeError where the shapes do not fit, ValueError for a dropout out of range.

    Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, NeurIPS 2017, equation 1.

    >>> import numpy as np
    >>> q, k = np.asarray([[1.0], [0.0]]), np.asarray([[100.0], [0.0]])
    >>> y, backward = scaled_dot_product_attention(q, k, np.asarray([[1.0], [3.0]]))
    >>> y
    array([[1.],
           [2.]])
    >>> backward(np.ones((2, 1)))[2]
    array([[1.5],
           [0.5]])
    """
    shape = _scores_shape(q, k, v, mask)
    causal, dropout = flag("causal", causal), dropping("dropout", dropout)
    xp, scale = namespace(q), 1 / math.sqrt(max(q.shape[-1], 1))
    scores = (q @ xp.matrix_transpose(k)) * scale
    allowed = None if mask is None else xp.astype(mask, xp.bool)
    if causal:
        first, second = (xp.arange(n, dtype=xp.int32, device=device(q)) for n in shape[-2:])
        behind = second[None, :] <= first[:, None]
        allowed = behind if allowed is None else xp.logical_and(allowed, behind)
    if allowed is not None:
        never = xp.asarray(-math.inf, dtype=q.dtype, device=device(q))
        scores = xp.where(allowed, scores, never)  # where, as a product with 0 would keep a nan and leave exp(0)
    weights = _softmax(scores)
    kept = weights
    if key is not None and dropout > 0:
        kept = weights * (xp.astype(key.keep(shape, dropout, like=q), q.dtype) * quantized(dropout)[1])
    y = kept @ v

    def scaled_dot_product_attention_backward(dy: Array) -> tuple[Array, Array, Array]:
        # forward was y = A m v, with m the dropout's factors. So dv = (A m)ᵀ dy, and dL/dA = m dy vᵀ. A is a softmax:
        # dS = A (dA - Σ_s A dA), row by row. Where A is 0, so is dS; a row of one key has A = 1, and dS = 0.
        part = kept * (dy @ xp.matrix_transpose(v))  # A dA
        dscores = (part - weights * xp.sum(part, axis=-1, keepdims=True)) * scale
        dk = xp.matrix_transpose(dscores) @ q
        return dscores @ k, dk, xp.matrix_transpose(kept) @ dy

    return y, scaled_dot_product_attention_backward


def _softmax(scores: Array) -> Array:
    """Softmax over the last axis, exp(s) / Σ exp(s); 0 where all elements are -inf, or there are none."""
    xp = namespace(scores)
    if scores.shape[-1] == 0:
        return scores
    largest = xp.max(scores, axis=-1, keepdims=True)
    largest = xp.where(largest == -math.inf, xp.zeros_like(largest), largest)  # -inf - -inf would be nan
    e = xp.exp(scores - largest)
    total = xp.sum(e, axis=-1, keepdims=True)
    return e / (total + xp.astype(total == 0, total.dtype))


def _scores_shape(q: Array, k: Array, v: Array, mask: Any) -> tuple[int, ...]:
    """(…, T, S), where the arrays fit."""
    shapes = tuple(q.shape), tuple(k.shape), tuple(v.shape)
    fits = all(len(shape) == len(shapes[0]) >= 2 and shape[:-2] == shapes[0][:-2] for shape in shapes)
    if not fits or shapes[0][-1] != shapes[1][-1] or shapes[1][-2] != shapes[2][-2]:
        raise ShapeError(
            f"attention takes q (…, T, D), k (…, S, D) and v (…, S, E) with the same leading axes, "
            f"got {shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    shape = (*shapes[0][:-1], shapes[1][-2])
    own = shape if mask is None else tuple(mask.shape)
    behind = shape[len(shape) - len(own) :]
    if len(own) > len(shape) or any(n not in (1, wanted) for n, wanted in zip(own, behind, strict=True)):
        raise ShapeError(f"a mask must broadcast to queries by keys, {shape}, got {own}")
    return shape
