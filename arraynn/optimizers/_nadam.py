"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array
from ..schedules import Schedule
from ._moments import Moments


@dataclass(frozen=True)
class NAdam(Moments):
    """Adam with Nesterov's momentum: m = β1 m + (1 - β1) g; v = β2 v + (1 - β2) g²; w = w - lr m̂ / (√v̂ + ε), with
    m̂ = μ_{t+1} m / (1 - Π_{i≤t+1} μ_i) + (1 - μ_t) g / (1 - Π_{i≤t} μ_i), v̂ = v / (1 - β2^t), and a momentum that
    warms up, μ_t = β1 (1 - 0.96^(ψ t) / 2), t counting from 1.

    learning_rate : number or schedule. beta1, beta2 : in [0, 1). epsilon : ε > 0, outside the root of v̂.
    momentum_decay : ψ, at least 0; 0.004 as in the paper, PyTorch and Keras. (Optax has μ = β1 throughout.)

    Dozat, ICLR workshop 2016, Algorithm 2, with the schedule of its technical report.
    """

    learning_rate: float | Schedule = 0.002
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum_decay < math.inf:
            raise ValueError(f"momentum_decay must be a finite number of at least 0, got {self.momentum_decay!r}")

    def _momentum(self, t: int) -> float:
        return float(self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay)))

    def _product(self, t: int) -> float:
        """Π_{i≤t} μ_i."""
        product = 1.0
        for i in range(1, t + 1):
            product *= self._momentum(i)
            if product < 1e-18:  # 1 - product is 1 from here on, so the cost does not grow with the length of a run
                break
        return product

    def scalars(self, step: int) -> dict[str, float]:
        t = step + 1  # the paper counts from 1
        product, now, after = self._product(t), self._momentum(t), self._momentum(t + 1)
        lr = super().scalars(step)["lr"]
        return {
            "ahead": lr * after * (1 - self.beta1) / (1 - product * after),
            "here": lr * (1 - now) / (1 - product),
            "root": float(((1 - self.beta2**t) / (1 - self.beta2)) ** 0.5),
        }

    def shown(
        self, step: int, g: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        numbers, arrays = super().shown(step, g, before, after)
        t = int(numbers["t"])
        now, ahead, product = self._momentum(t), self._momentum(t + 1), self._product(t)
        del numbers["1 - β1^t"]
        numbers |= {"μ_t": now, "μ_{t+1}": ahead, "Π_{i≤t} μ_i": product, "Π_{i≤t+1} μ_i": product * ahead}
        arrays["m̂"] = arrays["m after"] * (ahead / (1 - product * ahead)) + g * ((1 - now) / (1 - product))
        return numbers, arrays

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        m, v = self.sums(slots, g)
        denominator = namespace(v).sqrt(v)
        denominator /= c["root"]  # now sqrt(v_hat)
        denominator += self.epsilon
        p -= (c["ahead"] * m + c["here"] * g) / denominator
        return p, {"m": m, "v": v}
