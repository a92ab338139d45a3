"""Metrics of regressions: errors in the targets' own unit, or relative to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, row_means, same_shape
from .._types import Array
from ._base import Metric, weighted

TINY = 2.0**-52  #: replaces a target of 0 in a percentage: float64's epsilon, as in scikit-learn


@dataclass(frozen=True)
class MAE(Metric):
    """Mean absolute error, Σ w |ŷ - y| / Σ w, the mean over rows and outputs; 0 is perfect.

    outputs, targets : the same shape, (N,) or (N, …).

    >>> import numpy as np
    >>> MAE()(np.asarray([1.0, 2.0]), np.asarray([2.0, 4.0]))
    1.5
    """

    name: ClassVar[str] = "mae"
    mode: ClassVar[str | None] = "min"
    tasks: ClassVar[tuple[str, ...]] = ("values",)

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        same_shape("targets", targets, "outputs", outputs)
        return weighted(row_means(namespace(outputs).abs(outputs - targets)), sample_weight)


@dataclass(frozen=True)
class RMSE(Metric):
    """Root mean squared error, √(Σ w (ŷ - y)² / Σ w), the root of the mean over rows and outputs; 0 is perfect.

    outputs, targets : the same shape. scikit-learn takes the mean of each output's root, equal for one output.
    """

    name: ClassVar[str] = "rmse"
    mode: ClassVar[str | None] = "min"
    tasks: ClassVar[tuple[str, ...]] = ("values",)

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        same_shape("targets", targets, "outputs", outputs)
        error = outputs - targets
        return weighted(row_means(error * error), sample_weight)

    def value(self, sums: Mapping[str, float]) -> float:
        mean = super().value(sums)
        return math.sqrt(mean) if mean >= 0 else math.nan


@dataclass(frozen=True)
class MAPE(Metric):
    """Mean absolute percentage error as a share, Σ w |ŷ - y| / max(|y|, 2**-52) / Σ w; 0 is perfect, 1 is 100 %.

    outputs, targets : the same shape. A target of 0 makes it very large, as in scikit-learn. Keras returns percent.
    """

    name: ClassVar[str] = "mape"
    mode: ClassVar[str | None] = "min"
    tasks: ClassVar[tuple[str, ...]] = ("values",)

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        same_shape("targets", targets, "outputs", outputs)
        xp = namespace(outputs)
        size = xp.abs(targets)
        size = size + TINY * xp.astype(size < TINY, size.dtype)
        return weighted(row_means(xp.abs(outputs - targets) / size), sample_weight)
