"""Convolution over any number of spatial axes, which `conv1d` and `conv2d` name."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

from .. import initializers
from .._array import namespace, sum_of_rows
from .._contract_of_rules import drawn
from .._ranges import at_least_one
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..backends import Windows, for_type
from ..errors import ShapeError
from ..regularizers import penalty_of
from ._base import Layer
from ._shapes import check_rules, check_vectors
from ._window import Padding, check_padding, check_rank, sizes, warn_of_channels_first, windows_over

KERNEL = {1: "k", 2: "kh, kw"}


def convolve(
    x: Array, w: Array, b: Array, rank: int, /, strides: Any, padding: Padding, dilation: Any, groups: int
) -> tuple[Array, Backward]:
    """y and backward(dy, need_dx=True) -> dx, dw, db, as in `conv2d`, for `rank` spatial axes.

    A window's C k numbers are a row of a matrix, its patches, and the filters are the columns of another, so a
    convolution is a product of the two. The patches have each element of x up to k times: they are made for some rows
    of the batch at a time (`Backend.patch_numbers`), and once more for the backward.
    """
    if len(w.shape) != rank + 2:
        raise ShapeError(f"w must be ({KERNEL[rank]}, C / groups, filters), got {tuple(w.shape)}")
    *size, channels, filters = w.shape
    groups = at_least_one("groups", groups)
    if filters % groups:
        raise ShapeError(f"groups must divide the {filters} filters of w, got {groups}")
    if tuple(b.shape) == (w.shape[0],) != (filters,):
        raise ShapeError(
            f"w must be ({KERNEL[rank]}, C / groups, filters) and b (filters,), got {tuple(w.shape)} and "
            f"{tuple(b.shape)}; w looks like PyTorch's, whose filters come first: permute_dims(w, "
            f"{(*range(2, rank + 2), 1, 0)}) turns it"
        )
    check_vectors(filters, b=b)
    check_rank(tuple(x.shape[1:]), rank, channels * groups)
    xp, engine = namespace(x), for_type(type(x))
    windows = windows_over(tuple(x.shape[1:]), tuple(size), strides, padding, dilation)
    count, out, rows = windows.count, windows.out, x.shape[0]
    at_once = max(engine.patch_numbers // max(math.prod(out) * count * channels * groups, 1), 1)
    blocks = [slice(i, min(i + at_once, rows)) for i in range(0, max(rows, 1), at_once)]

    # Each group of channels has its own filters, and its own product: the groups are the first axis of all matrices.
    def by_group(a: Array, *shape: int) -> Array:  # (M, g, c) to (g, M, c), the last axis in the middle as `shape`
        return xp.permute_dims(xp.reshape(a, (a.shape[0], *shape)), (1, 0, 2))

    def patches(part: slice) -> Array:  # (g, M, k c)
        p = engine.patches(engine.pad(x[part, ...], windows), windows)
        if groups == 1:
            return xp.reshape(p, (1, *p.shape))
        p = xp.permute_dims(xp.reshape(p, (p.shape[0], count, groups, channels)), (2, 0, 1, 3))
        return xp.reshape(p, (groups, p.shape[1], count * channels))

    def windows_of(a: Array) -> Array:  # (n, *out, filters) to (g, M, filters / g)
        return by_group(xp.reshape(a, (math.prod(a.shape[:-1]), filters)), groups, filters // groups)

    matrix = by_group(xp.reshape(w, (count * channels, filters)), groups, filters // groups)
    parts = [xp.permute_dims(patches(part) @ matrix, (1, 0, 2)) for part in blocks]
    y = xp.reshape(parts[0] if len(parts) == 1 else xp.concat(parts, axis=0), (rows, *out, filters))
    del parts  # so that nothing but y refers to its memory
    y += b  # y is new, so this may write in place

    def convolve_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Array, Array]:
        # forward was y = P w + b with P the patches, so dL/dw = Pᵀ dL/dy, and dL/dP = dL/dy wᵀ. An element of x is in
        # P as often as windows look at it, so its gradients there add up: `fold` is the adjoint of the patches.
        dw, dx = xp.zeros_like(matrix), []
        for part in blocks:
            own = windows_of(dy[part, ...])
            dw += xp.matrix_transpose(patches(part)) @ own
            if need_dx:
                dp = own @ xp.matrix_transpose(matrix)
                dp = xp.permute_dims(xp.reshape(dp, (groups, own.shape[1], count, channels)), (1, 2, 0, 3))
                shape = (part.stop - part.start, *out, count, groups * channels)
                dx.append(engine.fold(xp.reshape(dp, shape), windows))
        dw = xp.reshape(xp.permute_dims(dw, (1, 0, 2)), w.shape)
        db = sum_of_rows(xp.reshape(dy, (math.prod(dy.shape[:-1]), filters)))
        return (xp.concat(dx, axis=0) if len(dx) > 1 else dx[0]) if need_dx else None, dw, db

    return y, convolve_backward


@dataclass(frozen=True)
class Convolution(Layer):
    """The layer of a convolution over `rank` spatial axes: parameters {"weight": (*kernel_size, C / groups, filters),
    "bias": (filters,)}; C is inferred."""

    filters: int
    kernel_size: int | tuple[int, ...]
    _: KW_ONLY
    strides: int | tuple[int, ...] = 1
    padding: Padding = "valid"
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    weight_initializer: initializers.Initializer = initializers.glorot_uniform
    bias_initializer: initializers.Initializer = initializers.zeros
    weight_regularizer: Any = None
    bias_regularizer: Any = None

    rank: ClassVar[int]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if len(args) > 2:  # Keras's activation, or PyTorch's order of arguments
            name, wrong = cls.__name__, args[2]
            if isinstance(wrong, str) or callable(wrong):
                raise TypeError(
                    f"{name} takes filters and kernel_size; an activation is a layer of its own: "
                    f"{name}({args[0]}, {args[1]}), ReLU()"
                )
            raise TypeError(
                f"{name} takes filters and kernel_size, all else by name; the channels of the input are inferred: "
                f"{name}({args[1]}, {wrong})"
            )
        return super().__new__(cls, *args, **kwargs)

    def __post_init__(self) -> None:
        check_rules(self)
        for name in ("filters", "groups"):
            at_least_one(name, getattr(self, name))
        for name in ("kernel_size", "strides", "dilation"):
            sizes(name, getattr(self, name), self.rank)
        check_padding(self.padding, self.rank)
        if self.filters % self.groups:
            raise ValueError(f"groups must divide the filters, got {self.groups} groups of {self.filters} filters")

    def windows(self, input_shape: Shape) -> Windows:
        """The windows over rows of this shape."""
        check_rank(tuple(input_shape), self.rank)
        if input_shape[-1] % self.groups:
            raise ShapeError(
                f"groups must divide the channels, got {self.groups} groups of {input_shape[-1]} channels, the last "
                f"axis of the input {row_shape(input_shape)}"
            )
        return windows_over(tuple(input_shape), self.kernel_size, self.strides, self.padding, self.dilation)

    def shapes(self, input_shape: Shape) -> tuple[dict[str, Shape], Shape]:
        """The shapes of the weights, by their names, and of an output row, for rows of this shape."""
        windows = self.windows(input_shape)
        weight = (*windows.size, input_shape[-1] // self.groups, self.filters)
        return {"weight": weight, "bias": (self.filters,)}, (*windows.out, self.filters)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        shapes, output_shape = self.shapes(input_shape)
        warn_of_channels_first(tuple(input_shape), self.kernel_size)
        weight = drawn("weight_initializer", self.weight_initializer, rng, shapes["weight"])
        bias = drawn("bias_initializer", self.bias_initializer, rng, shapes["bias"])
        return {"weight": weight.astype(dtype), "bias": bias.astype(dtype)}, output_shape

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Array, Backward]:
        y, convolve_backward = convolve(
            x, params["weight"], params["bias"], self.rank, self.strides, self.padding, self.dilation, self.groups
        )

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Nest]:
            dx, dw, db = convolve_backward(dy, need_dx)
            return dx, {"weight": dw, "bias": db}

        return y, layer_backward

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        return penalty_of(params, {"weight": self.weight_regularizer, "bias": self.bias_regularizer})
