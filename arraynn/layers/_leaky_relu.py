"""The leaky rectifier, with a small slope for negative inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import device, namespace
from .._ranges import within
from .._types import Array, Backward
from ._base import Activation


def leaky_relu(x: Array, slope: float = 0.01, /) -> tuple[Any, Backward]:
    """Leaky rectified linear unit, y = max(x, slope x), elementwise: x where x > 0, else slope x.

    x : float array, any shape; any finite value, and ±inf unless slope is 0.
    slope : in [0, 1]; 0 is `relu`. 0.01 as in the paper and PyTorch (`negative_slope`); Keras takes 0.3.
    Returns y, shaped as x, and backward(dy) -> dx = dy where x > 0, else slope dy.
    Raises ValueError for a slope out of range.
    At x = 0, where the slope is undefined, it is `slope`, as in PyTorch.

    Maas, Hannun and Ng, ICML 2013.

    >>> import numpy as np
    >>> y, backward = leaky_relu(np.asarray([-2.0, 0.0, 2.0]), 0.25)
    >>> y, backward(np.asarray([1.0, 1.0, 1.0]))
    (array([-0.5,  0. ,  2. ]), array([0.25, 0.25, 1.  ]))
    """
    xp, slope = namespace(x), checked_slope(slope)
    y = xp.maximum(x, slope * x)  # slope <= 1, so the larger of the two is x just where x >= 0

    def leaky_relu_backward(dy: Array) -> Any:
        # dy/dx is 1 where x > 0, else slope: the larger of the mask and slope, exactly, as slope <= 1
        mask = xp.astype(x > 0, dy.dtype)
        return dy * xp.maximum(mask, xp.asarray(slope, dtype=dy.dtype, device=device(dy)))

    return y, leaky_relu_backward


def checked_slope(slope: Any) -> Any:
    """The slope of the negative side: in [0, 1], where the larger of x and slope x is the right one."""
    return within("slope", slope, 0, 1, "is that of the negative side and must lie in [0, 1]")


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """The layer of `leaky_relu`. slope : in [0, 1]."""

    elementwise = True

    slope: float = 0.01

    def __post_init__(self) -> None:
        checked_slope(self.slope)

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return leaky_relu(x, self.slope)
