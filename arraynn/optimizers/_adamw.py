"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array
from ._moments import Moments


@dataclass(frozen=True)
class AdamW(Moments):
    """AdamW: m = β1 m + (1 - β1) g; v = β2 v + (1 - β2) g²; w = (1 - lr λ) w - lr m̂ / (√v̂ + ε), with
    m̂ = m / (1 - β1^t) and v̂ = v / (1 - β2^t), t counting updates from 1.

    The step is Adam's, from the decayed weights. The decay does not enter m and v, where the division by √v̂ would undo
    it, as it does for an L2 penalty.

    learning_rate : number or schedule. weight_decay : λ, at least 0, of every parameter; exclude biases by `Groups`.
    beta1, beta2, epsilon : as in `Adam`.

    Loshchilov and Hutter, ICLR 2019, Algorithm 2. There λ is multiplied by the schedule but not by the learning rate;
    here, as in PyTorch and Optax, by both, so that λ = 0.01 stands for lr λ = 1e-5 at lr = 0.001.
    """

    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be a finite number of at least 0, got {self.weight_decay!r}")

    def scalars(self, step: int) -> dict[str, float]:
        return {**self.corrected(step), "shrink": 1 - super().scalars(step)["lr"] * self.weight_decay}

    def shown(
        self, step: int, g: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        numbers, arrays = super().shown(step, g, before, after)
        return numbers | {"1 - lr λ": 1 - numbers["lr"] * self.weight_decay}, arrays

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        m, v = self.sums(slots, g)
        denominator = namespace(v).sqrt(v)
        denominator += c["epsilon"]
        p *= c["shrink"]
        p -= c["lr"] * m / denominator
        return p, {"m": m, "v": v}
