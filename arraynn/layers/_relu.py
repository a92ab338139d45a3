"""The rectified linear unit (ReLU)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace, zero_like
from .._types import Array, Backward
from ._base import Activation


def relu(x: Array, /) -> tuple[Any, Backward]:
    """Rectified linear unit, y = max(x, 0), elementwise.

    x : float array, any shape.
    Returns y, shaped as x, and backward(dy) -> dx = dy where x > 0, else 0.
    At x = 0, where the slope is undefined, dx is 0. An infinite dy where x <= 0 gives nan, not 0.

    Nair and Hinton, ICML 2010.

    >>> import numpy as np
    >>> y, backward = relu(np.asarray([-1.0, 0.0, 2.0]))
    >>> y, backward(np.asarray([5.0, 6.0, 7.0]))
    (array([0., 0., 2.]), array([0., 0., 7.]))
    """
    xp = namespace(x)
    y = xp.maximum(x, zero_like(x))  # a 0-d zero: a full one costs a pass over memory

    def relu_backward(dy: Array) -> Any:
        # forward kept x where x > 0, so dy passes there. y > 0 just where x > 0, and the next block
        # keeps y anyway. A product is faster than where, which mispredicts branches on random signs.
        dx = xp.astype(y > 0, dy.dtype)
        dx *= dy
        return dx

    return y, relu_backward


@dataclass(frozen=True)
class ReLU(Activation):
    """The layer of `relu`."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return relu(x)
