"""The Gaussian error linear unit, in its tanh form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._array import device, namespace
from .._types import Array, Backward
from ._base import Activation
from ._logistic import logistic

BOUND = 32.0  # beyond it exp(-|2 u|) is 0 in every float dtype, so the cube need not be taken of larger numbers


def gelu(x: Array, /) -> tuple[Any, Backward]:
    """Gaussian error linear unit, y = x/2 (1 + tanh u) with u = √(2/π) (x + 0.044715 x³), elementwise.

    x : float array, any shape; any value, -inf and inf included (y = 0 and inf).
    Returns y, shaped as x, and backward(dy) -> dx = dy/2 (1 + tanh u + x (1 - tanh² u) u'), with
    u' = √(2/π) (1 + 0.134145 x²).

    x Φ(x), with the normal distribution's Φ = (1 + erf(x / √2)) / 2, is the exact form, which this one meets to 5e-4;
    the standard has no erf. PyTorch takes the exact form by default, JAX this one.

    Hendrycks and Gimpel, arXiv 1606.08415, section 2.

    >>> import numpy as np
    >>> y, backward = gelu(np.asarray([-1000.0, 0.0, 1.0]))
    >>> y, backward(np.asarray([1.0, 1.0, 1.0]))
    (array([-0.        ,  0.        ,  0.84119199]), array([-0.        ,  0.5       ,  1.08296408]))
    """
    xp = namespace(x)
    low = xp.asarray(-BOUND, dtype=x.dtype, device=device(x))
    above = xp.maximum(x, low)
    inner = xp.minimum(above, -low)  # not xp.clip, which synchronizes on CuPy
    square = inner * inner
    scale = 2 * math.sqrt(2 / math.pi)
    # (1 + tanh u) / 2 = σ(2 u), which keeps its digits where tanh is near -1
    s = logistic(scale * inner * (1 + 0.044715 * square))

    def gelu_backward(dy: Array) -> Any:
        # y = x σ(2u), so dy/dx = σ + x σ (1 - σ) d(2u)/dx, with d(2u)/dx = 2 √(2/π) (1 + 3 · 0.044715 x²).
        # Beyond the bound σ (1 - σ) is 0, and a bounded x keeps the product from being nan.
        slope = 1 + (3 * 0.044715) * square
        slope *= scale * inner
        slope *= 1 - s
        slope += 1
        return dy * s * slope

    return above * s, gelu_backward


@dataclass(frozen=True)
class GELU(Activation):
    """The layer of `gelu`, in its tanh form."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return gelu(x)
