"""Central differences, and how accurate they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Outputs = list[np.ndarray]


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of differences in a dtype. steps : relative to the size of the varied element, largest first."""

    epsilon: float
    rtol: float
    steps: tuple[float, ...]


ACCURACY = {
    "float64": Accuracy(2.0**-52, 1e-6, (1e-3, 1e-4, 1e-5, 1e-6)),
    "float32": Accuracy(2.0**-23, 2e-3, (5e-2, 1.2e-2, 3e-3)),  # with smaller steps, rounding errors dominate
}


@dataclass(frozen=True)
class Verdict:
    """The result for one element: got, the gradient of backward, and expected, that of differences."""

    index: tuple[int, ...]
    value: float
    got: float
    expected: float
    right: bool
    kink: tuple[float, float] | None = None  #: the slopes from the left and from the right, if they differ


def judge(
    outputs_at: Callable[[float], tuple[float, Outputs]],
    cotangents: Outputs,
    base: Outputs,
    index: tuple[int, ...],
    value: float,
    scale: float,
    got: float,
    accuracy: Accuracy,
    rounding: float = 0.0,
) -> Verdict:
    """Decide whether `got` is the slope of Σ c y at `value`, the element at `index`.

    outputs_at(t) : (the element's value after it was moved by t and rounded, the outputs there). base : the outputs
    without a move. rounding : slopes no larger than this count as 0.
    """

    def sides(h: float) -> tuple[float, float, float, float]:
        """(the central slope, the left slope, the right slope, the size of the terms that change)."""
        (high, above), (low, below) = outputs_at(h), outputs_at(-h)
        size = right = left = 0.0
        for c, y, up, down in zip(cotangents, base, above, below, strict=True):
            moved = (up != y) | (down != y)  # up == down at the kink of |x|, where both have moved
            size += float(np.sum(np.abs(c * up)[moved]))
            # subtract before summing, so that terms that do not change add no rounding error
            right += float(np.sum((c * (up - y))[moved]))
            left += float(np.sum((c * (y - down))[moved]))
        return (right + left) / (high - low), left / (value - low), right / (high - value), size

    jumps: list[float] = []
    slope, noise, one_sided = np.nan, 0.0, (np.nan, np.nan)
    for step in accuracy.steps:
        h = step * scale
        first, *one_sided_first, size = sides(h)
        second, *one_sided_second, _ = sides(h / 2)
        # A central difference has the error a h² + O(h⁴). Halving h quarters its distance from the derivative g:
        # second - g = (first - g) / 4, up to rounding. Solved for g, this is Richardson's extrapolation:
        slope = (4 * second - first) / 3
        noise = 30 * accuracy.epsilon * size / h
        if abs(slope - got) <= accuracy.rtol * max(abs(slope), abs(got)) + noise + rounding:
            return Verdict(index, value, got, slope, True)
        jumps.append(abs(one_sided_first[1] - one_sided_first[0]))
        one_sided = (one_sided_second[0], one_sided_second[1])
    # The one-sided slopes differ by h f'' where f is smooth, and at a kink by an amount that does not shrink with h.
    least, largest = accuracy.steps[-1], accuracy.steps[0]
    kink = jumps[-1] > 4 * noise and jumps[-1] > jumps[0] * (least / largest) ** 0.5
    return Verdict(index, value, got, slope, False, one_sided if kink else None)


def wrong_or_kinked(verdicts: list[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """(the elements whose gradient is wrong, the elements at a kink, where differences decide nothing)."""
    wrong = [v for v in verdicts if not v.right and v.kink is None]
    return wrong, [v for v in verdicts if v.kink is not None]


def hint(verdicts: list[Verdict], shape: tuple[int, ...], rows: int, accuracy: Accuracy) -> str:
    """A hint at the likely mistake behind a wrong gradient, or ""."""
    close = max(1e-3, 10 * accuracy.rtol)
    judged = [v for v in verdicts if v.kink is None]
    got, expected = (np.asarray([getattr(v, name) for v in judged]) for name in ("got", "expected"))
    if not np.all(np.isfinite(got)):
        return "it is not finite"
    size = float(np.max(np.abs(expected)))
    significant = np.abs(expected) > close * size
    if not np.any(got):
        return "it is zero: is a term missing?"
    if size <= 1e-6 * float(np.max(np.abs(got))):
        return "it should be zero: forward does not depend on this argument"
    if np.max(np.abs(got[~significant]), initial=0.0) <= 2 * close * np.max(np.abs(got)):
        ratios = got[significant] / expected[significant]
        ratio = float(np.median(ratios))
        if np.all(np.abs(ratios - ratio) <= close * abs(ratio)):
            return _factor(ratio, rows, close)
        if len(judged) > 1 and np.all(np.abs(np.abs(ratios) - 1) <= close):
            return "some elements have the opposite sign"
    right = np.asarray([v.right for v in judged])
    either = (np.abs(got) <= 1e-6 * size) != (np.abs(expected) <= 1e-6 * size)
    if np.any(right) and np.all(right | either):
        return "each element is right or zero: is a mask made from the wrong array?"
    if len(shape) == 2 and shape[0] == shape[1] > 1 and len(judged) == shape[0] ** 2:
        square = np.reshape(expected, shape)
        if np.allclose(np.reshape(got, shape), square.T, rtol=close, atol=1e-3 * close * size):
            return "it is the transpose"
    return ""


def _factor(ratio: float, rows: int, close: float) -> str:
    if abs(ratio + 1) < close:
        return "it has the opposite sign"
    message = f"it is off by a constant factor {round(ratio, 6 if close < 0.01 else 2):g}"
    if rows > 1 and abs(ratio - rows) < close * rows:
        return f"{message}, the number of rows: is it a sum instead of a mean?"
    if rows > 1 and abs(ratio * rows - 1) < close:
        return f"{message}, 1 / the number of rows: is it a mean instead of a sum?"
    return message


def elements(size: int, limit: int, rng: Any) -> np.ndarray:
    """The flat indices of the elements to check: all, or `limit` of them drawn at random."""
    return np.arange(size) if size <= limit else np.sort(rng.choice(size, limit, replace=False))
