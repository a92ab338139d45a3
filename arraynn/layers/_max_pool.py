"""Max pooling: the largest number of each window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace
from .._types import Array, Backward
from ..backends import for_type
from ._pool import Pooling, pool_windows
from ._window import Padding


def max_pool1d(
    x: Array, size: int | tuple[int, ...], /, *, strides: Any = None, padding: Padding = "valid"
) -> tuple[Array, Backward]:
    """Max pooling over time, y[t] = max_i x[t s + i], each channel for itself.

    x : (N, T, C). size, strides, padding : as in `max_pool2d`, for one axis.
    Returns y : (N, T', C) and backward(dy) -> dx, as there.

    Yamaguchi, Sakamoto, Akabane and Fujimoto, ICSLP 1990.

    >>> import numpy as np
    >>> y, backward = max_pool1d(np.asarray([3.0, 1.0, 2.0, 2.0]).reshape(1, 4, 1), 2)
    >>> y[0, :, 0], backward(np.ones((1, 2, 1)))[0, :, 0]
    (array([3., 2.]), array([1., 0., 1., 0.]))
    """
    return _max_pool(x, size, strides, padding, 1)


def max_pool2d(
    x: Array, size: int | tuple[int, ...], /, *, strides: Any = None, padding: Padding = "valid"
) -> tuple[Array, Backward]:
    """Max pooling of images, y[r, c] = max_ij x[r s + i, c s + j], each channel for itself.

    x : (N, H, W, C), channels last (PyTorch's come first).
    size : of a window, a number or (height, width), at least 1. strides : s; None is the size, as in Keras and PyTorch.
    padding : of -inf, which is never the largest, less than the size: "valid" has none; "same" so much that
        H' = ⌈H / s⌉, an odd one at the end; a number for all sides; or ((top, bottom), (left, right)).
    Returns y : (N, H', W', C), with H' = ⌊(H + padding - height) / s⌋ + 1, and backward(dy) -> dx: dy goes where the
    largest was read, and adds up where windows overlap.
    Of equal numbers in a window the first in C order has the whole gradient (as in PyTorch and cuDNN; equal shares
    would be a subgradient as well). A nan makes its windows nan, and has no gradient.
    Raises ShapeError where the shapes do not fit, ValueError for hyperparameters out of range.

    Ranzato, Huang, Boureau and LeCun, CVPR 2007, section 3.

    >>> import numpy as np
    >>> y, backward = max_pool2d(np.asarray([[1.0, 4.0], [4.0, 2.0]]).reshape(1, 2, 2, 1), 2)
    >>> y[0, 0, 0], backward(np.ones((1, 1, 1, 1)))[0, :, :, 0]
    (array([4.]), array([[0., 1.],
           [0., 0.]]))
    """
    return _max_pool(x, size, strides, padding, 2)


def _max_pool(x: Array, size: Any, strides: Any, padding: Padding, rank: int) -> tuple[Array, Backward]:
    windows = pool_windows(tuple(x.shape[1:]), size, strides, padding, rank)
    xp, engine = namespace(x), for_type(type(x))
    padded = engine.pad(x, windows, -math.inf)
    elements = [padded[offset] for offset in windows.offsets]  # the first of all windows, the second of all, …
    y = elements[0]
    for element in elements[1:]:
        y = xp.maximum(y, element)

    def max_pool_backward(dy: Array) -> Array:
        # forward took one element of each window, the first that is as large as the largest, so dy is its gradient
        parts, left = [], None  # left : windows whose largest was not met yet
        for element in elements:
            hit = element == y if left is None else xp.logical_and(element == y, left)
            left = xp.logical_not(hit) if left is None else xp.logical_and(left, xp.logical_not(hit))
            parts.append(dy * xp.astype(hit, dy.dtype))
        return engine.fold(xp.stack(parts, axis=-2), windows)

    return y, max_pool_backward


@dataclass(frozen=True)
class MaxPool1D(Pooling):
    """The layer of `max_pool1d`. pool_size, strides (None is pool_size), padding : as its size, strides, padding."""

    rank: ClassVar[int] = 1

    def function(self, x: Array, /) -> tuple[Array, Backward]:
        return max_pool1d(x, self.pool_size, strides=self.strides, padding=self.padding)


@dataclass(frozen=True)
class MaxPool2D(Pooling):
    """The layer of `max_pool2d`. pool_size, strides (None is pool_size), padding : as its size, strides, padding."""

    rank: ClassVar[int] = 2

    def function(self, x: Array, /) -> tuple[Array, Backward]:
        return max_pool2d(x, self.pool_size, strides=self.strides, padding=self.padding)
