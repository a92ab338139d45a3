"""Hard sigmoid: a piecewise linear approximation of the logistic function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import device, namespace, zero_like
from .._types import Array, Backward
from ._base import Activation


def hard_sigmoid(x: Array, /) -> tuple[Any, Backward]:
    """Hard sigmoid, y = min(max(x/6 + 1/2, 0), 1), elementwise: 0 below -3, 1 above 3.

    x : float array, any shape; any value, -inf and inf included.
    Returns y in [0, 1], shaped as x, and backward(dy) -> dx = dy/6 where |x| < 3, else 0.
    At the kinks x = ±3 the slope is 0, as in PyTorch.

    There are three definitions. This one is that of PyTorch and Keras 3 (Howard et al., ICCV 2019, section 5.2);
    Keras 2, Theano and ONNX by default use 0.2 x + 0.5; Courbariaux, Bengio and David (NeurIPS 2015) use (x + 1) / 2.

    >>> import numpy as np
    >>> y, backward = hard_sigmoid(np.asarray([-3.0, 0.0, 1.5, 9.0]))
    >>> y, 6 * backward(np.asarray([1.0, 1.0, 1.0, 1.0]))
    (array([0.  , 0.5 , 0.75, 1.  ]), array([0., 1., 1., 0.]))
    """
    xp = namespace(x)
    y = x / 6
    y += 0.5
    y = xp.minimum(xp.maximum(y, zero_like(x)), xp.asarray(1.0, dtype=x.dtype, device=device(x)))

    def hard_sigmoid_backward(dy: Array) -> Any:
        # forward was x/6 + 1/2 between the kinks, constant beyond; x is tested, as y rounds to 1 before x is 3
        return dy / 6 * xp.astype(xp.abs(x) < 3, dy.dtype)

    return y, hard_sigmoid_backward


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """The layer of `hard_sigmoid`: x/6 + 1/2 between 0 and 1."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return hard_sigmoid(x)
