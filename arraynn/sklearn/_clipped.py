"""scikit-learn's cross-entropies: the value uses clipped probabilities, the gradient does not.

The value takes log p of p clipped to [ε, 1 - ε], ε the dtype's machine epsilon, so that no row's loss is above -log ε,
36 in float64. The gradient is that of the loss without clipping (`exact`), as a clipped loss has gradient 0 where it is
worst. Loss curves and the stopping rule use the value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .._array import device, namespace, row_means
from .._types import Array
from ..layers import sigmoid, softmax
from ..losses import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from ..losses.reduction import binary_pair, counted, spread, target_distribution, weighted_mean
from ._conventions import Summed


@dataclass(frozen=True)
class ClippedSoftmaxCrossEntropy(SoftmaxCrossEntropy):
    """-Σ_i w_i log clip(p_it) / total, p = softmax(outputs), t the row's class.

    The gradient is that of SoftmaxCrossEntropy.
    """

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        t = target_distribution(targets, outputs, sample_weight)
        p = softmax(counted(outputs, sample_weight))[0]
        rows = -_log(namespace(p).sum(p * t, axis=1))
        value, mean_backward = weighted_mean(rows, sample_weight, total)

        def clipped_softmax_backward(dloss: Any = 1.0) -> Any:
            share = mean_backward(dloss)
            dlogits = p - t
            dlogits *= share if sample_weight is None else share[:, None]
            return dlogits

        return value, clipped_softmax_backward


@dataclass(frozen=True)
class ClippedSigmoidCrossEntropy(SigmoidCrossEntropy):
    """-Σ_i w_i mean_j(log clip(p_ij) where t_ij is 1, else log clip(1 - p_ij)) / total, p = sigmoid(outputs).

    The gradient is that of SigmoidCrossEntropy.
    """

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        outputs, t = binary_pair(outputs, targets, sample_weight)
        p = sigmoid(outputs)[0]
        values = -_log(t * p + (1 - t) * (1 - p))
        value, mean_backward = weighted_mean(row_means(values), sample_weight, total)

        def clipped_sigmoid_backward(dloss: Any = 1.0) -> Any:
            return (p - t) * spread(mean_backward(dloss), outputs)

        return value, clipped_sigmoid_backward


def _log(p: Array) -> Any:
    xp = namespace(p)
    margin = float(xp.finfo(p.dtype).eps)
    low, high = (xp.asarray(bound, dtype=p.dtype, device=device(p)) for bound in (margin, 1 - margin))
    return xp.log(xp.minimum(xp.maximum(p, low), high))


def exact(loss: Loss) -> Loss:
    """The loss whose value fits its gradient, as L-BFGS needs it. Most losses are returned unchanged."""
    if isinstance(loss, Summed):
        return replace(loss, loss=exact(loss.loss), mean=False)
    if isinstance(loss, ClippedSoftmaxCrossEntropy):
        return SoftmaxCrossEntropy()
    return SigmoidCrossEntropy() if isinstance(loss, ClippedSigmoidCrossEntropy) else loss
