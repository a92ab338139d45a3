"""Convolution over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._types import Array, Backward
from ._convolve import Convolution, convolve
from ._window import Padding


def conv1d(
    x: Array,
    w: Array,
    b: Array,
    /,
    *,
    strides: int | tuple[int, ...] = 1,
    padding: Padding = "valid",
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> tuple[Array, Backward]:
    """Convolution over time, y[t] = Σ_i x[t s + i d] w[i] + b, each product that of a row of C numbers and a matrix.

    x : (N, T, C), channels last. w : (k, C / groups, filters), b : (filters,), one float dtype.
    strides, padding, dilation, groups : as in `conv2d`, for one axis; pairs are ((before, after),).
    Returns y : (N, T', filters) and backward(dy, need_dx=True) -> dx, dw, db, as there.
    Raises ShapeError where the shapes do not fit, ValueError for hyperparameters out of range.

    A kernel that ends at its own time step, for text or series, is padding=((d (k - 1), 0),).
    PyTorch takes x (N, C, T) and stores w as (filters, C / groups, k).

    Waibel, Hanazawa, Hinton, Shikano and Lang, IEEE Transactions on Acoustics, Speech and Signal Processing 37, 1989.

    >>> import numpy as np
    >>> x = np.asarray([1.0, 2.0, 4.0, 8.0]).reshape(1, 4, 1)
    >>> difference = np.asarray([-1.0, 1.0]).reshape(2, 1, 1)
    >>> y, backward = conv1d(x, difference, np.zeros(1))
    >>> y[0, :, 0], backward(np.ones((1, 3, 1)))[0][0, :, 0]
    (array([1., 2., 4.]), array([-1.,  0.,  0.,  1.]))
    """
    return convolve(x, w, b, 1, strides, padding, dilation, groups)


@dataclass(frozen=True)
class Conv1D(Convolution):
    """The layer of `conv1d`: parameters {"weight": (k, C / groups, filters), "bias": (filters,)}; C is inferred.

    filters : channels of the output, at least 1. kernel_size, strides, padding, dilation, groups : as in the block.
    weight_initializer, bias_initializer, weight_regularizer, bias_regularizer : as in `Dense`; n_in is k C / groups.
    """

    rank: ClassVar[int] = 1
