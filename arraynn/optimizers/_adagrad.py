"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace, zeros_as
from .._types import Array
from ..schedules import Schedule
from ._base import Optimizer


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Adagrad: s = s + g²; w = w - lr g / (√s + ε). Each weight's rate falls as its gradients add up.

    learning_rate : number or schedule. epsilon : ε > 0, outside the root; 1e-7 is the book's and Keras's, PyTorch
        takes 1e-10.

    Duchi, Hazan and Singer, JMLR 12, 2011, figure 1 (diagonal form), with ε in place of δ.
    """

    learning_rate: float | Schedule = 0.01
    epsilon: float = 1e-7

    def init_one(self, p: Array) -> dict[str, Array]:
        return {"s": zeros_as(p)}  # the sum of g²

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        s = slots["s"]
        s += g * g
        denominator = namespace(s).sqrt(s)
        denominator += self.epsilon
        p -= c["lr"] * g / denominator
        return p, {"s": s}
