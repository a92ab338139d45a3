"""Shared code of pooling layers: their windows and hyperparameters."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from .._text import row_shape
from .._types import Nest, Shape
from ..backends import Windows
from ..errors import ShapeError
from ._base import Activation
from ._window import Padding, check_padding, check_rank, sizes, warn_of_channels_first, windows_over


def pool_windows(shape: Shape, size: Any, strides: Any, padding: Padding, rank: int) -> Windows:
    """The windows of a pooling over rows of this shape; strides None are the window's size.

    ShapeError where a window would hold padding and nothing else.
    """
    check_rank(tuple(shape), rank)
    windows = windows_over(tuple(shape), size, size if strides is None else strides, padding)
    if any(n >= k for k, pads in zip(windows.size, windows.pads, strict=True) for n in pads):
        raise ShapeError(
            f"padding must be less than the window, which is {windows.size}, got {windows.pads}; what is padded never "
            f"counts, so such a window could hold nothing"
        )
    return windows


def pooled_shape(shape: Shape) -> Shape:
    """(C,) for rows of the shape (…, C)."""
    if len(shape) < 2 or 0 in shape[:-1]:
        raise ShapeError(
            f"expected input (N, …, C), such as (N, H, W, C) or (N, T, C), with at least one place for each channel, "
            f"got {row_shape(shape)}; it goes before Flatten, and makes it needless"
        )
    return shape[-1:]


@dataclass(frozen=True)
class Pooling(Activation):
    """The layer of a pooling over `rank` spatial axes.

    pool_size : of a window, a number or one for each axis, at least 1. strides : from one window to the next; None
    takes pool_size, so that windows lie side by side. padding : as in the block.
    """

    pool_size: int | tuple[int, ...] = 2
    _: KW_ONLY
    strides: int | tuple[int, ...] | None = None
    padding: Padding = "valid"

    rank: ClassVar[int]

    def __post_init__(self) -> None:
        sizes("pool_size", self.pool_size, self.rank)
        if self.strides is not None:
            sizes("strides", self.strides, self.rank)
        check_padding(self.padding, self.rank)

    def windows(self, input_shape: Shape) -> Windows:
        """The windows over rows of this shape."""
        return pool_windows(tuple(input_shape), self.pool_size, self.strides, self.padding, self.rank)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        output_shape = (*self.windows(input_shape).out, input_shape[-1])
        warn_of_channels_first(tuple(input_shape), self.pool_size)
        return {}, output_shape
