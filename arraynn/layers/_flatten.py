"""Flatten each row to a vector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array, Backward, Nest, Shape
from ._base import Activation


def flatten(x: Array, /) -> tuple[Any, Backward]:
    """Each row as a vector: (N, a, b, …) to (N, a b …), in C order (the last axis varies fastest).

    x : array (N, …), any dtype. Returns y (N, D) and backward(dy) -> dx = dy in the shape of x.

    By convention, as in NumPy's reshape, and in Keras's and PyTorch's Flatten.

    >>> import numpy as np
    >>> y, backward = flatten(np.zeros((5, 28, 28)))
    >>> y.shape, backward(y).shape
    ((5, 784), (5, 28, 28))
    """
    xp = namespace(x)
    shape = tuple(x.shape)

    def flatten_backward(dy: Array) -> Any:
        return xp.reshape(dy, shape)

    return xp.reshape(x, (shape[0], math.prod(shape[1:]))), flatten_backward


@dataclass(frozen=True)
class Flatten(Activation):
    """The layer of `flatten`."""

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        return {}, (math.prod(input_shape),)

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return flatten(x)
