"""Mean absolute error, for regression with outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import metrics
from .._array import namespace, row_means, same_shape
from .._types import Array, Backward
from ._base import Loss
from .reduction import counted, spread, weighted_mean


def mean_absolute_error(
    outputs: Array, targets: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Mean absolute error, loss = Σ_i w_i mean_j(|ŷ_ij - y_ij|) / total, in units of y.

    outputs, targets, sample_weight, total : as in `mean_squared_error`.
    Returns the loss, 0-d, a mean over the D outputs too, and
    backward(dloss=1.0) -> doutputs = sign(ŷ - y) / D · w_i / total · dloss (the book's code has the opposite sign).
    Where ŷ = y, at the kink, the slope is 0.
    Raises ShapeError where shapes differ.

    Boscovich, 1757, and Laplace after him: least absolute deviations (Stigler, The History of Statistics, 1986).

    >>> import numpy as np
    >>> loss, backward = mean_absolute_error(np.asarray([1.0, 4.0]), np.asarray([1.0, 2.0]))
    >>> float(loss), backward()
    (1.0, array([0. , 0.5]))
    """
    same_shape("targets", targets, "outputs", outputs)
    xp = namespace(outputs)
    error = counted(outputs - targets, sample_weight)
    loss, mean_backward = weighted_mean(row_means(xp.abs(error)), sample_weight, total)

    def mean_absolute_error_backward(dloss: Any = 1.0) -> Any:
        # d|ŷ - y|/dŷ = sign(ŷ - y): more output, more error, where the output is too large already
        return xp.sign(error) * spread(mean_backward(dloss), error)

    return loss, mean_absolute_error_backward


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """The loss of `mean_absolute_error`: values in, values as targets."""

    metric: ClassVar[Any] = metrics.r2

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return mean_absolute_error(outputs, targets, sample_weight=sample_weight, total=total)
