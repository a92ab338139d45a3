"""Poisson loss, the negative log-likelihood of counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, row_means, same_shape
from .._types import Array, Backward
from ._base import Loss
from ._domain import Domain
from .reduction import counted, spread, weighted_mean


def poisson(
    log_rates: Array, targets: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Poisson loss, loss = Σ_i w_i mean_j(exp(z_ij) - y_ij z_ij) / total: -log P(y) with rate exp(z), but for log y!.

    log_rates : float array (N,) or (N, D), z = log of the expected count, any value up to the logarithm of the dtype's
        largest number (88 in float32, 709 in float64): beyond it the loss itself is infinite. A z of -inf with y = 0
        is nan. targets : the same shape, counts or amounts of at least 0.
    sample_weight, total : as in `mean_squared_error`.
    Returns the loss in nats, 0-d, a mean over the D outputs too, and
    backward(dloss=1.0) -> dlog_rates = (exp(z) - y) / D · w_i / total · dloss.
    Raises ShapeError where shapes differ.

    log y! does not depend on the outputs and is left out, so the loss may be negative. Outputs are log rates, as in
    PyTorch by default, so any network may make them; Keras takes the rates themselves.

    Nelder and Wedderburn, Journal of the Royal Statistical Society A 135, 1972: the Poisson model with its log link.

    >>> import numpy as np
    >>> loss, backward = poisson(np.asarray([0.0, 0.0]), np.asarray([0.0, 3.0]))
    >>> float(loss), backward()
    (1.0, array([ 0.5, -1. ]))
    """
    same_shape("targets", targets, "outputs", log_rates)
    xp = namespace(log_rates)
    log_rates = counted(log_rates, sample_weight)
    y = counted(xp.astype(targets, log_rates.dtype, copy=False), sample_weight)
    rates = xp.exp(log_rates)
    loss, mean_backward = weighted_mean(row_means(rates - y * log_rates), sample_weight, total)

    def poisson_backward(dloss: Any = 1.0) -> Any:
        # d exp(z)/dz = exp(z), and d(y z)/dz = y
        return (rates - y) * spread(mean_backward(dloss), log_rates)

    return loss, poisson_backward


@dataclass(frozen=True)
class Poisson(Loss):
    """The loss of `poisson`: log rates in, counts as targets; the prediction is the rate, exp(outputs)."""

    domain: ClassVar[Domain] = Domain(low=0, remedy="counts or amounts; nn.mean_squared_error takes any numbers")
    outputs: ClassVar[str] = "log rates"

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return poisson(outputs, targets, sample_weight=sample_weight, total=total)

    def prediction(self, outputs: Array) -> Any:
        return namespace(outputs).exp(outputs)
