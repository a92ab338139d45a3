"""Global average pooling: the mean of each channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array, Backward, Nest, Shape
from ._base import Activation
from ._pool import pooled_shape


def global_average_pool(x: Array, /) -> tuple[Array, Backward]:
    """Global average pooling, y_c = mean of x over time, or over rows and columns, each channel for itself.

    x : (N, …, C), channels last, such as (N, T, C) or (N, H, W, C), with at least one element for each channel.
    Returns y : (N, C) and backward(dy) -> dx = dy / M at each of the M positions.
    Raises ShapeError where x has no axis, or no element, to take a mean over.

    Lin, Chen and Yan, ICLR 2014, section 3.2.

    >>> import numpy as np
    >>> y, backward = global_average_pool(np.asarray([[[1.0, 2.0], [3.0, 6.0]]]))
    >>> y, backward(np.asarray([[1.0, 2.0]]))
    (array([[2., 4.]]), array([[[0.5, 1. ],
            [0.5, 1. ]]]))
    """
    pooled_shape(tuple(x.shape[1:]))
    xp = namespace(x)
    shape, axes = tuple(x.shape), tuple(range(1, len(x.shape) - 1))

    def global_average_pool_backward(dy: Array) -> Array:
        # forward was y = Σ x / M, so each of the M positions has an equal share
        share = xp.reshape(dy / math.prod(shape[1:-1]), (shape[0], *[1] * len(axes), shape[-1]))
        return share * xp.ones_like(x)

    return xp.mean(x, axis=axes), global_average_pool_backward


@dataclass(frozen=True)
class GlobalAveragePool(Activation):
    """The layer of `global_average_pool`."""

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        return {}, pooled_shape(tuple(input_shape))

    def function(self, x: Array, /) -> tuple[Array, Backward]:
        return global_average_pool(x)
