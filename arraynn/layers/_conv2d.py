"""Convolution over images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._types import Array, Backward
from ._convolve import Convolution, convolve
from ._window import Padding


def conv2d(
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
    """Convolution over images, y[r, c] = Σ_ij x[r s + i d, c s + j d] w[i, j] + b, each product that of a pixel's C
    numbers and a matrix.

    x : (N, H, W, C), channels last. w : (kh, kw, C / groups, filters), b : (filters,), one float dtype.
    strides : s, from one window to the next, a number or one for each axis, at least 1.
    padding : zeros around x. "valid", none; "same", so many that H' = ⌈H / s⌉, an odd one at the end (as TensorFlow
        and JAX; PyTorch has "same" for strides of 1 only); a number for all sides; or ((top, bottom), (left, right)).
    dilation : d, from one element of a window to the next, a number or one for each axis, at least 1.
    groups : filters of group g use the channels of group g only; it divides both. C groups are a depthwise convolution.
    Returns y : (N, H', W', filters), with H' = ⌊(H + padding - d (kh - 1) - 1) / s⌋ + 1, and backward(dy, need_dx=True)
    -> dx, dw, db: dw[i, j] = Σ_rc x[r s + i d, c s + j d]ᵀ dy[r, c], summed over the batch too, db = Σ dy, and dx has
    w[i, j] dy[r, c] added wherever forward read; dx is None where it is not needed.
    Raises ShapeError where the shapes do not fit, ValueError for hyperparameters out of range.

    As usual in deep learning the kernel is not flipped, so in signal processing this is a cross-correlation.
    PyTorch takes x (N, C, H, W) and stores w as (filters, C / groups, kh, kw).

    LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86, 1998, section II; as a product of patches,
    Chellapilla, Puri and Simard, IWFHR 2006.

    >>> import numpy as np
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> y, backward = conv2d(x, np.ones((2, 2, 1, 1)), np.zeros(1))
    >>> y[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
    >>> dx, dw, db = backward(np.ones((1, 2, 2, 1)))
    >>> dx[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    return convolve(x, w, b, 2, strides, padding, dilation, groups)


@dataclass(frozen=True)
class Conv2D(Convolution):
    """The layer of `conv2d`: parameters {"weight": (kh, kw, C / groups, filters), "bias": (filters,)}; C is inferred.

    filters : channels of the output, at least 1. kernel_size, strides, padding, dilation, groups : as in the block.
    weight_initializer, bias_initializer, weight_regularizer, bias_regularizer : as in `Dense`; n_in is
        kh kw C / groups, n_out kh kw filters.
    """

    rank: ClassVar[int] = 2
