"""The margin loss of support vector machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, row_means, same_shape, zero_like
from .._types import Array, Backward
from ._domain import Domain
from .binary import BinaryLoss
from .reduction import counted, spread, weighted_mean


def hinge(
    outputs: Array, targets: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Hinge loss, loss = Σ_i w_i mean_j(max(1 - s_ij ŷ_ij, 0)) / total, with s = ±1 the side that is right.

    outputs : float array (N,) or (N, D), scores, any value. targets : the same shape, either 0 and 1 or -1 and 1; s is
        1 where they are above 0, else -1. `Model` refuses other numbers; here they are not checked.
    sample_weight, total : as in `sigmoid_cross_entropy`.
    Returns the loss, 0-d, a mean over the D outputs too, and
    backward(dloss=1.0) -> doutputs = -s / D · w_i / total · dloss where s ŷ < 1, else 0; so too at the kink s ŷ = 1.
    Raises ShapeError where shapes differ.

    With D outputs it is one class against the rest, D times, as scikit-learn's LinearSVC trains by default. Crammer
    and Singer's max(1 + max_k≠y ŷ_k - ŷ_y, 0) (Keras' categorical_hinge) and Weston and Watkins' sum over k (PyTorch's
    MultiMarginLoss) are others.

    Cortes and Vapnik, Machine Learning 20, 1995.

    >>> import numpy as np
    >>> loss, backward = hinge(np.asarray([0.5, -3.0]), np.asarray([1.0, 0.0]))
    >>> float(loss), backward()
    (0.25, array([-0.5,  0. ]))
    """
    same_shape("targets", targets, "outputs", outputs)
    xp, outputs = namespace(outputs), counted(outputs, sample_weight)
    side = 2 * xp.astype(targets > 0, outputs.dtype) - 1
    values = xp.maximum(1 - side * outputs, zero_like(outputs))
    loss, mean_backward = weighted_mean(row_means(values), sample_weight, total)

    def hinge_backward(dloss: Any = 1.0) -> Any:
        # d(1 - s ŷ)/dŷ = -s, as long as the margin is not reached
        return -side * xp.astype(values > 0, outputs.dtype) * spread(mean_backward(dloss), outputs)

    return loss, hinge_backward


@dataclass(frozen=True)
class Hinge(BinaryLoss):
    """The loss of `hinge`: scores in, 0 or 1 (or -1 and 1) as targets. Scores are no logits: no probabilities."""

    targets: ClassVar[str] = "values"  # as -1 is a target too
    domain: ClassVar[Domain] = Domain(
        sets=((0, 1), (-1, 1)), remedy="number the two classes 0 and 1, as by (y == y.max()).astype(int)"
    )
    outputs: ClassVar[str] = "scores"
    threshold: ClassVar[float] = 0.0

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return hinge(outputs, targets, sample_weight=sample_weight, total=total)
