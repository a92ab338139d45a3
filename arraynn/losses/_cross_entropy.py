"""Cross-entropy on probabilities, for networks that end in a softmax layer, as the book's do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace
from .._types import Array, Backward
from ._base import ClassLoss
from ._clip import clipped
from .reduction import counted, target_distribution, weighted_mean


def cross_entropy(
    probabilities: Array, labels: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Categorical cross-entropy, loss = -Σ_i w_i Σ_k t_ik log(p_ik) / total, in nats.

    probabilities : float array (N, K), each in [0, 1]; they are not normalized.
    labels, sample_weight, total : as in `softmax_cross_entropy`.
    Returns the loss, 0-d, and backward(dloss=1.0) -> dprobabilities = -t / p · w / total · dloss.
    Raises ShapeError where shapes differ, DataError for float (N,) labels.

    Probabilities are clipped to [1e-7, 1 - 1e-7] first, as in the book; where that changed one, its gradient is 0,
    the derivative of the number reported (the book's backward divides by the unclipped value and may overflow). In
    float16 and bfloat16 the margin is larger, as in `binary_cross_entropy`.

    Bishop, Pattern Recognition and Machine Learning, 2006, equation 4.108.

    >>> import numpy as np
    >>> loss, backward = cross_entropy(np.asarray([[0.5, 0.25, 0.25]]), np.asarray([0]))
    >>> round(float(loss), 6), backward()
    (0.693147, array([[-2., -0., -0.]]))
    """
    xp = namespace(probabilities)
    target = target_distribution(labels, probabilities, sample_weight)
    probabilities = counted(probabilities, sample_weight)
    p, clip_backward = clipped(probabilities)
    rows = -xp.sum(target * xp.log(p), axis=1)
    loss, mean_backward = weighted_mean(rows, sample_weight, total)

    def cross_entropy_backward(dloss: Any = 1.0) -> Any:
        # d(-t log p)/dp = -t / p; the classes that are not the target add nothing
        share = mean_backward(dloss)
        return clip_backward(-target / p * (share if sample_weight is None else share[:, None]))

    return loss, cross_entropy_backward


@dataclass(frozen=True)
class CrossEntropy(ClassLoss):
    """The loss of `cross_entropy`: probabilities in, classes as targets, no link needed."""

    outputs: ClassVar[str] = "probabilities"

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return cross_entropy(outputs, targets, sample_weight=sample_weight, total=total)

    def probabilities(self, outputs: Array) -> Any:
        return outputs
