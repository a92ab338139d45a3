"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import zeros_as
from .._types import Array
from ..schedules import Schedule
from ._base import Optimizer


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent with momentum: v = μ v - lr g; w = w + v, or with nesterov w = w + μ v - lr g.

    Without momentum it is w = w - lr g, and no v is kept.
    learning_rate : number or schedule. momentum : μ in [0, 1). nesterov : the step looks ahead along the new v; needs
        momentum.

    As in the book and in scikit-learn, v contains the learning rate of each update. PyTorch multiplies v by the
    learning rate instead: both are equal while it is constant.

    Polyak, 1964; Sutskever, Martens, Dahl and Hinton, ICML 2013, equations 3 and 4.
    """

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), got {self.momentum!r}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov looks ahead along the momentum, so it needs momentum > 0, such as 0.9")

    def init_one(self, p: Array) -> dict[str, Array]:
        return {"v": zeros_as(p)} if self.momentum else {}

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        if not self.momentum:
            p -= c["lr"] * g
            return p, {}
        v = slots["v"]
        v *= self.momentum
        v -= c["lr"] * g
        p += self.momentum * v - c["lr"] * g if self.nesterov else v
        return p, {"v": v}
