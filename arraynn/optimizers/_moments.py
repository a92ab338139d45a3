"""Shared code of Adam and its variants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import zeros_as
from .._types import Array
from ..schedules import Schedule
from ._base import Optimizer


@dataclass(frozen=True)
class Moments(Optimizer):
    """Moving averages of the gradient and of its square: m = β1 m + (1 - β1) g; v = β2 v + (1 - β2) g².

    The slots are the plain sums m / (1 - β1) = g + β1 (g before) + … and v / (1 - β2): the scalars contain the
    factors, which saves two passes over the arrays.
    learning_rate : number or schedule. beta1, beta2 : in [0, 1). epsilon : ε > 0, beside a root of v.
    """

    learning_rate: float | Schedule = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)!r}")
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"epsilon must be a finite number above 0, got {self.epsilon!r}")

    @property
    def unit(self) -> float:
        """√(1 - β2), the factor that √v of the sum lacks."""
        return float((1 - self.beta2) ** 0.5)

    def corrected(self, step: int) -> dict[str, float]:
        """lr and epsilon with which lr m / (√v + epsilon), of the sums, is the step by the corrected averages,
        lr m̂ / (√v̂ + ε), with m̂ = (1 - β1) m / (1 - β1^t) and v̂ = (1 - β2) v / (1 - β2^t). Both sides of the fraction
        are divided by the factor of √v, as at the end of Adam's paper's section 2, ε too."""
        t = step + 1  # the paper counts from 1
        root = float(((1 - self.beta2**t) / (1 - self.beta2)) ** 0.5)
        lr = super().scalars(step)["lr"] * (1 - self.beta1) / (1 - self.beta1**t)
        return {"lr": lr * root, "epsilon": self.epsilon * root}

    def init_one(self, p: Array) -> dict[str, Array]:
        return {"m": zeros_as(p), "v": zeros_as(p)}

    def shown(
        self, step: int, g: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        t = step + 1
        numbers = {
            "lr": super().scalars(step)["lr"],
            "t": t,
            "1 - β1^t": 1 - self.beta1**t,
            "1 - β2^t": 1 - self.beta2**t,
        }
        arrays = {}
        for name, beta, correction in (("m", self.beta1, "1 - β1^t"), ("v", self.beta2, "1 - β2^t")):
            arrays[f"{name} before"] = before[name] * (1 - beta)
            arrays[f"{name} after"] = after[name] * (1 - beta)
            arrays[f"{name}̂"] = arrays[f"{name} after"] / numbers[correction]
        return numbers, arrays

    def sums(self, slots: dict[str, Array], g: Array) -> tuple[Any, Array]:
        """m and v, without their factors, with g in them. Consumes the slots."""
        m, v = slots["m"], slots["v"]
        m *= self.beta1
        m += g
        v *= self.beta2
        v += g * g
        return m, v
