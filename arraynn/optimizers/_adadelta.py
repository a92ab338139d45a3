"""Adadelta."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace, zeros_as
from .._types import Array
from ..schedules import Schedule
from ._base import Optimizer


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Adadelta: s = ρ s + (1 - ρ) g²; Δ = √(u + ε) / √(s + ε) g; u = ρ u + (1 - ρ) Δ²; w = w - lr Δ.

    u is the average of Δ² before this step: the step has the unit of w, for any unit of the loss.
    learning_rate : number or schedule; 1 is the paper, which has none, and PyTorch; Keras takes 0.001.
    rho : ρ in [0, 1), 0.9 as in PyTorch; 0.95 in Keras and the paper's experiments.
    epsilon : ε > 0, inside both roots, where it also starts u; 1e-6 as in the paper and PyTorch, Keras takes 1e-7.

    Zeiler, arXiv 1212.5701, Algorithm 1.
    """

    learning_rate: float | Schedule = 1.0
    rho: float = 0.9
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rho < 1:
            raise ValueError(f"rho must lie in [0, 1), got {self.rho!r}")

    def init_one(self, p: Array) -> dict[str, Array]:
        return {"s": zeros_as(p), "u": zeros_as(p)}  # moving averages of g² and Δ²

    def shown(
        self, step: int, g: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        numbers, kept = super().shown(step, g, before, after)
        sqrt = namespace(g).sqrt
        delta = sqrt(before["u"] + self.epsilon) / sqrt(after["s"] + self.epsilon) * g
        return numbers, {"s before": before["s"], "s after": after["s"], "u before": before["u"], "Δ": delta} | kept

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        sqrt = namespace(p).sqrt
        s, u = slots["s"], slots["u"]
        s *= self.rho
        s += (1 - self.rho) * g * g
        delta = sqrt(u + self.epsilon)
        delta /= sqrt(s + self.epsilon)
        delta *= g
        u *= self.rho
        u += (1 - self.rho) * delta * delta
        p -= c["lr"] * delta
        return p, {"s": s, "u": u}
