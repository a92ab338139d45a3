"""RMSProp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace, zeros_as
from .._types import Array
from ..schedules import Schedule
from ._base import Optimizer


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp: s = ρ s + (1 - ρ) g²; w = w - lr g / (√s + ε).

    learning_rate : number or schedule. rho : ρ in [0, 1), how slowly s forgets; 0.9 is Hinton's, the book's and
        Keras's, PyTorch's alpha is 0.99. epsilon : ε > 0, outside the root; 1e-7 as in the book and Keras, PyTorch
        takes 1e-8.

    Tieleman and Hinton, Coursera lecture 6.5, 2012. Not centered, no momentum.
    """

    learning_rate: float | Schedule = 0.001
    rho: float = 0.9
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rho < 1:
            raise ValueError(f"rho must lie in [0, 1), got {self.rho!r}")

    def init_one(self, p: Array) -> dict[str, Array]:
        return {"s": zeros_as(p)}  # the moving average of g²

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        s = slots["s"]
        s *= self.rho
        s += (1 - self.rho) * g * g
        denominator = namespace(s).sqrt(s)
        denominator += self.epsilon
        p -= c["lr"] * g / denominator
        return p, {"s": s}
