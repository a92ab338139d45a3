"""The fully connected layer."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

from .. import initializers
from .._array import namespace, sum_of_rows
from .._contract_of_rules import drawn
from .._ranges import at_least_one
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ..regularizers import penalty_of
from ._base import Layer
from ._shapes import NO_AXIS, check_rules


def dense(x: Array, w: Array, b: Array, /) -> tuple[Any, Backward]:
    """Affine map of each row, y = x w + b.

    x : (N, n_in), or (N, …, n_in), such as (N, T, n_in), where each position is a row. w : (n_in, n_out),
    b : (n_out,), one float dtype.
    Returns y : (N, …, n_out) and backward(dy, need_dx=True) -> dx = dy wᵀ, dw = xᵀ dy, db = Σ_i dy_i; dx is None where
    it is not needed.
    Raises ShapeError where the shapes do not fit.

    Weights are (n_in, n_out), as in the book and in JAX; PyTorch stores the transpose.

    Rumelhart, Hinton and Williams, Nature 323, 1986.

    >>> import numpy as np
    >>> y, backward = dense(np.asarray([[1.0, 2.0]]), np.asarray([[3.0], [4.0]]), np.asarray([0.5]))
    >>> y, backward(np.asarray([[1.0]]))
    (array([[11.5]]), (array([[3., 4.]]), array([[1.],
           [2.]]), array([1.])))
    """
    shape, n_out = tuple(x.shape), w.shape[1]
    if len(shape) < 2 or shape[-1] != w.shape[0]:
        places = "N" if len(shape) < 3 else "N, …"
        raise ShapeError(f"expected input ({places}, {w.shape[0]}), got {row_shape(shape[1:])}")
    if tuple(b.shape) != (n_out,):  # a single number would broadcast, and have a gradient of another shape
        raise ShapeError(f"b must have the shape ({n_out},), as w is {tuple(w.shape)}, got {tuple(b.shape)}")
    xp = namespace(x)
    if len(shape) > 2:  # each position is a row of one matrix
        x = xp.reshape(x, (math.prod(shape[:-1]), shape[-1]))
    y = x @ w
    y += b  # y is new, so this may write in place

    def dense_backward(dy: Array, need_dx: bool = True) -> tuple[Any, Array, Array]:
        # forward was y = x w + b, so dL/dw = xᵀ dL/dy. Rows share w and b, so their parts add up.
        if len(shape) > 2:
            dy = xp.reshape(dy, (x.shape[0], n_out))
        dx = dy @ xp.matrix_transpose(w) if need_dx else None
        if need_dx and len(shape) > 2:
            dx = xp.reshape(dx, shape)
        return dx, xp.matrix_transpose(x) @ dy, sum_of_rows(dy)

    return xp.reshape(y, (*shape[:-1], n_out)) if len(shape) > 2 else y, dense_backward


@dataclass(frozen=True)
class Dense(Layer):
    """The layer of `dense`: parameters {"weight": (n_in, units), "bias": (units,)}; n_in is inferred.

    units : outputs, at least 1. It maps the last axis of (N, …, n_in); put Flatten() before it to map all axes.
    weight_initializer, bias_initializer : functions of (rng, shape), see `arraynn.initializers`.
    weight_regularizer, bias_regularizer : L1, L2, L1L2 or None; the penalty is computed once per step.
    """

    units: int
    _: KW_ONLY
    weight_initializer: initializers.Initializer = initializers.glorot_uniform
    bias_initializer: initializers.Initializer = initializers.zeros
    weight_regularizer: Any = None
    bias_regularizer: Any = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if len(args) > 1:  # the book's order of arguments, or Keras's activation
            if isinstance(args[1], str) or callable(args[1]):
                raise TypeError(
                    f"Dense takes units only; an activation is a layer of its own: Dense({args[0]}), ReLU()"
                )
            raise TypeError(f"Dense takes units only; n_in is inferred: Dense({args[1]})")
        return super().__new__(cls, *args, **kwargs)

    def __post_init__(self) -> None:
        check_rules(self)
        at_least_one("units", self.units)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        if not input_shape:
            raise ShapeError(f"expected input (N, …, n_in), got (N,){NO_AXIS}")
        weight = drawn("weight_initializer", self.weight_initializer, rng, (input_shape[-1], self.units))
        bias = drawn("bias_initializer", self.bias_initializer, rng, (self.units,))
        return {"weight": weight.astype(dtype), "bias": bias.astype(dtype)}, (*input_shape[:-1], self.units)

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Any, Backward]:
        y, dense_backward = dense(x, params["weight"], params["bias"])

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Any, Nest]:
            dx, dw, db = dense_backward(dy, need_dx)
            return dx, {"weight": dw, "bias": db}

        return y, layer_backward

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        return penalty_of(params, {"weight": self.weight_regularizer, "bias": self.bias_regularizer})
