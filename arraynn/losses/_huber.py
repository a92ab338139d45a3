"""Huber loss: squared near the target, linear far from it, for regression with outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import metrics
from .._array import device, namespace, row_means, same_shape
from .._ranges import above_zero
from .._types import Array, Backward
from ._base import Loss
from .reduction import counted, spread, weighted_mean


def huber(
    outputs: Array, targets: Array, /, *, delta: float = 1.0, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Huber loss, loss = Σ_i w_i mean_j(h(ŷ_ij - y_ij)) / total with h(e) = e²/2 where |e| <= δ, else δ (|e| - δ/2).

    outputs : float array (N,) or (N, D). targets : the same shape and dtype.
    delta : δ > 0, finite, in units of y: where the square becomes a straight line.
    sample_weight : (N,), at least 0, or None for ones. total : what to divide by; None is Σ w_i; where 0, all is 0.
    Returns the loss, 0-d, a mean over the D outputs too, and
    backward(dloss=1.0) -> doutputs = min(max(ŷ - y, -δ), δ) / D · w_i / total · dloss.
    Raises ShapeError where shapes differ: (N, 1) against (N,) would broadcast to N × N. ValueError for a delta out of
    range.
    There is no kink: at |e| = δ both pieces have slope δ. PyTorch's smooth L1 is this, divided by δ.

    Huber, Annals of Mathematical Statistics 35, 1964.

    >>> import numpy as np
    >>> loss, backward = huber(np.asarray([1.0, 5.0]), np.asarray([0.5, 2.0]))
    >>> float(loss), backward()
    (1.3125, array([0.25, 0.5 ]))
    """
    same_shape("targets", targets, "outputs", outputs)
    xp, delta = namespace(outputs), above_zero("delta", delta)
    error = counted(outputs - targets, sample_weight)
    size = xp.abs(error)
    limit = xp.asarray(delta, dtype=error.dtype, device=device(error))
    near = xp.minimum(size, limit)
    # near (|e| - near/2) is e²/2 where near is |e|, and δ (|e| - δ/2) where it is δ; no large number is squared
    loss, mean_backward = weighted_mean(row_means(near * (size - near / 2)), sample_weight, total)

    def huber_backward(dloss: Any = 1.0) -> Any:
        # d(e²/2)/dŷ = e, and d(δ |e|)/dŷ = δ sign(e): e, cut off at ±δ
        return xp.sign(error) * near * spread(mean_backward(dloss), error)

    return loss, huber_backward


@dataclass(frozen=True)
class Huber(Loss):
    """The loss of `huber`: values in, values as targets. delta : δ > 0, finite, in units of the targets."""

    delta: float = 1.0
    metric: ClassVar[Any] = metrics.r2

    def __post_init__(self) -> None:
        above_zero("delta", self.delta)

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return huber(outputs, targets, delta=self.delta, sample_weight=sample_weight, total=total)
