"""Average pooling: the mean of each window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import device, namespace
from .._types import Array, Backward
from ..backends import for_type
from ._pool import Pooling, pool_windows
from ._window import Padding


def average_pool1d(
    x: Array, size: int | tuple[int, ...], /, *, strides: Any = None, padding: Padding = "valid"
) -> tuple[Array, Backward]:
    """Average pooling over time, y[t] = mean_i x[t s + i], each channel for itself.

    x : (N, T, C). size, strides, padding : as in `average_pool2d`, for one axis.
    Returns y : (N, T', C) and backward(dy) -> dx, as there.

    Waibel, Hanazawa, Hinton, Shikano and Lang, IEEE Transactions on Acoustics, Speech and Signal Processing 37, 1989,
    sum over time; as a mean, LeCun et al., 1989.

    >>> import numpy as np
    >>> y, backward = average_pool1d(np.asarray([3.0, 1.0, 2.0, 6.0]).reshape(1, 4, 1), 2)
    >>> y[0, :, 0], backward(np.ones((1, 2, 1)))[0, :, 0]
    (array([2., 4.]), array([0.5, 0.5, 0.5, 0.5]))
    """
    return _average_pool(x, size, strides, padding, 1)


def average_pool2d(
    x: Array, size: int | tuple[int, ...], /, *, strides: Any = None, padding: Padding = "valid"
) -> tuple[Array, Backward]:
    """Average pooling of images, y[r, c] = mean_ij x[r s + i, c s + j], each channel for itself.

    x : (N, H, W, C), channels last (PyTorch's come first).
    size, strides, padding : as in `max_pool2d`, but padding does not count: a mean is over the elements of x
        in its window (as in Keras and ONNX; PyTorch divides by the window's size, unless count_include_pad=False).
    Returns y : (N, H', W', C) and backward(dy) -> dx: each element of a window has an equal share of its dy.
    Raises ShapeError where the shapes do not fit, ValueError for hyperparameters out of range.

    LeCun, Boser, Denker, Henderson, Howard, Hubbard and Jackel, NeurIPS 1989, there with a weight for each map.

    >>> import numpy as np
    >>> y, backward = average_pool2d(np.arange(4.0).reshape(1, 2, 2, 1), 2)
    >>> y[0, 0, 0], backward(np.ones((1, 1, 1, 1)))[0, :, :, 0]
    (array([1.5]), array([[0.25, 0.25],
           [0.25, 0.25]]))
    """
    return _average_pool(x, size, strides, padding, 2)


def _average_pool(x: Array, size: Any, strides: Any, padding: Padding, rank: int) -> tuple[Array, Backward]:
    windows = pool_windows(tuple(x.shape[1:]), size, strides, padding, rank)
    xp, engine = namespace(x), for_type(type(x))

    def summed(a: Array) -> Array:
        padded = engine.pad(a, windows)
        first, *rest = (padded[offset] for offset in windows.offsets)
        for element in rest:
            first = first + element
        return first

    count: Any = windows.count
    if windows.padding:  # windows at the border hold fewer elements
        count = summed(xp.ones((1, *windows.shape, 1), dtype=x.dtype, device=device(x)))

    def average_pool_backward(dy: Array) -> Array:
        # forward was y = Σ x / count, so each element of a window has dy / count, and those of its windows add up
        share = xp.expand_dims(dy / count, axis=-2)
        shape = (*dy.shape[:-1], windows.count, dy.shape[-1])
        return engine.fold(xp.broadcast_to(share, shape), windows)

    return summed(x) / count, average_pool_backward


@dataclass(frozen=True)
class AveragePool1D(Pooling):
    """The layer of `average_pool1d`. pool_size, strides (None is pool_size), padding : its size, strides, padding."""

    rank: ClassVar[int] = 1

    def function(self, x: Array, /) -> tuple[Array, Backward]:
        return average_pool1d(x, self.pool_size, strides=self.strides, padding=self.padding)


@dataclass(frozen=True)
class AveragePool2D(Pooling):
    """The layer of `average_pool2d`. pool_size, strides (None is pool_size), padding : its size, strides, padding."""

    rank: ClassVar[int] = 2

    def function(self, x: Array, /) -> tuple[Array, Backward]:
        return average_pool2d(x, self.pool_size, strides=self.strides, padding=self.padding)
