"""Softmax and cross-entropy in one: the usual loss of a classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .. import metrics
from .._array import namespace, rows_of_places, shape_of, zero_like
from .._ranges import within
from .._types import Array, Backward
from ..errors import DataError, ShapeError
from ..layers import softmax
from ._base import ClassLoss
from .reduction import counted, target_distribution, weighted_mean


def softmax_cross_entropy(
    logits: Array,
    labels: Array,
    /,
    *,
    label_smoothing: float = 0.0,
    ignore_label: int | None = None,
    sample_weight: Array | None = None,
    total: Any = None,
) -> tuple[Any, Backward]:
    """Cross-entropy of softmax(logits), loss = Σ_i w_i (log Σ_k exp(z_ik) - Σ_k t_ik z_ik) / total, in nats.

    logits : float array (N, K); any finite values, and -inf for a class that is impossible and not the target. Of
        sequences (N, T, K), or (N, …, K), each position is a row.
    labels : (N,) integers in [0, K), or (N, K) distributions, floats that sum to 1; of sequences (N, T), or (N, T, K).
    label_smoothing : ε in [0, 1]; t becomes (1 - ε) t + ε / K, so that logits need not grow without limit
        (Szegedy et al., CVPR 2016, section 7). Every class is then a target, so no logit may be -inf.
    ignore_label : integer labels of this value (PyTorch has -100) have no loss, no gradient, and do not count in total.
    sample_weight : (N,), at least 0, or None for ones; of sequences also (N, T), a weight for each position, where (N,)
        weighs all positions of a row alike. total : the divisor; None is Σ w over all positions. A caller that splits
        a batch passes the whole batch's total, so that the parts add. Where total is 0, loss and gradient are 0.
    Returns the loss, 0-d, and backward(dloss=1.0) -> dlogits = (softmax(z_i) - t_i) w_i / total · dloss.
    Raises ShapeError where shapes differ, ValueError for a label_smoothing out of range, DataError for float (N,)
    labels, for (N, K) ones that are integers or come with an ignore_label, and for NumPy's labels outside [0, K).
    On other libraries reading them waits for the device: `Model` checks them once, and `nn.check_labels(labels, K)`
    checks them in other code; unchecked, such a row has no target.
    A row that does not count, by ignore_label or weight 0, may hold anything, nan and inf too, here as in every loss.

    Nothing is clipped: log-sum-exp is exact for any logits (the book clips probabilities to [1e-7, 1 - 1e-7]).

    Bridle, in Neurocomputing: Algorithms, Architectures and Applications, 1990.

    >>> import numpy as np
    >>> loss, backward = softmax_cross_entropy(np.zeros((1, 4)), np.asarray([2]))
    >>> round(float(loss), 6), backward()
    (1.386294, array([[ 0.25,  0.25, -0.75,  0.25]]))
    >>> softmax_cross_entropy(np.zeros((2, 4)), np.asarray([2, -1]), ignore_label=-1)[1]()
    array([[ 0.25,  0.25, -0.75,  0.25],
           [ 0.  ,  0.  ,  0.  ,  0.  ]])
    """
    xp, shape, label_smoothing = namespace(logits), tuple(logits.shape), checked_smoothing(label_smoothing)
    if len(shape) > 2:
        logits, labels, sample_weight = _places(logits, labels, sample_weight)
    if len(shape_of("targets", labels)) == 2 and labels.shape == logits.shape and xp.isdtype(labels.dtype, "integral"):
        raise DataError(f"distributions (N, K) must be floats, got {labels.dtype}; integers are one class a row, (N,)")
    target = target_distribution(labels, logits, sample_weight, ignore_label)
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing / max(logits.shape[1], 1)
    if ignore_label is not None:
        # a row that does not count is a row of weight 0
        counts = xp.astype(_counted(labels, ignore_label), logits.dtype)
        sample_weight = counts if sample_weight is None else counts * xp.astype(sample_weight, logits.dtype)
    logits = counted(logits, sample_weight)
    z = logits - xp.max(logits, axis=1, keepdims=True)  # changes nothing, but exp cannot overflow
    p = xp.exp(z)
    sums = xp.sum(p, axis=1, keepdims=True)
    p /= sums
    # where, not the product alone: a target of 0 times a logit of -inf would be nan
    hit = xp.sum(xp.where(target > 0, z, zero_like(z)) * target, axis=1)
    rows = xp.log(sums[:, 0]) - hit
    loss, mean_backward = weighted_mean(rows, sample_weight, total)

    def softmax_cross_entropy_backward(dloss: Any = 1.0) -> Any:
        # d(log Σ exp z)/dz_k = p_k and d(Σ t z)/dz_k = t_k: the softmax's Jacobian has cancelled against the log
        share = mean_backward(dloss)
        dlogits = p - target
        dlogits *= share if sample_weight is None else share[:, None]
        return xp.reshape(dlogits, shape) if len(shape) > 2 else dlogits

    return loss, softmax_cross_entropy_backward


def checked_smoothing(label_smoothing: Any) -> Any:
    """The share of a target that is spread over all classes, in [0, 1]."""
    return within("label_smoothing", label_smoothing, 0, 1, "must lie in [0, 1]")


def _places(logits: Array, labels: Array, weight: Array | None) -> tuple[Array, Array, Array | None]:
    """Logits (N, …, K), labels and weights with one row per position: (M, K), (M,) or (M, K), (M,)."""
    shape = tuple(logits.shape)
    if tuple(labels.shape) not in (shape[:-1], shape):
        raise ShapeError(
            f"targets have shape {tuple(labels.shape)}, outputs {shape}; expected {shape[:-1]} integer classes or "
            f"{shape} distributions. One class a row takes outputs (N, K): put Flatten() before the last layer"
        )
    if weight is not None and tuple(weight.shape) not in (shape[:1], shape[:-1]):
        raise ShapeError(f"sample_weight must be {shape[:1]} or {shape[:-1]}, got {tuple(weight.shape)}")
    return rows_of_places(logits, labels, weight)


def _counted(labels: Array, ignore_label: int) -> Array:
    if not namespace(labels).isdtype(labels.dtype, "integral"):
        raise DataError(
            f"ignore_label takes integer labels, (N,) or (N, T), got {labels.dtype} of shape {tuple(labels.shape)}; "
            f"weigh rows by sample_weight"
        )
    return labels != ignore_label


@dataclass(frozen=True)
class SoftmaxCrossEntropy(ClassLoss):
    """The loss of `softmax_cross_entropy`: logits in, classes as targets, softmax as link.

    label_smoothing : in [0, 1]. ignore_label : an integer label whose rows do not count, or None.
    """

    label_smoothing: float = 0.0
    ignore_label: int | None = None

    def __post_init__(self) -> None:
        checked_smoothing(self.label_smoothing)

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return softmax_cross_entropy(
            outputs,
            targets,
            label_smoothing=self.label_smoothing,
            ignore_label=self.ignore_label,
            sample_weight=sample_weight,
            total=total,
        )

    @property
    def metric(self) -> metrics.Metric:
        """Accuracy, over the rows that count."""
        return metrics.Accuracy(ignore_label=self.ignore_label)

    def total(self, targets: Array, sample_weight: Array | None = None) -> Any:
        # integers are one class per position, (N,) or (N, T); distributions have one more axis
        xp, shape = namespace(targets), tuple(targets.shape)
        places = shape if xp.isdtype(targets.dtype, "integral") else shape[:-1]
        if sample_weight is not None and len(places) > len(sample_weight.shape):
            weights = xp.reshape(sample_weight, (*shape[:1], *[1] * (len(places) - 1)))
            sample_weight = xp.broadcast_to(weights, places)
        if self.ignore_label is None:
            return math.prod(places) if sample_weight is None else xp.sum(sample_weight)
        counts = _counted(targets, self.ignore_label)
        if sample_weight is None:
            # a float, as sums of losses are taken times it; any float dtype takes a float32
            return xp.astype(xp.sum(xp.astype(counts, targets.dtype)), xp.float32)
        return xp.sum(xp.astype(counts, sample_weight.dtype) * sample_weight)

    def probabilities(self, outputs: Array) -> Any:
        return softmax(outputs)[0]
