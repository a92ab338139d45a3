"""The logistic function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array, Backward
from ._base import Activation


def sigmoid(x: Array, /) -> tuple[Any, Backward]:
    """Logistic sigmoid, y = 1 / (1 + exp(-x)), elementwise.

    x : float array, any shape; any value, -inf and inf included (y = 0 and 1).
    Returns y in [0, 1], shaped as x, and backward(dy) -> dx = dy y (1 - y).
    No overflow for any x, and full relative precision for large negative x, which 0.5 (1 + tanh(x / 2)) loses.

    Rumelhart, Hinton and Williams, Nature 323, 1986.

    >>> import numpy as np
    >>> y, backward = sigmoid(np.asarray([-1000.0, 0.0, 1000.0]))
    >>> y, backward(np.asarray([1.0, 1.0, 1.0]))
    (array([0. , 0.5, 1. ]), array([0.  , 0.25, 0.  ]))
    """
    xp = namespace(x)
    e = xp.exp(-xp.abs(x))  # never above 1
    # 1 / (1 + e) where x >= 0, e / (1 + e) where x < 0; as e <= 1, the numerator is a maximum.
    y = xp.maximum(e, xp.astype(x >= 0, x.dtype))
    y /= 1 + e

    def sigmoid_backward(dy: Array) -> Any:
        # dy/dx = exp(-x) / (1 + exp(-x))² = y (1 - y)
        return dy * y * (1 - y)

    return y, sigmoid_backward


@dataclass(frozen=True)
class Sigmoid(Activation):
    """The layer of `sigmoid`."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return sigmoid(x)
