"""Softmax and cross-entropy in one: the usual loss of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace, zero_like
from .._types import Array, Backward
from ..layers import softmax
from ._base import ClassLoss, target_distribution, weighted_mean


def softmax_cross_entropy(
    logits: Array, labels: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Array, Backward]:
    """Cross-entropy of softmax(logits), loss = Σ_i w_i (log Σ_k exp(z_ik) - Σ_k t_ik z_ik) / total, in nats.

    logits : float array (N, K); any finite values, and -inf for a class that is impossible and not the target.
    labels : (N,) integers in [0, K), or (N, K) distributions, rows that sum to 1.
    sample_weight : (N,), at least 0, or None for ones. total : what to divide by; None is Σ w_i. A caller that splits
        a batch passes the whole batch's total, so that the parts add. Where total is 0, loss and gradient are 0.
    Returns the loss, 0-d, and backward(dloss=1.0) -> dlogits = (softmax(z_i) - t_i) w_i / total · dloss.
    Raises ShapeError where shapes differ, DataError for float (N,) labels. Labels outside [0, K) could be seen only by
    reading the array, a trip to the device: `Model` looks for them once; here such a row is one without a target.

    Nothing is clipped: log-sum-exp is exact for any logits (the book clips probabilities to [1e-7, 1 - 1e-7]).

    >>> import numpy as np
    >>> loss, backward = softmax_cross_entropy(np.zeros((1, 4)), np.asarray([2]))
    >>> round(float(loss), 6), backward()
    (1.386294, array([[ 0.25,  0.25, -0.75,  0.25]]))
    """
    xp = namespace(logits)
    target = target_distribution(labels, logits)
    z = logits - xp.max(logits, axis=1, keepdims=True)  # changes nothing, but exp cannot overflow
    p = xp.exp(z)
    sums = xp.sum(p, axis=1, keepdims=True)
    p /= sums
    # where, not the product alone: a target of 0 times a logit of -inf would be nan
    hit = xp.sum(xp.where(target > 0, z, zero_like(z)) * target, axis=1)
    rows = xp.log(sums[:, 0]) - hit
    loss, mean_backward = weighted_mean(rows, sample_weight, total)

    def softmax_cross_entropy_backward(dloss: Any = 1.0) -> Array:
        # d(log Σ exp z)/dz_k = p_k and d(Σ t z)/dz_k = t_k: the softmax's Jacobian has cancelled against the log
        share = mean_backward(dloss)
        dlogits = p - target
        dlogits *= share if sample_weight is None else share[:, None]
        return dlogits

    return loss, softmax_cross_entropy_backward


@dataclass(frozen=True)
class SoftmaxCrossEntropy(ClassLoss):
    """The loss of `softmax_cross_entropy`: logits in, classes as targets, softmax as link."""

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return softmax_cross_entropy(outputs, targets, sample_weight=sample_weight, total=total)

    def probabilities(self, outputs: Array) -> Array:
        return softmax(outputs)[0]
