"""Metrics that are sums over rows: accuracies, R², the mean of a function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from .._array import is_float, namespace, row_means, rows_of_places, same_shape
from .._contract_of_rules import rows_of, sums_of
from .._coupling import batch_coupled, outside
from .._hyperparameters import described
from .._names import not_a_metric
from .._text import row_shape
from .._types import Array
from ..backends import number, of
from ..errors import ShapeError
from ._base import Metric, weighted


def one_row_per_position(
    metric: str, outputs: Array, targets: Array, weight: Array | None, ignore_label: int | None
) -> tuple[Array, Array, Array | None]:
    """Reshape outputs (N, …, K), targets and weights to one row per position: (M, K), (M,) or (M, K), (M,).

    Positions with the target `ignore_label` get weight 0.
    """
    xp, shape = namespace(outputs), tuple(outputs.shape)
    if len(shape) < 2 or tuple(targets.shape) not in (shape[:-1], shape):
        raise ShapeError(
            f"{metric} takes outputs (N, K) and targets (N,), or (N, T, K) and (N, T), "
            f"got {shape} and targets {tuple(targets.shape)}"
        )
    if len(shape) > 2:
        outputs, targets, weight = rows_of_places(outputs, targets, weight)
    if ignore_label is not None and len(targets.shape) == 1:
        counted = xp.astype(targets != ignore_label, outputs.dtype)
        weight = counted if weight is None else counted * weight
    return outputs, targets, weight


@dataclass(frozen=True)
class Accuracy(Metric):
    """The share of rows whose largest output is the target's class, Σ w [argmax ŷ = y] / Σ w, in [0, 1].

    outputs : (N, K), logits or probabilities, K at least 2; for sequences (N, T, K), or (N, …, K), where each position
        counts as a row. targets : (N,) integers, (N, T) for sequences, or distributions shaped as outputs, of which the
        largest entry counts. sample_weight : (N,), or (N, T) for sequences. ignore_label : integer targets of this
        value do not count, as in the loss's `ignore_label`.
    Raises ShapeError for outputs of one column, whose largest entry is always the first; use `BinaryAccuracy`, which
    compares them with a threshold.

    >>> import numpy as np
    >>> accuracy(np.asarray([[0.1, 0.9], [0.8, 0.2]]), np.asarray([1, 1]))
    0.5
    """

    ignore_label: int | None = None
    name: ClassVar[str] = "accuracy"
    mode: ClassVar[str | None] = "max"

    def check(self, output_shape: tuple[int, ...]) -> None:
        if not output_shape or output_shape[-1] < 2:
            remedy = ""
            if tuple(output_shape) in ((), (1,)):
                remedy = (
                    ": the largest of one output is always the first. Give metrics=['accuracy'], which the loss "
                    "resolves, or nn.metrics.BinaryAccuracy(threshold=…): 0.5 for probabilities, 0 for logits"
                )
            raise ShapeError(
                f"accuracy takes outputs (N, K) with K of at least 2, got {row_shape(output_shape)}{remedy}"
            )

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        xp = namespace(outputs)
        outputs, targets, sample_weight = one_row_per_position(
            "accuracy", outputs, targets, sample_weight, self.ignore_label
        )
        self.check(tuple(outputs.shape[1:]))
        classes = targets if len(targets.shape) == 1 else xp.argmax(targets, axis=-1)
        hits = xp.argmax(outputs, axis=-1) == xp.astype(classes, xp.argmax(outputs[:1, :], axis=-1).dtype, copy=False)
        return weighted(xp.astype(hits, outputs.dtype), sample_weight)


@dataclass(frozen=True)
class BinaryAccuracy(Metric):
    """The share of outputs on the right side of the threshold, a mean over rows and outputs, in [0, 1].

    outputs, targets : the same shape; targets of 0 or 1, or of -1 and 1. threshold : 0.5 for probabilities, 0 for
    logits. Given by name, the accuracy of a `Model` uses the loss's threshold.
    For several binary outputs it is the mean over all of them. (scikit-learn's accuracy of multilabel targets is the
    subset accuracy: a row counts only if all its labels are right.)
    """

    threshold: float = 0.5
    name: ClassVar[str] = "accuracy"
    mode: ClassVar[str | None] = "max"

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        same_shape("targets", targets, "outputs", outputs)
        yes = targets > 0.5 if is_float(targets) else targets > 0
        hits = (outputs > self.threshold) == yes
        return weighted(row_means(namespace(outputs).astype(hits, outputs.dtype)), sample_weight)


@dataclass(frozen=True)
class RegressionAccuracy(Metric):
    """The book's accuracy of a regression: the share of |ŷ - y| < std(y) / 250, in [0, 1].

    tolerance : None is std(y) / divisor of the training targets (population standard deviation), computed once.
    """

    divisor: float = 250.0
    tolerance: float | None = None
    name: ClassVar[str] = "accuracy"
    mode: ClassVar[str | None] = "max"

    @property
    def batch_coupled(self) -> bool:
        return self.tolerance is None  # then the tolerance depends on all targets of the batch

    def prepare(self, targets: Array) -> Metric:
        if self.tolerance is not None:
            return self
        return replace(self, tolerance=number(namespace(targets).std(targets)) / self.divisor)

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        same_shape("targets", targets, "outputs", outputs)
        xp = namespace(outputs)
        tolerance = xp.std(targets) / self.divisor if self.tolerance is None else self.tolerance
        hits = xp.abs(outputs - targets) < tolerance
        return weighted(row_means(xp.astype(hits, outputs.dtype)), sample_weight)


@dataclass(frozen=True)
class R2(Metric):
    """Coefficient of determination, 1 - Σ w (ŷ - y)² / Σ w (y - ȳ)², over all outputs together; 1 is perfect.

    center : a number near ȳ, subtracted before squares are summed. It affects the precision, not the value: if it is
        k standard deviations from ȳ, k² ulps are lost. A call, `Model.fit` and `Model.evaluate` set it to the weighted
        mean of the given targets, for an iterable of batches to that of the first batch. None is 0.
    If y does not vary, R² is 1 for exact predictions, else 0. (scikit-learn averages R² over outputs.)
    """

    center: float | None = None
    name: ClassVar[str] = "r2"
    mode: ClassVar[str | None] = "max"

    def centered(self, targets: Array, sample_weight: Array | None = None) -> Metric:
        if not math.prod(targets.shape):
            return self
        with of(targets).context():
            sums = weighted(row_means(targets), sample_weight)
            weight = number(sums["weight"])
            return replace(self, center=number(sums["sum"]) / weight) if weight else self

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        same_shape("targets", targets, "outputs", outputs)
        error, y = outputs - targets, targets - (self.center or 0.0)
        parts = {"error": error * error, "first": y, "second": y * y}
        means = {name: weighted(row_means(values), sample_weight) for name, values in parts.items()}
        return {name: mean["sum"] for name, mean in means.items()} | {"weight": means["error"]["weight"]}

    def value(self, sums: Mapping[str, float]) -> float:
        if not sums["weight"]:
            return math.nan
        spread = sums["second"] - sums["first"] ** 2 / sums["weight"]
        if spread <= 0:
            return 1.0 if sums["error"] == 0 else 0.0
        return 1 - sums["error"] / spread


@dataclass(frozen=True)
class MeanOf(Metric):
    """A user's own metric: the mean over rows of function(outputs, targets), which returns one number per row, (N,).

    Large batches are split only if the function allows it: `my_metric.batch_coupled = False`.
    direction : "max" if a larger mean is better, "min" if a smaller one is; None is the function's attribute `mode`, if
    it has one. A callback with mode="auto" uses it.
    """

    function: Any
    direction: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in (None, "min", "max"):
            raise ValueError(f"the direction of metric {self.name!r} must be 'min' or 'max', got {self.mode!r}")

    @property
    def batch_coupled(self) -> bool:
        return batch_coupled(self.function)

    @property
    def name(self) -> str:  # type: ignore[override]
        return str(getattr(self.function, "__name__", "metric"))

    @property
    def mode(self) -> str | None:  # type: ignore[override]
        return getattr(self.function, "mode", None) if self.direction is None else self.direction

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        rows = rows_of(self.function, outputs, targets)
        if tuple(rows.shape) != tuple(outputs.shape[:1]):
            raise ShapeError(
                f"metric {self.name!r} must return one number per row, {outputs.shape[:1]}, got {rows.shape}"
            )
        return weighted(namespace(rows).astype(rows, outputs.dtype), sample_weight)


@dataclass(frozen=True)
class OfPrediction(Metric):
    """A metric of the loss's predictions instead of the raw outputs, such as R² of the rates exp(z) of a Poisson loss.

    metric : a Metric of predictions and targets. loss : has the `prediction` of the outputs.
    """

    metric: Metric
    loss: Any

    def __post_init__(self) -> None:
        if not isinstance(self.metric, Metric) or not hasattr(self.loss, "prediction"):
            raise TypeError(f"OfPrediction takes a Metric and a Loss, got {self.metric!r} and {self.loss!r}")

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.metric.name

    @property
    def mode(self) -> str | None:  # type: ignore[override]
        return self.metric.mode

    def prepare(self, targets: Array) -> Metric:
        return replace(self, metric=self.metric.prepare(targets))

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        return sums_of(self.metric, self.loss.prediction(outputs), targets, sample_weight)

    def value(self, sums: Mapping[str, float]) -> float:
        return self.metric.value(sums)


accuracy = Accuracy()
binary_accuracy = BinaryAccuracy()
regression_accuracy = RegressionAccuracy()
r2 = R2()


KNOWN: dict[str, Metric] = {
    "accuracy": accuracy,
    "binary_accuracy": binary_accuracy,
    "r2": r2,
    "regression_accuracy": regression_accuracy,
}


def as_metric(metric: Any, loss: Any = None) -> Metric:
    """Convert to a Metric: from a Metric, from a name ("accuracy", "r2", …), or from a function of (outputs, targets).

    loss : a name stands for the metric of that name for this loss, with its threshold and its `ignore_label`; see
    `Loss.named_metrics`. None uses the metrics of this module.
    Raises ValueError for an unknown name, or for one that does not fit the loss.
    """
    if isinstance(metric, Metric):
        if not isinstance(getattr(metric, "name", None), str):
            kind = type(metric).__name__
            raise TypeError(f"the metric {kind} has no name; give its class one, name = {kind.lower()!r}")
        return metric
    if isinstance(metric, str):
        known = KNOWN if loss is None else loss.named_metrics()
        if metric in known:
            found: Metric = known[metric]
            return found
        if metric in KNOWN:
            raise ValueError(
                f"metric {metric!r} does not fit {type(loss).__name__}, whose metrics are "
                f"{', '.join(known) or 'none'}; give one of these, or a Metric: nn.metrics.accuracy by the largest of "
                f"several outputs, nn.metrics.BinaryAccuracy(threshold=…) for binary outputs"
            )
        raise ValueError(f"{not_a_metric(metric, KNOWN)}, a Metric, or a function")
    if isinstance(metric, type):
        where = "nn.metrics." if not outside(metric.__module__) else ""
        raise TypeError(f"metric is the class {metric.__name__}; give an instance of it, {where}{metric.__name__}()")
    if callable(metric):
        return MeanOf(metric)
    raise TypeError(f"metric must be a name, a Metric, such as nn.metrics.F1(), or a function, got {described(metric)}")
