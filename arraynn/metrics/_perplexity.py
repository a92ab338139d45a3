"""`Perplexity`: the exponential of the mean cross-entropy, for language models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import device, namespace
from .._types import Array
from ..errors import DataError
from ._base import Metric, Task, weighted
from ._rows import one_row_per_position


@dataclass(frozen=True)
class Perplexity(Metric):
    """The exponential of the mean cross-entropy of softmax(outputs) in nats; 1 is perfect, K is a uniform guess.

    outputs : logits (N, K), or (N, T, K) for sequences. targets : (N,) integers, or (N, T). sample_weight : (N,), or
    (N, T) for sequences. ignore_label : targets of this value, such as padding, do not count.

    >>> import numpy as np
    >>> round(perplexity(np.zeros((3, 7)), np.asarray([0, 5, 6])), 6)
    7.0
    """

    ignore_label: int | None = None
    name: ClassVar[str] = "perplexity"
    mode: ClassVar[str | None] = "min"
    tasks: ClassVar[tuple[str, ...]] = ("classes",)

    @classmethod
    def made_for(cls, task: Task) -> tuple[Metric, ...]:
        return (cls(task.ignore_label),) if task.logits else ()

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        xp = namespace(outputs)
        if not xp.isdtype(targets.dtype, "integral"):
            raise DataError(f"perplexity takes integer targets, (N,) or (N, T), got {targets.dtype}")
        outputs, targets, sample_weight = one_row_per_position(
            "perplexity", outputs, targets, sample_weight, self.ignore_label
        )
        z = outputs - xp.max(outputs, axis=-1, keepdims=True)
        classes = xp.arange(z.shape[1], dtype=targets.dtype, device=device(z))
        hit = targets[:, None] == classes[None, :]
        zero = xp.zeros(
            (), dtype=z.dtype, device=device(z)
        )  # where, not a product: 0 times a logit of -inf would be nan
        rows = xp.log(xp.sum(xp.exp(z), axis=-1)) - xp.sum(xp.where(hit, z, zero), axis=-1)
        return weighted(rows, sample_weight)

    def value(self, sums: Mapping[str, float]) -> float:
        mean = super().value(sums)
        return math.exp(mean) if mean < 700 or math.isnan(mean) else math.inf


perplexity = Perplexity()
