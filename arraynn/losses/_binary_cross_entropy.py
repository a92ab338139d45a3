"""Binary cross-entropy on probabilities, for networks that end in a sigmoid layer, as the book's do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, row_means
from .._types import Array, Backward
from ._clip import clipped
from .binary import BinaryLoss
from .reduction import binary_pair, spread, weighted_mean


def binary_cross_entropy(
    probabilities: Array, targets: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Binary cross-entropy, loss = -Σ_i w_i mean_j(t log p + (1 - t) log(1 - p)) / total, in nats.

    probabilities : float array (N,) or (N, D), each in [0, 1]. targets : the same shape, 0 or 1, or probabilities.
    sample_weight, total : as in `sigmoid_cross_entropy`.
    Returns the loss, 0-d, a mean over the D outputs too, and
    backward(dloss=1.0) -> dprobabilities = ((1 - t) / (1 - p) - t / p) / D · w_i / total · dloss.
    Raises ShapeError where shapes differ.

    Probabilities are clipped to [1e-7, 1 - 1e-7] first, as in the book; where that changed one, its gradient is 0. In a
    dtype that cannot hold 1 - 1e-7 the margin is half its epsilon: 4.9e-4 in float16, 3.9e-3 in bfloat16. (PyTorch
    clips the logarithms at -100 instead.)

    Bishop, Pattern Recognition and Machine Learning, 2006, equation 4.90.

    >>> import numpy as np
    >>> loss, backward = binary_cross_entropy(np.asarray([0.5, 0.75]), np.asarray([1.0, 1.0]))
    >>> round(float(loss), 6), backward()
    (0.490415, array([-1.        , -0.66666667]))
    """
    xp = namespace(probabilities)
    probabilities, t = binary_pair(probabilities, targets, sample_weight)
    p, clip_backward = clipped(probabilities)
    values = -(t * xp.log(p) + (1 - t) * xp.log1p(-p))
    loss, mean_backward = weighted_mean(row_means(values), sample_weight, total)

    def binary_cross_entropy_backward(dloss: Any = 1.0) -> Any:
        # d log(p)/dp = 1 / p, d log(1 - p)/dp = -1 / (1 - p)
        return clip_backward(((1 - t) / (1 - p) - t / p) * spread(mean_backward(dloss), p))

    return loss, binary_cross_entropy_backward


@dataclass(frozen=True)
class BinaryCrossEntropy(BinaryLoss):
    """The loss of `binary_cross_entropy`: probabilities in, 0 or 1 as targets, no link needed."""

    outputs: ClassVar[str] = "probabilities"
    threshold: ClassVar[float] = 0.5

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return binary_cross_entropy(outputs, targets, sample_weight=sample_weight, total=total)

    def probabilities(self, outputs: Array) -> Any:
        return outputs
