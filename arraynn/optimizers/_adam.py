"""Adam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array
from ..schedules import Schedule
from ._base import Optimizer


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: m = β1 m + (1 - β1) g; v = β2 v + (1 - β2) g²; w = w - lr m̂ / (√v̂ + ε),
    with m̂ = m / (1 - β1^t) and v̂ = v / (1 - β2^t), t counting updates from 1.

    learning_rate : number or schedule. beta1, beta2 : in [0, 1). epsilon : ε > 0, outside the root of v̂, 1e-8 as in the
        paper and PyTorch (the book and Keras take 1e-7; scikit-learn adds it to √v, the paper's ε̂).

    Kingma and Ba, ICLR 2015, Algorithm 1; names and defaults as there.
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

    def scalars(self, step: int) -> dict[str, float]:
        t = step + 1  # the paper counts from 1
        lr = super().scalars(step)["lr"]
        return {"lr": lr / (1 - self.beta1**t), "root": float((1 - self.beta2**t) ** 0.5)}

    def init_one(self, p: Array) -> dict[str, Array]:
        zeros_like = namespace(p).zeros_like
        return {"m": zeros_like(p), "v": zeros_like(p)}  # moving averages of g and g²

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Array, Any]:
        m, v = slots["m"], slots["v"]
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        v += (1 - self.beta2) * g * g
        denominator = namespace(v).sqrt(v)
        denominator /= c["root"]  # now sqrt(v_hat)
        denominator += self.epsilon
        p -= c["lr"] * m / denominator
        return p, {"m": m, "v": v}
