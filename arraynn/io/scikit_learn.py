"""Optimizers with scikit-learn's conventions.

They are here, not in `arraynn.sklearn`, because saved models name them and must load without scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..optimizers import SGD, Adam, Optimizer


@dataclass(frozen=True)
class EpsilonHatAdam(Adam):
    """Adam with ε̂: w = w - lr √(1 - β2^t) / (1 - β1^t) m / (√v + ε̂), the form at the end of the paper's section 2."""

    def scalars(self, step: int) -> dict[str, float]:
        return {"lr": self.corrected(step)["lr"], "epsilon": self.epsilon / self.unit}


@dataclass(frozen=True)
class HeavySGD(SGD):
    """SGD whose momentum may be 1, so that the velocity does not decay. nesterov without momentum is plain descent."""

    def __post_init__(self) -> None:
        Optimizer.__post_init__(self)
