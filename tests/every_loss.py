"""Every loss of the library with outputs and targets that it takes: what tests go through that must hold of all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import arraynn as nn
from arraynn import losses

#: every public loss with its defaults, by its name
EVERY: dict[str, nn.Loss] = {
    name: kind()
    for name in losses.__all__
    if isinstance(kind := getattr(losses, name), type)
    and issubclass(kind, losses.Loss)
    and kind not in (losses.Loss, losses.ClassLoss, losses.FunctionLoss)
}


def outputs(loss: nn.Loss, rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    """Random outputs (N, K) of the kind that the loss takes: rows of probabilities, or any numbers."""
    values = np.exp(rng.standard_normal(shape))
    return values / values.sum(axis=1, keepdims=True) if loss.outputs == "probabilities" else np.log(values)


def targets(loss: nn.Loss, rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    """Random targets of the loss's domain: (N,) classes, or (N, K) numbers."""
    if loss.targets == "classes":
        return rng.integers(0, shape[1], shape[0])
    domain = loss.domain
    if domain.sets:
        return rng.choice(domain.sets[0], shape)
    low = max(domain.low, -3.0 if domain.high == math.inf else domain.high - 6)
    drawn = rng.uniform(low, min(domain.high, low + 6), shape)
    return np.rint(drawn) if loss.targets == "binary" else drawn
