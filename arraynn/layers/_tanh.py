"""The hyperbolic tangent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array, Backward
from ._base import Activation


def tanh(x: Array, /) -> tuple[Any, Backward]:
    """Hyperbolic tangent, y = tanh(x), elementwise.

    x : float array, any shape.
    Returns y in [-1, 1], shaped as x, and backward(dy) -> dx = dy (1 - y²).

    LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998, section 4.4.

    >>> import numpy as np
    >>> y, backward = tanh(np.asarray([0.0, 1000.0]))
    >>> y, backward(np.asarray([3.0, 3.0]))
    (array([0., 1.]), array([3., 0.]))
    """
    xp = namespace(x)
    y = xp.tanh(x)

    def tanh_backward(dy: Array) -> Any:
        # d tanh(x) / dx = 1 - tanh²(x), and forward has tanh(x) already
        return dy * (1 - y * y)

    return y, tanh_backward


@dataclass(frozen=True)
class Tanh(Activation):
    """The layer of `tanh`."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return tanh(x)
