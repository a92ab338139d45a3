"""The scaled (self-normalizing) exponential linear unit, SELU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace, zero_like
from .._types import Array, Backward
from ._base import Activation

# The pair that makes mean 0 and variance 1 a fixed point from layer to layer; appendix A.4.1 has the closed forms.
ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946


def selu(x: Array, /) -> tuple[Any, Backward]:
    """Scaled exponential linear unit, y = λ x where x > 0, else λ α (exp(x) - 1), elementwise.

    λ = 1.0507…, α = 1.6733…: with weights of `lecun_normal`, signals tend to mean 0 and variance 1.
    x : float array, any shape; any value, -inf and inf included.
    Returns y, shaped as x, and backward(dy) -> dx = dy λ where x > 0, else dy λ α exp(x).
    At the kink x = 0 the slope is λ α, as in PyTorch.

    Klambauer, Unterthiner, Mayr and Hochreiter, NeurIPS 2017, equation 2.

    >>> import numpy as np
    >>> y, backward = selu(np.asarray([-1000.0, 1.0]))
    >>> y, backward(np.asarray([1.0, 1.0]))
    (array([-1.75809934,  1.05070099]), array([0.        , 1.05070099]))
    """
    xp = namespace(x)
    zero = zero_like(x)
    negative = xp.minimum(x, zero)  # never above 0, so its exponential does not overflow
    y = (SCALE * ALPHA) * xp.expm1(negative)
    y += SCALE * xp.maximum(x, zero)

    def selu_backward(dy: Array) -> Any:
        # dy/dx is λ α exp(x) where x <= 0. Where x > 0, exp(negative) is the mask's 1, and the factor is λ.
        mask = xp.astype(x > 0, dy.dtype)
        slope = xp.exp(negative)
        slope -= mask
        slope *= SCALE * ALPHA
        slope += SCALE * mask
        return dy * slope

    return y, selu_backward


@dataclass(frozen=True)
class SELU(Activation):
    """The layer of `selu`."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return selu(x)
