"""Shared code of convolutions and poolings: their hyperparameters, and errors that name shapes and remedy."""

from __future__ import annotations

from typing import Any

from .._text import row_shape
from .._types import Shape
from ..backends import Windows
from ..errors import ShapeError, warn_of_data

Padding = Any  #: "valid", "same", a number, or a pair (before, after) for each spatial axis
AXES = {1: "T", 2: "H, W"}
TURNED = "that looks like channels first, as PyTorch has them: put Permute({}) before it"


def sizes(name: str, value: Any, rank: int) -> tuple[int, ...]:
    """One positive integer for each spatial axis, from a number that holds for all, or from a tuple of them."""
    given = value if isinstance(value, tuple) else (value,) * rank
    if len(given) != rank or not all(type(n) is int and n >= 1 for n in given):
        raise ValueError(f"{name} must be an integer of at least 1, or a tuple of {rank}, got {value!r}")
    return given


def check_padding(padding: Padding, rank: int) -> Any:
    """padding as "valid", "same" or a tuple of pairs, one for each spatial axis; ValueError for others."""
    if isinstance(padding, str) and padding in ("valid", "same"):
        return padding
    given = ((padding, padding),) * rank if type(padding) is int else padding
    if isinstance(given, tuple) and len(given) == rank:
        found = [pair for pair in given if isinstance(pair, tuple) and len(pair) == 2]
        if len(found) == rank and all(type(n) is int and n >= 0 for pair in found for n in pair):
            return given
    pairs = ", ".join(["(before, after)"] * rank) + ("," if rank == 1 else "")
    raise ValueError(
        f"padding must be 'valid', 'same', an integer of at least 0, or ({pairs}) of such, got {padding!r}"
    )


def windows_over(shape: Shape, size: Any, strides: Any, padding: Padding, dilation: Any = 1) -> Windows:
    """The windows over rows of this shape, (*spatial, C). ShapeError where none fits."""
    spatial = tuple(shape[:-1])
    rank = len(spatial)
    size, strides, dilation = (
        sizes(name, value, rank)
        for name, value in (("the window's size", size), ("strides", strides), ("dilation", dilation))
    )
    padding = check_padding(padding, rank)
    if padding == "same":
        # as many windows as strides fit into x; an odd element of padding is at the end
        padding = tuple(
            (missing // 2, missing - missing // 2)
            for n, k, s, d in zip(spatial, size, strides, dilation, strict=True)
            for missing in [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)]
        )
    elif padding == "valid":
        padding = ((0, 0),) * rank
    windows = Windows(spatial, size, strides, dilation, padding)
    if any(span > n for span, n in zip(windows.span, windows.padded, strict=True)):
        spread = f" at dilation {dilation} spans {windows.span}, which" if max(dilation) > 1 else ""
        padded = f", padded to {windows.padded}" if windows.padding else ""
        remedy = "; take a smaller window, or padding='same'"
        if channels_first(shape):
            remedy = f"; {TURNED.format(turned(rank))}"
        raise ShapeError(f"a window of {size}{spread} is larger than the input {row_shape(shape)}{padded}{remedy}")
    return windows


def check_rank(shape: Shape, rank: int, channels: int | None = None) -> None:
    """ShapeError where rows of this shape are not (*spatial, C) with `rank` spatial axes and `channels` channels."""
    if len(shape) == rank + 1 and channels in (None, shape[-1]):
        return
    wanted = f"(N, {AXES[rank]}, {'C' if channels is None else channels})"
    remedy = ""
    if len(shape) == 1:
        remedy = f"; rows of numbers become images or sequences by Reshape(({AXES[rank]}, C)) before it"
    elif len(shape) == rank and channels == shape[-1]:
        remedy = "; a single one is a batch of one row, as by x[None, ...]"
    elif len(shape) == rank:
        remedy = f"; an image of one channel has an axis for it too, as by Reshape({(*shape, 1)})"
    elif len(shape) == rank + 1 and channels == shape[0]:
        remedy = f"; {TURNED.format(turned(rank))}"
    raise ShapeError(f"expected input {wanted}, channels last, got {row_shape(shape)}{remedy}")


def warn_of_channels_first(shape: Shape, size: Any) -> None:
    """DataWarning for images with 1, 3 or 4 rows and as many channels as columns, under a window of more than one
    row: they are valid, but are probably images whose channels come first."""
    rank = len(shape) - 1
    if rank == 2 and channels_first(shape) and shape[1] == shape[2] and sizes("the window's size", size, rank)[0] > 1:
        warn_of_data(
            f"input {row_shape(shape)} is taken as {shape[0]} rows, {shape[1]} columns and {shape[2]} channels, "
            f"channels last; {TURNED.format(turned(rank))}"
        )


def channels_first(shape: Shape) -> bool:
    """Whether rows of this shape look like images or series whose channels come first: few, before long axes."""
    return len(shape) > 1 and shape[0] in (1, 3, 4) and min(shape[1:]) > 4


def turned(rank: int) -> tuple[int, ...]:
    """The axes for `Permute` that put channels last."""
    return (*range(2, rank + 2), 1)
