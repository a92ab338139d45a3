"""Focal loss: binary cross-entropy with less weight on easy rows, for rare classes such as objects in detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, row_means, zero_like
from .._ranges import at_least_zero, within
from .._types import Array, Backward
from ..layers import sigmoid
from ._domain import Domain
from .binary import BinaryLoss
from .reduction import binary_pair, spread, weighted_mean


def focal(
    logits: Array,
    targets: Array,
    /,
    *,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
    sample_weight: Array | None = None,
    total: Any = None,
) -> tuple[Any, Backward]:
    """Focal loss, loss = Σ_i w_i mean_j(-a (1 - p)^γ log p) / total, with p the probability of the right answer,
    σ(z) where t = 1 and σ(-z) where t = 0, and a = α where t = 1, 1 - α where t = 0.

    logits : float array (N,) or (N, D), any finite values. targets : the same shape, 0 or 1 and nothing between.
    gamma : γ >= 0, finite; how much less an easy answer counts. 0 leaves the cross-entropy.
    alpha : α in [0, 1], the weight of class 1, or None for a = 1. The paper's best pair is γ = 2, α = 0.25.
    sample_weight, total : as in `sigmoid_cross_entropy`. (The paper divides by the number of ones: pass it as total.)
    Returns the loss in nats, 0-d, a mean over the D outputs too, and backward(dloss=1.0) -> dlogits, which is
    -s a (1 - p)^γ (1 - p - γ p log p) / D · w_i / total · dloss, s = 1 where t = 1, else -1.
    Raises ShapeError where shapes differ, ValueError for hyperparameters out of range.

    Fused with the sigmoid: nothing overflows, and nothing is clipped.

    Lin, Goyal, Girshick, He and Dollár, ICCV 2017, equation 5; appendix B has the derivative.

    >>> import numpy as np
    >>> loss, backward = focal(np.asarray([0.0, 1000.0]), np.asarray([1.0, 1.0]), alpha=None)
    >>> round(float(loss), 6), backward()
    (0.086643, array([-0.1491434, -0.       ]))
    """
    xp = namespace(logits)
    logits, t = binary_pair(logits, targets, sample_weight)
    gamma, alpha = at_least_zero("gamma", gamma), checked_alpha(alpha)
    side = 1 - 2 * t  # -s
    u = side * logits  # how wrong: 1 - p = σ(u), p = σ(-u)
    miss, p = sigmoid(u)[0], sigmoid(-u)[0]
    entropy = xp.log1p(xp.exp(-xp.abs(u))) + xp.maximum(u, zero_like(u))  # -log p = log(1 + exp u)
    balance = 1.0 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
    weight = balance * miss**gamma
    loss, mean_backward = weighted_mean(row_means(weight * entropy), sample_weight, total)

    def focal_backward(dloss: Any = 1.0) -> Any:
        # by u: d(-log p) = σ(u) = 1 - p, and d(1 - p)^γ = γ (1 - p)^(γ-1) (1 - p) p = γ (1 - p)^γ p; and du/dz = -s
        return side * weight * (miss + gamma * p * entropy) * spread(mean_backward(dloss), logits)

    return loss, focal_backward


def checked_alpha(alpha: Any) -> Any:
    """The weight of class 1: in [0, 1], or None."""
    allowed = "is the weight of class 1 and must lie in [0, 1], or be None"
    return None if alpha is None else within("alpha", alpha, 0, 1, allowed)


@dataclass(frozen=True)
class Focal(BinaryLoss):
    """The loss of `focal`: logits in, 0 or 1 as targets, sigmoid as link. gamma >= 0; alpha in [0, 1] or None."""

    gamma: float = 2.0
    alpha: float | None = 0.25
    domain: ClassVar[Domain] = Domain(
        sets=((0, 1),), remedy="number the classes 0 and 1; nn.sigmoid_cross_entropy takes probabilities between, too"
    )
    threshold: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        at_least_zero("gamma", self.gamma)
        checked_alpha(self.alpha)

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return focal(outputs, targets, gamma=self.gamma, alpha=self.alpha, sample_weight=sample_weight, total=total)

    def probabilities(self, outputs: Array) -> Any:
        return sigmoid(outputs)[0]
