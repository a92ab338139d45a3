"""Rows in another shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._hyperparameters import held_number
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ._base import Activation


def reshape(x: Array, shape: tuple[int, ...], /) -> tuple[Array, Backward]:
    """Each row in another shape: (N, a, b, …) to (N, *shape), in C order (the last axis varies fastest).

    x : array (N, …), any dtype. shape : of a row, without the batch axis; one length may be -1, and is inferred.
    Returns y : (N, *shape) and backward(dy) -> dx = dy in the shape of x.
    Raises ShapeError if a row has another number of elements, ValueError for an invalid shape.

    The convention of NumPy's reshape, and of Keras's Reshape; PyTorch's Unflatten names one axis.

    >>> import numpy as np
    >>> y, backward = reshape(np.zeros((5, 784)), (28, 28, 1))
    >>> y.shape, backward(y).shape
    ((5, 28, 28, 1), (5, 784))
    """
    xp = namespace(x)
    before = tuple(x.shape)
    wanted = reshaped(before[1:], checked_shape(shape))

    def reshape_backward(dy: Array) -> Array:
        return xp.reshape(dy, before)

    return xp.reshape(x, (before[0], *wanted)), reshape_backward


def checked_shape(shape: Any) -> Shape:
    """The shape, with Python's integers; ValueError unless it is a tuple of lengths."""
    shape = held_number(shape)
    whole = isinstance(shape, tuple) and all(type(n) is int and n >= -1 for n in shape)
    if not whole or shape.count(-1) > 1:
        raise ValueError(f"shape must be a tuple of lengths of at least 0, one of them -1 at most, got {shape!r:.80}")
    return tuple(shape)


def reshaped(before: Shape, shape: Shape) -> Shape:
    """`shape` with its -1, if any, replaced by the length that fits a row of the shape `before`."""
    known, size = math.prod(n for n in shape if n != -1), math.prod(before)
    wanted = tuple(size // known if n == -1 and known else n for n in shape)
    if math.prod(wanted) != size or -1 in wanted:
        raise ShapeError(f"input {row_shape(before)} has {size} numbers a row, which cannot take the shape {shape}")
    return wanted


@dataclass(frozen=True)
class Reshape(Activation):
    """The layer of `reshape`. shape : of a row, a tuple; one length may be -1, and is inferred."""

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        checked_shape(self.shape)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        return {}, reshaped(tuple(input_shape), self.shape)

    def function(self, x: Array, /) -> tuple[Array, Backward]:
        return reshape(x, self.shape)
