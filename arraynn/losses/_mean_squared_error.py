"""Mean squared error, the usual loss of regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import metrics
from .._array import row_means, same_shape
from .._types import Array, Backward
from ._base import Loss
from .reduction import counted, spread, weighted_mean


def mean_squared_error(
    outputs: Array, targets: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Mean squared error, loss = Σ_i w_i mean_j((ŷ_ij - y_ij)²) / total, in squared units of y.

    outputs : float array (N,) or (N, D). targets : the same shape and dtype.
    sample_weight : (N,), at least 0, or None for ones. total : what to divide by; None is Σ w_i; where 0, all is 0.
    Returns the loss, 0-d, a mean over the D outputs too, and
    backward(dloss=1.0) -> doutputs = 2 (ŷ - y) / D · w_i / total · dloss.
    Raises ShapeError where shapes differ: (N, 1) against (N,) would broadcast to N × N.
    Not halved: scikit-learn's networks take ½ of it.

    Legendre, Nouvelles méthodes pour la détermination des orbites des comètes, 1805: least squares.

    >>> import numpy as np
    >>> loss, backward = mean_squared_error(np.asarray([[1.0], [4.0]]), np.asarray([[1.0], [2.0]]))
    >>> float(loss), backward()
    (2.0, array([[0.],
           [2.]]))
    """
    same_shape("targets", targets, "outputs", outputs)
    error = counted(outputs - targets, sample_weight)
    loss, mean_backward = weighted_mean(row_means(error * error), sample_weight, total)

    def mean_squared_error_backward(dloss: Any = 1.0) -> Any:
        # d(ŷ - y)²/dŷ = 2 (ŷ - y)
        return error * (2 * spread(mean_backward(dloss), error))

    return loss, mean_squared_error_backward


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """The loss of `mean_squared_error`: values in, values as targets."""

    metric: ClassVar[Any] = metrics.r2

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return mean_squared_error(outputs, targets, sample_weight=sample_weight, total=total)
