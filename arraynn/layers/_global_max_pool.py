"""Global max pooling: the largest number of each channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._array import device, namespace
from .._types import Array, Backward, Nest, Shape
from ._base import Activation
from ._pool import pooled_shape


def global_max_pool(x: Array, /) -> tuple[Array, Backward]:
    """Global max pooling, y_c = max of x over time, or over rows and columns, each channel for itself.

    x : (N, …, C), channels last, such as (N, T, C) or (N, H, W, C), with at least one element for each channel.
    Returns y : (N, C) and backward(dy) -> dx, which is dy where the largest was read, else 0.
    Of equal numbers the first in C order has the whole gradient, as in `max_pool2d`.
    Raises ShapeError where x has no axis, or no element, to take a maximum over.

    Collobert, Weston, Bottou, Karlen, Kavukcuoglu and Kuksa, JMLR 12, 2011, section 3.3, over time.

    >>> import numpy as np
    >>> y, backward = global_max_pool(np.asarray([[[1.0, 6.0], [3.0, 6.0]]]))
    >>> y, backward(np.asarray([[1.0, 2.0]]))
    (array([[3., 6.]]), array([[[0., 2.],
            [1., 0.]]]))
    """
    pooled_shape(tuple(x.shape[1:]))
    xp = namespace(x)
    rows, places, channels = x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]
    flat = xp.reshape(x, (rows, places, channels))
    largest = xp.max(flat, axis=1, keepdims=True)

    def global_max_pool_backward(dy: Array) -> Array:
        # forward read one of the positions that hold the largest; not every library's argmax gives the first of them
        place = xp.reshape(xp.arange(places, dtype=xp.int32, device=device(x)), (1, places, 1))
        first = xp.min(place + places * xp.astype(flat != largest, xp.int32), axis=1, keepdims=True)
        hit = xp.astype(place == first, dy.dtype)
        return xp.reshape(xp.reshape(dy, (rows, 1, channels)) * hit, x.shape)

    return xp.reshape(largest, (rows, channels)), global_max_pool_backward


@dataclass(frozen=True)
class GlobalMaxPool(Activation):
    """The layer of `global_max_pool`."""

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        return {}, pooled_shape(tuple(input_shape))

    def function(self, x: Array, /) -> tuple[Array, Backward]:
        return global_max_pool(x)
