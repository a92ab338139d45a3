"""Windows that slide over the spatial axes of an array: where they lie, and the portable way to read and add to them.

An array is (N, *spatial, C), channels last. These functions are the defaults of `Backend.pad`, `Backend.patches` and
`Backend.fold`, and the reference that every replacement is tested against.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from .._array import device, namespace


@dataclass(frozen=True)
class Windows:
    """Windows over spatial axes of the lengths `shape`, after `pads` elements more (before, after) on each axis.

    size : elements of a window on each axis. strides : from one window to the next. dilation : from one element of a
    window to the next; 1 takes neighbours.
    """

    shape: tuple[int, ...]
    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    @property
    def padded(self) -> tuple[int, ...]:
        """The lengths of the axes after padding."""
        return tuple(n + before + after for n, (before, after) in zip(self.shape, self.pads, strict=True))

    @property
    def span(self) -> tuple[int, ...]:
        """From the first to the last element of a window, both included."""
        return tuple((size - 1) * step + 1 for size, step in zip(self.size, self.dilation, strict=True))

    @property
    def out(self) -> tuple[int, ...]:
        """How many windows fit on each axis."""
        fits = zip(self.padded, self.span, self.strides, strict=True)
        return tuple((n - span) // stride + 1 for n, span, stride in fits)

    @property
    def count(self) -> int:
        """Elements of a window."""
        return math.prod(self.size)

    @property
    def padding(self) -> bool:
        """Whether anything is padded."""
        return any(map(any, self.pads))

    @property
    def offsets(self) -> list[tuple[slice, ...]]:
        """For each element of a window, in C order, the index of that element of all windows in the padded array."""
        steps = list(zip(self.out, self.strides, self.dilation, strict=True))
        return [
            (
                slice(None),
                *(
                    slice(i * step, i * step + (n - 1) * stride + 1, stride)
                    for i, (n, stride, step) in zip(places, steps, strict=True)
                ),
                slice(None),
            )
            for places in itertools.product(*map(range, self.size))
        ]

    @property
    def inside(self) -> tuple[slice, ...]:
        """The index of the array itself in the padded one."""
        own = (slice(before, before + n) for n, (before, _) in zip(self.shape, self.pads, strict=True))
        return (slice(None), *own, slice(None))


def pad(x: Any, windows: Windows, value: float) -> Any:
    """x with `value` around it, by `concat`."""
    xp = namespace(x)
    for axis, pads in enumerate(windows.pads, 1):
        parts = [x]
        for side, count in enumerate(pads):
            if count:
                shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
                border = xp.full(shape, value, dtype=x.dtype, device=device(x))
                parts.insert(len(parts) * side, border)
        x = xp.concat(parts, axis=axis) if len(parts) > 1 else x
    return x


def patches(x: Any, windows: Windows) -> Any:
    """The windows of a padded x as rows of a matrix, by slices and `stack`."""
    xp = namespace(x)
    parts = xp.stack([x[offset] for offset in windows.offsets], axis=-2)
    return xp.reshape(parts, (x.shape[0] * math.prod(windows.out), windows.count * x.shape[-1]))


def fold(dp: Any, windows: Windows) -> Any:
    """Each element's part of dp added to where it was read, by `stack` and `concat`."""
    total: Any = None
    for k, offset in enumerate(windows.offsets):
        part = dp[..., k, :]
        for axis, (places, n) in enumerate(zip(offset[1:-1], windows.padded, strict=True), 1):
            part = _spread(part, axis, places, n)
        total = part if total is None else total + part
    return total[windows.inside]


def fold_in_place(dp: Any, windows: Windows) -> Any:
    """`fold` by a library that can write to a slice of its arrays."""
    total = namespace(dp).zeros((dp.shape[0], *windows.padded, dp.shape[-1]), dtype=dp.dtype, device=device(dp))
    for k, offset in enumerate(windows.offsets):
        place = total[offset]
        place += dp[..., k, :]  # into total: what a slice gives is a view of it
    return total[windows.inside]


def _spread(part: Any, axis: int, places: slice, n: int) -> Any:
    """part, whose axis has one element for each of `places`, with an axis of n elements and zeros between them."""
    xp = namespace(part)

    def zeros(count: int) -> Any:
        shape = (*part.shape[:axis], count, *part.shape[axis + 1 :])
        return xp.zeros(shape, dtype=part.dtype, device=device(part))

    if places.step > 1:
        shape = part.shape
        spaced = xp.stack([part, *[xp.zeros_like(part)] * (places.step - 1)], axis=axis + 1)
        part = xp.reshape(spaced, (*shape[:axis], shape[axis] * places.step, *shape[axis + 1 :]))
        part = part[(*[slice(None)] * axis, slice(0, places.stop - places.start), ...)]
    around = [part for part in (zeros(places.start), part, zeros(n - places.stop)) if part.shape[axis]]
    return xp.concat(around, axis=axis) if len(around) > 1 else part
