"""Sigmoid and binary cross-entropy in one: the usual loss of a binary classifier, or of several labels at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, row_means, zero_like
from .._types import Array, Backward
from ..layers import sigmoid
from .binary import BinaryLoss
from .reduction import binary_pair, spread, weighted_mean


def sigmoid_cross_entropy(
    logits: Array, targets: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Binary cross-entropy of sigmoid(logits), loss = Σ_i w_i mean_j(max(z, 0) - z t + log(1 + exp(-|z|))) / total.

    logits : float array (N,) or (N, D), any finite values. targets : the same shape, 0 or 1, or probabilities.
    sample_weight : (N,), at least 0, or None for ones. total : what to divide by; None is Σ w_i; where 0, all is 0.
    Returns the loss in nats, 0-d, a mean over the D outputs too, and
    backward(dloss=1.0) -> dlogits = (sigmoid(z) - t) / D · w_i / total · dloss.
    Raises ShapeError where shapes differ: (N, 1) against (N,) would broadcast to N × N.

    Nothing is clipped: this form of -t log σ(z) - (1 - t) log(1 - σ(z)) neither overflows nor loses digits.

    Bishop, Pattern Recognition and Machine Learning, 2006, equations 4.90 and 4.91.

    >>> import numpy as np
    >>> loss, backward = sigmoid_cross_entropy(np.asarray([0.0, 1000.0]), np.asarray([1.0, 1.0]))
    >>> round(float(loss), 6), backward()
    (0.346574, array([-0.25,  0.  ]))
    """
    xp = namespace(logits)
    logits, t = binary_pair(logits, targets, sample_weight)
    # log(1 + exp(-|z|)) and max(z, 0) make log(1 + exp(z)) without a large exponent
    values = xp.log1p(xp.exp(-xp.abs(logits))) + xp.maximum(logits, zero_like(logits)) - logits * t
    loss, mean_backward = weighted_mean(row_means(values), sample_weight, total)

    def sigmoid_cross_entropy_backward(dloss: Any = 1.0) -> Any:
        # d log(1 + exp z)/dz = σ(z), and d(z t)/dz = t
        return (sigmoid(logits)[0] - t) * spread(mean_backward(dloss), logits)

    return loss, sigmoid_cross_entropy_backward


@dataclass(frozen=True)
class SigmoidCrossEntropy(BinaryLoss):
    """The loss of `sigmoid_cross_entropy`: logits in, 0 or 1 as targets, sigmoid as link."""

    threshold: ClassVar[float] = 0.0

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return sigmoid_cross_entropy(outputs, targets, sample_weight=sample_weight, total=total)

    def probabilities(self, outputs: Array) -> Any:
        return sigmoid(outputs)[0]
