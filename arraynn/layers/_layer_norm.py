"""Layer normalization."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .. import initializers
from .._array import namespace
from .._ranges import above_zero
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ._base import Layer
from ._shapes import NO_AXIS, check_vectors


def layer_norm(x: Array, scale: Array, bias: Array, epsilon: float = 1e-5, /) -> tuple[Any, Backward]:
    """Layer normalization over the last axis, y = scale x̂ + bias with x̂ = (x - mean) / √(variance + ε).

    x : (N, …, D), its squares finite; mean and variance are each row's own, over its D numbers. scale, bias : (D,).
    epsilon : ε > 0, under the root; 1e-5 as in PyTorch, Keras takes 1e-3, JAX's libraries 1e-6.
    Returns y, shaped as x, and backward(dy, need_dx=True) -> dx = (g - mean(g) - x̂ mean(g x̂)) / √(variance + ε) with
    g = dy scale, dscale = Σ dy x̂, dbias = Σ dy; dx is None where it is not needed.
    Raises ShapeError where the shapes do not fit, ValueError for an epsilon out of range.

    The variance is the population's, a mean of D squares. A row of equal numbers has x̂ = 0.
    Rows are independent, so training and inference are the same, and a batch may be split.

    Ba, Kiros and Hinton, arXiv 1607.06450, equation 3.

    >>> import numpy as np
    >>> y, backward = layer_norm(np.asarray([[1.0, 3.0]]), np.ones(2), np.zeros(2), 3.0)
    >>> y, backward(np.asarray([[1.0, 0.0]]), need_dx=False)
    (array([[-0.5,  0.5]]), (None, array([-0.5,  0. ]), array([1., 0.])))
    """
    if len(x.shape) < 2 or tuple(x.shape[-1:]) != tuple(scale.shape):
        check_vectors(math.prod(scale.shape), scale=scale)
        raise ShapeError(f"expected input (N, …, {scale.shape[0]}), got {row_shape(x.shape[1:])}")
    check_vectors(scale.shape[0], bias=bias)
    xp, epsilon = namespace(x), above_zero("epsilon", epsilon)
    axes = tuple(range(len(x.shape) - 1))
    normal = x - xp.mean(x, axis=-1, keepdims=True)
    normal -= xp.mean(normal, axis=-1, keepdims=True)  # the rounding error of the mean
    deviation = xp.sqrt(xp.mean(normal * normal, axis=-1, keepdims=True) + epsilon)
    normal /= deviation  # now x̂

    def layer_norm_backward(dy: Array, need_dx: bool = True) -> tuple[Any, Array, Array]:
        # y = scale x̂ + bias, the same scale and bias for all rows, so their parts add up
        part = dy * normal
        dscale, dbias = xp.sum(part, axis=axes), xp.sum(dy, axis=axes)
        if not need_dx:
            return None, dscale, dbias
        # With g = dL/dx̂ = dy scale: x̂ = (x - mean) / deviation depends on x in three ways. The mean takes mean(g)
        # away; the deviation, whose slope by x_k is x̂_k / D, takes x̂ mean(g x̂) away; the rest is divided by deviation.
        dx = dy * scale
        along = xp.mean(part * scale, axis=-1, keepdims=True)
        dx -= xp.mean(dx, axis=-1, keepdims=True)
        dx -= normal * along
        dx /= deviation
        return dx, dscale, dbias

    y = normal * scale
    y += bias
    return y, layer_norm_backward


@dataclass(frozen=True)
class LayerNorm(Layer):
    """The layer of `layer_norm`: parameters {"scale": (D,), all 1, "bias": (D,), all 0}; D is inferred.

    epsilon : ε > 0, finite. PyTorch calls the parameters weight and bias, Keras gamma and beta.
    """

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        above_zero("epsilon", self.epsilon)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        if not input_shape:
            raise ShapeError(f"expected input (N, …, D), got (N,){NO_AXIS}")
        return {
            "scale": initializers.constant(1.0)(rng, input_shape[-1:]).astype(dtype),
            "bias": initializers.zeros(rng, input_shape[-1:]).astype(dtype),
        }, tuple(input_shape)

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Any, Backward]:
        y, layer_norm_backward = layer_norm(x, params["scale"], params["bias"], self.epsilon)

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Any, Nest]:
            dx, dscale, dbias = layer_norm_backward(dy, need_dx)
            return dx, {"scale": dscale, "bias": dbias}

        return y, layer_backward
