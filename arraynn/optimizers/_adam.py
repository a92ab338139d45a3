"""Adam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array
from ._moments import Moments


@dataclass(frozen=True)
class Adam(Moments):
    """Adam: m = β1 m + (1 - β1) g; v = β2 v + (1 - β2) g²; w = w - lr m̂ / (√v̂ + ε),
    with m̂ = m / (1 - β1^t) and v̂ = v / (1 - β2^t), t counting updates from 1.

    learning_rate : number or schedule. beta1, beta2 : in [0, 1). epsilon : ε > 0, outside the root of v̂, 1e-8 as in the
        paper and PyTorch (the book and Keras take 1e-7; scikit-learn adds it to √v, the paper's ε̂).

    Kingma and Ba, ICLR 2015, Algorithm 1; names and defaults as there.
    """

    def scalars(self, step: int) -> dict[str, float]:
        return self.corrected(step)

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        m, v = self.sums(slots, g)
        denominator = namespace(v).sqrt(v)
        denominator += c["epsilon"]
        p -= c["lr"] * m / denominator
        return p, {"m": m, "v": v}
