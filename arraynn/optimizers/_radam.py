"""RAdam: Adam with a rectified variance in its first steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array
from ._moments import Moments


@dataclass(frozen=True)
class RAdam(Moments):
    """Rectified Adam: m = β1 m + (1 - β1) g; v = β2 v + (1 - β2) g²; w = w - lr r m̂ √(1 - β2^t) / (√v + ε) where
    ρ_t > 5, else w = w - lr m̂; with m̂ = m / (1 - β1^t), ρ = 2 / (1 - β2) - 1, ρ_t = ρ - 2 t β2^t / (1 - β2^t), and
    r² = (ρ_t - 4) (ρ_t - 2) ρ / ((ρ - 4) (ρ - 2) ρ_t), t counting updates from 1.

    ρ_t measures how many gradients v contains; r grows from 0 towards 1.
    learning_rate : number or schedule. beta1, beta2 : in [0, 1). epsilon : ε > 0, beside √v before its correction.

    Liu, Jiang, He, Chen, Liu, Gao and Han, ICLR 2020, Algorithm 2. The paper has no ε and asks for ρ_t > 4; ε and 5 are
    as in its authors' code and PyTorch. (`Adam` here has ε beside √v̂.)
    """

    def _seen(self, t: int) -> tuple[float, float, float | None]:
        """ρ, ρ_t, and r², None where ρ_t is not above 5."""
        most = 2 / (1 - self.beta2) - 1
        seen = most - 2 * t * self.beta2**t / (1 - self.beta2**t)
        if seen <= 5:
            return most, seen, None
        return most, seen, (seen - 4) * (seen - 2) * most / ((most - 4) * (most - 2) * seen)

    def scalars(self, step: int) -> dict[str, float]:
        t = step + 1  # the paper counts from 1
        lr = super().scalars(step)["lr"] * (1 - self.beta1) / (1 - self.beta1**t)
        rectified = self._seen(t)[2]
        if rectified is None:
            return {"plain": lr, "adaptive": 0.0, "epsilon": self.epsilon / self.unit}
        adaptive = float(lr * (rectified * (1 - self.beta2**t)) ** 0.5) / self.unit
        return {"plain": 0.0, "adaptive": adaptive, "epsilon": self.epsilon / self.unit}

    def shown(
        self, step: int, g: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        numbers, arrays = super().shown(step, g, before, after)
        del arrays["v̂"]  # the correction of v stands above the fraction
        most, seen, rectified = self._seen(int(numbers["t"]))
        numbers |= {"ρ": most, "ρ_t": seen}
        return numbers if rectified is None else numbers | {"r": rectified**0.5}, arrays

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        m, v = self.sums(slots, g)
        denominator = namespace(v).sqrt(v)
        denominator += c["epsilon"]
        # one of the two scalars is 0; the host decided which
        p -= (c["adaptive"] / denominator + c["plain"]) * m
        return p, {"m": m, "v": v}
