"""The sigmoid linear unit, also known as swish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._types import Array, Backward
from ._base import Activation
from ._logistic import logistic


def silu(x: Array, /) -> tuple[Any, Backward]:
    """Sigmoid linear unit, y = x σ(x) = x / (1 + exp(-x)), elementwise.

    x : float array, any shape; any finite value (at -inf, 0 times infinity, y is nan, as in PyTorch).
    Returns y, shaped as x, and backward(dy) -> dx = dy (σ(x) + y (1 - σ(x))).

    Hendrycks and Gimpel, arXiv 1606.08415, mention it; Elfwing, Uchibe and Doya, Neural Networks 107, 2018.
    Swish (Ramachandran, Zoph and Le, 2017) is x σ(β x), this one at β = 1.

    >>> import numpy as np
    >>> y, backward = silu(np.asarray([-1000.0, 0.0, 1.0]))
    >>> y, backward(np.asarray([1.0, 1.0, 1.0]))
    (array([-0.        ,  0.        ,  0.73105858]), array([0.        , 0.5       , 0.92767051]))
    """
    s = logistic(x)
    y = x * s

    def silu_backward(dy: Array) -> Any:
        # dσ/dx = σ (1 - σ), so dy/dx = σ + x σ (1 - σ) = σ + y (1 - σ)
        return dy * (s + y * (1 - s))

    return y, silu_backward


@dataclass(frozen=True)
class SiLU(Activation):
    """The layer of `silu`."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return silu(x)
