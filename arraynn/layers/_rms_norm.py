"""Normalization by the root mean square."""

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


def rms_norm(x: Array, scale: Array, epsilon: float = 1e-6, /) -> tuple[Array, Backward]:
    """Root mean square normalization over the last axis, y = scale x̂ with x̂ = x / √(mean(x²) + ε).

    x : (N, …, D), its squares finite; the mean is each row's own, over its D numbers. scale : (D,).
    epsilon : ε > 0, under the root; 1e-6 as in Keras and Flax, PyTorch takes that of the dtype by default.
    Returns y, shaped as x, and backward(dy, need_dx=True) -> dx = (g - x̂ mean(g x̂)) / √(mean(x²) + ε), g = dy scale,
    and dscale = Σ dy x̂; dx is None where it is not needed.
    Raises ShapeError where the shapes do not fit, ValueError for an epsilon out of range.

    It is `layer_norm` without the mean and the bias. A row of zeros stays zero.

    Zhang and Sennrich, NeurIPS 2019, equation 4.

    >>> import numpy as np
    >>> y, backward = rms_norm(np.asarray([[3.0, 1.0, 1.0, 1.0]]), np.ones(4), 1.0)
    >>> y, backward(np.asarray([[1.0, 0.0, 0.0, 0.0]]))[1]
    (array([[1.5, 0.5, 0.5, 0.5]]), array([1.5, 0. , 0. , 0. ]))
    """
    if len(x.shape) < 2 or tuple(x.shape[-1:]) != tuple(scale.shape):
        check_vectors(math.prod(scale.shape), scale=scale)
        raise ShapeError(f"expected input (N, …, {scale.shape[0]}), got {row_shape(x.shape[1:])}")
    xp, epsilon = namespace(x), above_zero("epsilon", epsilon)
    size = xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + epsilon)
    normal = x / size

    def rms_norm_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Array]:
        part = dy * normal
        dscale = xp.sum(part, axis=tuple(range(len(x.shape) - 1)))  # the same scale for all rows, so their parts add up
        if not need_dx:
            return None, dscale
        # With g = dL/dx̂ = dy scale: x̂ = x / size depends on x_k directly, and through size, whose slope by x_k is
        # x̂_k / D. So the component of g along x̂ is subtracted, and the rest is divided by size.
        dx = dy * scale
        dx -= normal * xp.mean(part * scale, axis=-1, keepdims=True)
        dx /= size
        return dx, dscale

    return normal * scale, rms_norm_backward


@dataclass(frozen=True)
class RMSNorm(Layer):
    """The layer of `rms_norm`: parameters {"scale": (D,), all 1}; D is inferred.

    epsilon : ε > 0, finite. PyTorch calls the parameter weight.
    """

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        above_zero("epsilon", self.epsilon)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        if not input_shape:
            raise ShapeError(f"expected input (N, …, D), got (N,){NO_AXIS}")
        return {"scale": initializers.constant(1.0)(rng, input_shape[-1:]).astype(dtype)}, tuple(input_shape)

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Array, Backward]:
        y, rms_norm_backward = rms_norm(x, params["scale"], self.epsilon)

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Nest]:
            dx, dscale = rms_norm_backward(dy, need_dx)
            return dx, {"scale": dscale}

        return y, layer_backward
