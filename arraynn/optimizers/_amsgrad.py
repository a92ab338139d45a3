"""AMSGrad: Adam with the largest v so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace, zeros_as
from .._types import Array
from ._moments import Moments


@dataclass(frozen=True)
class AMSGrad(Moments):
    """AMSGrad: Adam that divides by the largest v so far: m = β1 m + (1 - β1) g; v = β2 v + (1 - β2) g²; u = max(u, v);
    w = w - lr m̂ / (√û + ε), with m̂ = m / (1 - β1^t) and û = u / (1 - β2^t), t counting updates from 1.

    learning_rate : number or schedule. beta1, beta2, epsilon : as in `Adam`.

    Reddi, Kale and Kumar, ICLR 2018, Algorithm 2, which has no bias correction; PyTorch and Keras have it, as here, on
    the largest v; Optax takes the largest v̂.
    """

    def scalars(self, step: int) -> dict[str, float]:
        return self.corrected(step)  # v's correction is u's

    def init_one(self, p: Array) -> dict[str, Array]:
        return {**super().init_one(p), "u": zeros_as(p)}  # the largest v so far

    def shown(
        self, step: int, g: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        numbers, arrays = super().shown(step, g, before, after)
        del arrays["v̂"]  # it divides by u
        own = {f"u {when}": slots["u"] * (1 - self.beta2) for when, slots in (("before", before), ("after", after))}
        return numbers, arrays | own | {"û": own["u after"] / numbers["1 - β2^t"]}

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        xp = namespace(p)
        m, v = self.sums(slots, g)
        u = xp.maximum(slots["u"], v)  # the standard cannot write a maximum in place
        denominator = xp.sqrt(u)
        denominator += c["epsilon"]
        p -= c["lr"] * m / denominator
        return p, {"m": m, "v": v, "u": u}
