"""Kullback-Leibler divergence of the softmax from a given distribution, as in distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace, zero_like
from .._types import Array, Backward
from ..layers import softmax
from ._base import ClassLoss
from .reduction import counted, target_distribution, weighted_mean


def kl_divergence(
    logits: Array, targets: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Kullback-Leibler divergence of softmax(logits) from t, loss = Σ_i w_i Σ_k t_ik (log t_ik - log p_ik) / total.

    logits : float array (N, K); any finite values, and -inf for a class that is impossible and has t = 0.
    targets : (N, K) distributions, rows that sum to 1 (0 log 0 is 0), or (N,) integers in [0, K).
    sample_weight, total : as in `softmax_cross_entropy`.
    Returns the loss in nats, 0-d, 0 where p = t, and
    backward(dloss=1.0) -> dlogits = (p_i - t_i) w_i / total · dloss.
    Raises ShapeError where shapes differ, DataError for float (N,) targets.

    It is the cross-entropy less the targets' own entropy, so both have the same gradient. It takes logits, fused with
    the softmax and exact for any; Keras takes probabilities. PyTorch takes log-probabilities and divides by N K,
    unless reduction="batchmean".

    Kullback and Leibler, Annals of Mathematical Statistics 22, 1951.

    >>> import numpy as np
    >>> loss, backward = kl_divergence(np.zeros((1, 2)), np.asarray([[0.25, 0.75]]))
    >>> round(float(loss), 6), backward()
    (0.130812, array([[ 0.25, -0.25]]))
    """
    xp = namespace(logits)
    target = target_distribution(targets, logits, sample_weight)
    logits = counted(logits, sample_weight)
    z = logits - xp.max(logits, axis=1, keepdims=True)  # changes nothing, but exp cannot overflow
    p = xp.exp(z)
    sums = xp.sum(p, axis=1, keepdims=True)
    p /= sums
    # where, not products alone: a target of 0 has a log of -inf, and its logit may be -inf
    held = target > 0
    entropy = -xp.sum(target * xp.log(xp.where(held, target, 1 + zero_like(target))), axis=1)
    hit = xp.sum(xp.where(held, z, zero_like(z)) * target, axis=1)
    rows = xp.log(sums[:, 0]) - hit - entropy
    loss, mean_backward = weighted_mean(rows, sample_weight, total)

    def kl_divergence_backward(dloss: Any = 1.0) -> Any:
        # -Σ t log p = log Σ exp z - Σ t z, so d/dz_k = p_k - t_k; the entropy of t does not depend on z
        share = mean_backward(dloss)
        return (p - target) * (share if sample_weight is None else share[:, None])

    return loss, kl_divergence_backward


@dataclass(frozen=True)
class KLDivergence(ClassLoss):
    """The loss of `kl_divergence`: logits in, distributions as targets, softmax as link."""

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return kl_divergence(outputs, targets, sample_weight=sample_weight, total=total)

    def probabilities(self, outputs: Array) -> Any:
        return softmax(outputs)[0]
