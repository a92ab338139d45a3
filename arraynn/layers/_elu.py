"""The exponential linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace, zero_like
from .._ranges import at_least_zero
from .._types import Array, Backward
from ._base import Activation


def elu(x: Array, alpha: float = 1.0, /) -> tuple[Any, Backward]:
    """Exponential linear unit, y = x where x > 0, else alpha (exp(x) - 1), elementwise.

    x : float array, any shape; any value, -inf and inf included (y = -alpha and inf).
    alpha : finite, at least 0; y tends to -alpha.
    Returns y, shaped as x, and backward(dy) -> dx = dy where x > 0, else dy alpha exp(x).
    Raises ValueError for an alpha out of range.
    At x = 0, a kink unless alpha is 1, the slope is alpha, as in PyTorch.

    Clevert, Unterthiner and Hochreiter, ICLR 2016, section 3.

    >>> import numpy as np
    >>> y, backward = elu(np.asarray([-1000.0, 0.0, 2.0]), 0.5)
    >>> y, backward(np.asarray([1.0, 1.0, 1.0]))
    (array([-0.5,  0. ,  2. ]), array([0. , 0.5, 1. ]))
    """
    xp, alpha = namespace(x), at_least_zero("alpha", alpha)
    zero = zero_like(x)
    negative = xp.minimum(x, zero)  # never above 0, so its exponential does not overflow
    y = alpha * xp.expm1(negative)
    y += xp.maximum(x, zero)

    def elu_backward(dy: Array) -> Any:
        # dy/dx is alpha exp(x) where x <= 0. Where x > 0, exp(negative) is the mask's 1, and the factor is 1 exactly.
        mask = xp.astype(x > 0, dy.dtype)
        slope = xp.exp(negative)
        slope -= mask
        slope *= alpha
        slope += mask
        return dy * slope

    return y, elu_backward


@dataclass(frozen=True)
class ELU(Activation):
    """The layer of `elu`. alpha : finite, at least 0."""

    elementwise = True

    alpha: float = 1.0

    def __post_init__(self) -> None:
        at_least_zero("alpha", self.alpha)

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return elu(x, self.alpha)
