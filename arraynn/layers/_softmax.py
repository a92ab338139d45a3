"""The softmax function. For training, prefer logits and `softmax_cross_entropy`, which never takes the log of a 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array, Backward
from ._base import Activation


def softmax(x: Array, /) -> tuple[Any, Backward]:
    """Softmax over the last axis, y_j = exp(x_j) / Σ_k exp(x_k).

    x : float array (…, K); any finite values, and -inf where one of the row is finite (its y is 0).
    Returns y, shaped as x, rows summing to 1, and backward(dy) -> dx_k = y_k (dy_k - Σ_j y_j dy_j).
    The row's maximum is subtracted first, which changes nothing but keeps exp from overflowing.

    The derivative is the whole Jacobian's, dy_j/dx_k = y_j (δ_jk - y_k), in closed form: no K × K matrix is made.

    Bridle, in Neurocomputing: Algorithms, Architectures and Applications, 1990.

    >>> import numpy as np
    >>> y, backward = softmax(np.asarray([[0.0, 0.0], [1000.0, -1000.0]]))
    >>> y
    array([[0.5, 0.5],
           [1. , 0. ]])
    >>> backward(np.asarray([[1.0, 0.0], [1.0, 0.0]]))
    array([[ 0.25, -0.25],
           [ 0.  ,  0.  ]])
    """
    xp = namespace(x)
    y = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    y /= xp.sum(y, axis=-1, keepdims=True)

    def softmax_backward(dy: Array) -> Any:
        # dx_k = Σ_j dy_j y_j (δ_jk - y_k) = y_k (dy_k - Σ_j dy_j y_j)
        dx = y * dy
        dx -= y * xp.sum(dx, axis=-1, keepdims=True)
        return dx

    return y, softmax_backward


@dataclass(frozen=True)
class Softmax(Activation):
    """The layer of `softmax`, over the last axis."""

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return softmax(x)
