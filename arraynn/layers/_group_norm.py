"""Group normalization."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .. import initializers
from .._array import namespace
from .._ranges import above_zero, at_least_one
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ._base import Layer
from ._shapes import check_vectors


def group_norm(x: Array, scale: Array, bias: Array, groups: int, epsilon: float = 1e-5, /) -> tuple[Array, Backward]:
    """Group normalization, y = scale x̂ + bias with x̂ = (x - mean) / √(variance + ε), over groups of channels.

    x : (N, C) or (N, …, C), channels last, its squares finite. Mean and variance are those of C / groups neighbouring
        channels of one row, at all its positions. scale, bias : (C,).
    groups : at least 1, a divisor of C. 1 normalizes a whole row, C each channel of it (instance normalization).
    epsilon : ε > 0, under the root; 1e-5 as in PyTorch, Keras takes 1e-3, Flax 1e-6.
    Returns y, shaped as x, and backward(dy, need_dx=True) -> dx = (g - mean(g) - x̂ mean(g x̂)) / √(variance + ε) with
    g = dy scale and means over the group, dscale = Σ dy x̂, dbias = Σ dy; dx is None where it is not needed.
    Raises ShapeError where the shapes do not fit, ValueError for hyperparameters out of range.

    The variance is the population's. Rows are independent, so training and inference are the same.

    Wu and He, ECCV 2018, equations 1, 2 and 7.

    >>> import numpy as np
    >>> y, backward = group_norm(np.asarray([[1.0, 3.0, 5.0, 5.0]]), np.ones(4), np.zeros(4), 2, 1e-12)
    >>> np.round(y, 6)
    array([[-1.,  1.,  0.,  0.]])
    """
    check_vectors(math.prod(scale.shape), scale=scale, bias=bias)
    groups = at_least_one("groups", groups)
    channels = check_groups(tuple(x.shape[1:]), groups, scale.shape[0])
    xp, epsilon = namespace(x), above_zero("epsilon", epsilon)
    shape, axes = tuple(x.shape), tuple(range(len(x.shape) - 1))
    grouped = (shape[0], math.prod(shape[1:-1]), groups, channels // groups)

    def mean(a: Array) -> Array:
        return xp.mean(a, axis=(1, 3), keepdims=True)

    normal = xp.reshape(x, grouped)
    normal = normal - mean(normal)
    deviation = xp.sqrt(mean(normal * normal) + epsilon)
    normal /= deviation  # now x̂
    flat = xp.reshape(normal, shape)

    def group_norm_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Array, Array]:
        # y = scale x̂ + bias, the same scale and bias for all rows and positions, so their parts add up
        dscale, dbias = xp.sum(dy * flat, axis=axes), xp.sum(dy, axis=axes)
        if not need_dx:
            return None, dscale, dbias
        # as in layer_norm, within each group: the mean takes mean(g) away, the deviation x̂ mean(g x̂)
        dx = xp.reshape(dy * scale, grouped)
        along = mean(dx * normal)
        dx = dx - mean(dx)
        dx -= normal * along
        dx /= deviation
        return xp.reshape(dx, shape), dscale, dbias

    y = flat * scale
    y += bias
    return y, group_norm_backward


def check_groups(shape: Shape, groups: int, channels: int | None = None) -> int:
    """The channels of rows of this shape; ShapeError where they are others, or the groups do not divide them."""
    if not shape or channels not in (None, shape[-1]):
        raise ShapeError(f"expected input (N, …, {'C' if channels is None else channels}), got {row_shape(shape)}")
    if shape[-1] % groups:
        raise ShapeError(
            f"groups must divide the channels, got {groups} groups of {shape[-1]} channels, the last "
            f"axis of the input {row_shape(shape)}"
        )
    return shape[-1]


@dataclass(frozen=True)
class GroupNorm(Layer):
    """The layer of `group_norm`: parameters {"scale": (C,), all 1, "bias": (C,), all 0}; C is inferred.

    groups : at least 1, a divisor of C; the paper's and PyTorch's examples take 32. epsilon : ε > 0, finite.
    """

    groups: int
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        at_least_one("groups", self.groups)
        above_zero("epsilon", self.epsilon)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        channels = (check_groups(tuple(input_shape), self.groups),)
        return {
            "scale": initializers.constant(1.0)(rng, channels).astype(dtype),
            "bias": initializers.zeros(rng, channels).astype(dtype),
        }, tuple(input_shape)

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Array, Backward]:
        y, group_norm_backward = group_norm(x, params["scale"], params["bias"], self.groups, self.epsilon)

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Nest]:
            dx, dscale, dbias = group_norm_backward(dy, need_dx)
            return dx, {"scale": dscale, "bias": dbias}

        return y, layer_backward
