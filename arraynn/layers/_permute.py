"""Axes in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._hyperparameters import held_number
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ._base import Activation


def permute(x: Array, axes: tuple[int, ...], /) -> tuple[Array, Backward]:
    """The axes of each row in another order: axis i of y is axis axes[i - 1] of x, the batch axis 0 stays.

    x : array (N, …), any dtype. axes : 1, 2, … in another order, one for each axis but the batch; (2, 3, 1) puts
        channels that come first, (N, C, H, W), last.
    Returns y and backward(dy) -> dx = dy with its axes put back.
    Raises ShapeError where x has another number of axes, ValueError for invalid axes.

    The convention of Keras's Permute, which counts from 1 too; PyTorch's permute names the batch axis as well.

    >>> import numpy as np
    >>> y, backward = permute(np.zeros((5, 3, 28, 20)), (2, 3, 1))
    >>> y.shape, backward(y).shape
    ((5, 28, 20, 3), (5, 3, 28, 20))
    """
    axes = checked_axes(axes)
    permuted(tuple(x.shape[1:]), axes)
    xp = namespace(x)

    def permute_backward(dy: Array) -> Array:
        # axis i of y was axis axes[i - 1] of x, so axis j of x is at the index of j in axes
        return xp.permute_dims(dy, (0, *(axes.index(j) + 1 for j in range(1, len(axes) + 1))))

    return xp.permute_dims(x, (0, *axes)), permute_backward


def checked_axes(axes: Any) -> Shape:
    """The axes, as Python's integers; ValueError unless they are a tuple of 1, 2, … in some order."""
    axes = held_number(axes)
    if not isinstance(axes, tuple) or set(axes) != set(range(1, len(axes) + 1)):
        raise ValueError(f"axes must be a tuple of 1, 2, … in some order, got {axes!r:.80}")
    return tuple(axes)


def permuted(before: Shape, axes: Shape) -> Shape:
    """The shape of a row whose axes are put in this order."""
    if len(before) != len(axes):
        raise ShapeError(
            f"axes {axes} are an order of {len(axes)} axes behind the batch's, got input {row_shape(before)}"
        )
    return tuple(before[i - 1] for i in axes)


@dataclass(frozen=True)
class Permute(Activation):
    """The layer of `permute`. axes : 1, 2, … in another order; (2, 3, 1) puts channels that come first last."""

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        checked_axes(self.axes)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        return {}, permuted(tuple(input_shape), self.axes)

    def function(self, x: Array, /) -> tuple[Array, Backward]:
        return permute(x, self.axes)
