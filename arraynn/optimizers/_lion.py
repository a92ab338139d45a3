"""Lion, which uses signs only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace, zeros_as
from .._types import Array
from ..schedules import Schedule
from ._base import Optimizer


@dataclass(frozen=True)
class Lion(Optimizer):
    """Lion: w = (1 - lr λ) w - lr sign(β1 m + (1 - β1) g), then m = β2 m + (1 - β2) g. Half of Adam's state.

    learning_rate : number or schedule; as every weight moves by all of it, 3 to 10 times less than Adam's.
    beta1, beta2 : in [0, 1), of the step and of the average kept. weight_decay : λ, at least 0, as in `AdamW`.
    Where β1 m + (1 - β1) g is 0, the sign is 0, and w only decays.

    Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, Algorithm 2.
    """

    learning_rate: float | Schedule = 0.0001
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)!r}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be a finite number of at least 0, got {self.weight_decay!r}")

    def scalars(self, step: int) -> dict[str, float]:
        lr = super().scalars(step)["lr"]
        return {"lr": lr, "shrink": 1 - lr * self.weight_decay}

    def init_one(self, p: Array) -> dict[str, Array]:
        return {"m": zeros_as(p)}  # the moving average of g

    def shown(
        self, step: int, g: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        numbers = self.scalars(step)
        return {"lr": numbers["lr"], "1 - lr λ": numbers["shrink"]}, super().shown(step, g, before, after)[1]

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        m = slots["m"]
        p *= c["shrink"]
        p -= c["lr"] * namespace(p).sign(self.beta1 * m + (1 - self.beta1) * g)
        m *= self.beta2
        m += (1 - self.beta2) * g
        return p, {"m": m}
