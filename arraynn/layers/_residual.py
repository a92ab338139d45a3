"""Residual connection: a shortcut around layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ..random import Key
from ._sequential import Sequential
from .combinator import Combinator


@dataclass(frozen=True, init=False, repr=False)
class Residual(Combinator):
    """y = x + f(x), where f is the layers one after another: x and its gradient have a shortcut around them.

    layers : as in Sequential, and so are the parameters; f must keep the shape of x.
    backward(dy, need_dx=True) -> dx, grads: dx = dy + (∂f/∂x)ᵀ dy, the shortcut's part and f's.
    Raises ShapeError where f(x) has another shape than x: broadcasting would add them without an error.

    He, Zhang, Ren and Sun, CVPR 2016, equation 1. The ReLU that the paper puts behind the sum is a layer of its own,
    as is a projection in the shortcut.

    >>> import numpy as np
    >>> from arraynn import ReLU
    >>> y, backward = Residual(ReLU())([{}], np.asarray([[-1.0, 2.0]]))
    >>> y, backward(np.asarray([[1.0, 1.0]]))
    (array([[-1.,  4.]]), (array([[1., 2.]]), [{}]))
    """

    @cached_property
    def _function(self) -> Sequential:
        return Sequential(*self.layers)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        params, shape = self._function.init(rng, input_shape, dtype)
        _keeps_shape(tuple(input_shape), shape)
        return params, shape

    def __call__(self, params: Nest, x: Array, key: Key | None = None) -> tuple[Any, Backward]:
        f, function_backward = self._function(params, x, key)
        _keeps_shape(tuple(x.shape[1:]), tuple(f.shape[1:]))

        def residual_backward(dy: Array, need_dx: bool = True) -> tuple[Any, Nest]:
            # forward was y = x + f(x), so x has two uses, and their gradients add
            dx, grads = function_backward(dy, need_dx)
            return dy + dx if need_dx else None, grads

        return x + f, residual_backward


def _keeps_shape(before: Shape, after: Shape) -> None:
    if before != after:
        x, f = map(row_shape, (before, after))
        raise ShapeError(f"y = x + f(x) takes an f that keeps the shape, got x {x} and f(x) {f}")
