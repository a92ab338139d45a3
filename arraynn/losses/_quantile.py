"""Quantile (pinball) loss, for regression of a quantile instead of the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import metrics
from .._array import namespace, row_means, same_shape, zero_like
from .._ranges import ABOVE_ZERO, BELOW_ONE, within
from .._types import Array, Backward
from ._base import Loss
from .reduction import counted, spread, weighted_mean


def quantile(
    outputs: Array, targets: Array, /, *, q: float = 0.5, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Quantile (pinball) loss, loss = Σ_i w_i mean_j(q max(e_ij, 0) + (1 - q) max(-e_ij, 0)) / total with e = y - ŷ.

    outputs, targets, sample_weight, total : as in `mean_squared_error`.
    q : in (0, 1). The loss is least where a share q of the targets lies below the output; at 0.5, the median, it is
        half of `mean_absolute_error`.
    Returns the loss, 0-d, a mean over the D outputs too, and backward(dloss=1.0) -> doutputs, (1 - q) where the
    output is too large, -q where it is too small, / D · w_i / total · dloss. Where ŷ = y, at the kink, it is 0.
    Raises ShapeError where shapes differ, ValueError for a q out of range.

    Koenker and Bassett, Econometrica 46, 1978.

    >>> import numpy as np
    >>> loss, backward = quantile(np.asarray([1.0, 4.0, 5.0]), np.asarray([3.0, 2.0, 5.0]), q=0.75, total=1)
    >>> float(loss), backward()
    (2.0, array([-0.75,  0.25,  0.  ]))
    """
    same_shape("targets", targets, "outputs", outputs)
    xp, q = namespace(outputs), checked_q(q)
    error = counted(targets - outputs, sample_weight)
    zero = zero_like(error)
    values = q * xp.maximum(error, zero) - (1 - q) * xp.minimum(error, zero)
    loss, mean_backward = weighted_mean(row_means(values), sample_weight, total)

    def quantile_backward(dloss: Any = 1.0) -> Any:
        # e = y - ŷ falls as ŷ grows: the slope by ŷ is -q where e > 0, and 1 - q where e < 0
        above, below = xp.astype(error < 0, error.dtype), xp.astype(error > 0, error.dtype)
        return ((1 - q) * above - q * below) * spread(mean_backward(dloss), error)

    return loss, quantile_backward


def checked_q(q: Any) -> Any:
    """The quantile q, in (0, 1); at 0 and at 1 the loss has no finite minimum."""
    return within("q", q, ABOVE_ZERO, BELOW_ONE, "is the share of targets below the output and must lie in (0, 1)")


@dataclass(frozen=True)
class Quantile(Loss):
    """The loss of `quantile`: values in, values as targets. q : in (0, 1)."""

    q: float = 0.5
    metric: ClassVar[Any] = metrics.r2

    def __post_init__(self) -> None:
        checked_q(self.q)

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return quantile(outputs, targets, q=self.q, sample_weight=sample_weight, total=total)
