"""The smooth rectifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace, zero_like
from .._types import Array, Backward
from ._base import Activation
from ._logistic import logistic


def softplus(x: Array, /) -> tuple[Any, Backward]:
    """Softplus, y = log(1 + exp(x)), elementwise: positive, and near max(x, 0).

    x : float array, any shape; any value, -inf and inf included (y = 0 and inf).
    Returns y >= 0, shaped as x, and backward(dy) -> dx = dy σ(x).
    No overflow for any x, and full precision for large negative x. PyTorch uses y = x above its threshold of 20; here
    the formula holds everywhere.

    Dugas, Bengio, Bélisle, Nadeau and Garcia, NeurIPS 2000.

    >>> import numpy as np
    >>> y, backward = softplus(np.asarray([-1000.0, 0.0, 1000.0]))
    >>> y, backward(np.asarray([1.0, 1.0, 1.0]))
    (array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03]), array([0. , 0.5, 1. ]))
    """
    xp = namespace(x)
    # log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), whose exponential is never above 1
    y = xp.log1p(xp.exp(-xp.abs(x)))
    y += xp.maximum(x, zero_like(x))

    def softplus_backward(dy: Array) -> Any:
        # d log(1 + exp(x))/dx = exp(x) / (1 + exp(x)) = σ(x)
        return dy * logistic(x)

    return y, softplus_backward


@dataclass(frozen=True)
class Softplus(Activation):
    """The layer of `softplus`."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return softplus(x)
