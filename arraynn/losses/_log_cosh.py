"""Log-cosh loss: a smooth loss like Huber's, without a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import metrics
from .._array import namespace, row_means, same_shape
from .._types import Array, Backward
from ._base import Loss
from .reduction import counted, spread, weighted_mean


def log_cosh(
    outputs: Array, targets: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Log-cosh loss, loss = Σ_i w_i mean_j(log cosh(ŷ_ij - y_ij)) / total: near e²/2, far |e| - log 2.

    outputs, targets, sample_weight, total : as in `mean_squared_error`. The formula is not scale-free: errors above
        about 1 count as large, so scale y accordingly.
    Returns the loss, 0-d, a mean over the D outputs too, and
    backward(dloss=1.0) -> doutputs = tanh(ŷ - y) / D · w_i / total · dloss.
    Raises ShapeError where shapes differ.
    No overflow for any error, and no cancellation for errors near 0 beyond ε |e|.

    Green, IEEE Transactions on Medical Imaging 9, 1990, as a potential; here as Keras's LogCosh.

    >>> import numpy as np
    >>> loss, backward = log_cosh(np.asarray([0.0, 1000.0]), np.asarray([0.0, 0.0]))
    >>> round(float(loss), 6), backward()
    (499.653426, array([0. , 0.5]))
    """
    same_shape("targets", targets, "outputs", outputs)
    xp = namespace(outputs)
    error = counted(outputs - targets, sample_weight)
    size = xp.abs(error)
    # cosh(e) = exp(|e|) (1 + exp(-2|e|)) / 2 = exp(|e|) (1 + expm1(-2|e|) / 2)
    values = size + xp.log1p(xp.expm1(-2 * size) / 2)
    loss, mean_backward = weighted_mean(row_means(values), sample_weight, total)

    def log_cosh_backward(dloss: Any = 1.0) -> Any:
        # d log(cosh e)/de = sinh(e) / cosh(e)
        return xp.tanh(error) * spread(mean_backward(dloss), error)

    return loss, log_cosh_backward


@dataclass(frozen=True)
class LogCosh(Loss):
    """The loss of `log_cosh`: values in, values as targets."""

    metric: ClassVar[Any] = metrics.r2

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return log_cosh(outputs, targets, sample_weight=sample_weight, total=total)
