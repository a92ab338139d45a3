"""Metrics of classifications, from counts of predicted and true classes, which add up over batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import device, is_float, namespace, row_means, same_shape, zero_like
from .._hyperparameters import is_integer
from .._types import Array
from ..errors import DataError, ShapeError, warn_of_data
from ._base import Metric, Task, weighted

AVERAGES = None, "binary", "macro", "micro"


def counted_rows(targets: Array, like: Array, sample_weight: Array | None, ignore_label: int | None) -> Any:
    """The weights of rows, 0 where the target is `ignore_label`; None if all rows have weight 1."""
    if ignore_label is None or len(targets.shape) != 1:
        return sample_weight
    counts = namespace(like).astype(targets != ignore_label, like.dtype)
    return counts if sample_weight is None else counts * sample_weight


def labels_of(targets: Array) -> Any:
    """The classes (N,) of targets: integers (N,) unchanged, distributions (N, K) by their largest entry."""
    return targets if len(targets.shape) == 1 else namespace(targets).argmax(targets, axis=-1)


def one_hot(labels: Array, classes: int, like: Array) -> Any:
    """One-hot encoding of labels (N,) as (N, classes), in the dtype of `like`."""
    xp = namespace(like)
    numbers = xp.arange(classes, dtype=labels.dtype, device=device(like))
    return xp.astype(labels[:, None] == numbers[None, :], like.dtype)


def is_positive(targets: Array) -> Any:
    """Whether targets of 0 and 1, or of -1 and 1, are the positive class."""
    return targets > 0.5 if is_float(targets) else targets > 0


@dataclass(frozen=True)
class _Counts(Metric):
    """The base class of precision, recall and F1.

    average : "binary", of the second of two classes, or of the single output; "macro", the mean over the classes for
        which it is defined; "micro", from the counts of all classes together; None is "binary" for one output or two
        classes, else "macro". scikit-learn's `zero_division=nan` gives the same numbers; its default counts an
        undefined class as 0.
    threshold : None for outputs (N, K), of which the largest is predicted, with targets (N,) integers or (N, K)
        distributions. A number for binary outputs, with targets of their shape: 0.5 for probabilities, 0 for logits.
        Given by name, a metric of a `Model` uses the loss's threshold.
    ignore_label : integer targets of this value do not count.
    If it is defined for no class, it is nan, with a DataWarning.
    """

    average: str | None = None
    threshold: float | None = None
    ignore_label: int | None = None
    mode: ClassVar[str | None] = "max"
    tasks: ClassVar[tuple[str, ...]] = ("classes", "binary")

    @classmethod
    def made_for(cls, task: Task) -> tuple[Metric, ...]:
        if task.targets == "binary":
            return (cls(threshold=task.threshold),)
        return (cls(ignore_label=task.ignore_label),)

    def __post_init__(self) -> None:
        if self.average not in AVERAGES:
            raise ValueError(f"average must be 'binary', 'macro', 'micro' or None, got {self.average!r}")

    def check(self, output_shape: tuple[int, ...]) -> None:
        outputs = math.prod(output_shape)
        if self.threshold is None and (len(output_shape) != 1 or outputs < 2):
            raise ShapeError(
                f"{self.name} takes outputs (N, K) with K of at least 2, got rows of shape {tuple(output_shape)}; for "
                f"binary outputs, give the threshold: 0.5 for probabilities, 0 for logits"
            )
        if self.average == "binary" and outputs > (2 if self.threshold is None else 1):
            raise ShapeError(f"{self.name} with average='binary' takes two classes or one output, got {outputs}")

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        xp = namespace(outputs)
        self.check(tuple(outputs.shape[1:]))
        if self.threshold is None:
            sample_weight = counted_rows(targets, outputs, sample_weight, self.ignore_label)
            predicted = one_hot(xp.argmax(outputs, axis=-1), outputs.shape[1], outputs)
            true = one_hot(labels_of(targets), outputs.shape[1], outputs)
        else:
            same_shape("targets", targets, "outputs", outputs)
            rows = (outputs.shape[0], -1) if len(outputs.shape) > 1 else (-1, 1)
            predicted = xp.reshape(xp.astype(outputs > self.threshold, outputs.dtype), rows)
            true = xp.reshape(xp.astype(is_positive(targets), outputs.dtype), rows)
        if sample_weight is not None:
            weight = xp.reshape(xp.astype(sample_weight, outputs.dtype, copy=False), (-1, 1))
            predicted, weighed = predicted * weight, true * weight
        else:
            weighed = true
        counts = {
            "hits": xp.sum(predicted * true, axis=0),
            "predicted": xp.sum(predicted, axis=0),
            "true": xp.sum(weighed, axis=0),
        }
        return {f"{what} {i}": count[i] for what, count in counts.items() for i in range(true.shape[1])}

    def ratio(self, hits: float, predicted: float, true: float) -> tuple[float, float]:
        """(numerator, denominator) of the metric from the counts of one class."""
        raise NotImplementedError(f"{type(self).__name__} must define ratio")

    def value(self, sums: Mapping[str, float]) -> float:
        classes = len(sums) // 3
        counts = [[sums[f"{what} {i}"] for what in ("hits", "predicted", "true")] for i in range(classes)]
        average = self.average or ("binary" if classes <= (2 if self.threshold is None else 1) else "macro")
        if average == "binary":
            counts = counts[-1:]
        elif average == "micro":
            counts = [[math.fsum(column) for column in zip(*counts, strict=True)]]
        ratios = [self.ratio(hits, predicted, true) for hits, predicted, true in counts]
        return mean_of_defined(self.name, [top / bottom for top, bottom in ratios if bottom > 0])


def mean_of_defined(name: str, values: Sequence[float]) -> float:
    """The mean of the values; nan with a DataWarning if there are none."""
    if values:
        return math.fsum(values) / len(values)
    warn_of_data(
        f"{name} is undefined, so it is nan: no counted row has, or is predicted as, a class it is defined for"
    )
    return math.nan


@dataclass(frozen=True)
class Precision(_Counts):
    """The share of rows predicted as a class that are of it, tp / (tp + fp), in [0, 1]. See `F1` for the arguments."""

    name: ClassVar[str] = "precision"

    def ratio(self, hits: float, predicted: float, true: float) -> tuple[float, float]:
        return hits, predicted


@dataclass(frozen=True)
class Recall(_Counts):
    """The share of a class's rows that are predicted as it, tp / (tp + fn), in [0, 1]. See `F1` for the arguments."""

    name: ClassVar[str] = "recall"

    def ratio(self, hits: float, predicted: float, true: float) -> tuple[float, float]:
        return hits, true


@dataclass(frozen=True)
class F1(_Counts):
    """The harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn), in [0, 1].

    average : "binary", of the second of two classes, or of the single output; "macro", the mean over the classes for
        which it is defined; "micro", from the counts of all classes together; None is "binary" for one output or two
        classes, else "macro".
    threshold : None for outputs (N, K), of which the largest is predicted; a number for binary outputs, 0.5 for
        probabilities, 0 for logits. Given by name, a metric of a `Model` uses the loss's threshold.
    ignore_label : integer targets of this value do not count.
    For a class without any true or predicted row it is undefined. If it is undefined for all classes, it is nan, with
    a DataWarning, as with scikit-learn's `zero_division=nan`; scikit-learn's default counts such a class as 0.

    van Rijsbergen, Information Retrieval, 1979, with β = 1.

    >>> import numpy as np
    >>> F1(threshold=0.5)(np.asarray([0.9, 0.8, 0.1]), np.asarray([1, 0, 1]))
    0.5
    """

    name: ClassVar[str] = "f1"

    def ratio(self, hits: float, predicted: float, true: float) -> tuple[float, float]:
        return 2 * hits, predicted + true


@dataclass(frozen=True)
class BalancedAccuracy(Recall):
    """The mean recall over the classes that occur, in [0, 1].

    outputs : (N, K), of which the largest is predicted. targets : (N,) integers or (N, K) distributions.
    It equals scikit-learn's `balanced_accuracy_score`, not adjusted for chance.
    """

    average: str | None = "macro"
    name: ClassVar[str] = "balanced_accuracy"
    tasks: ClassVar[tuple[str, ...]] = ("classes",)


@dataclass(frozen=True)
class TopKAccuracy(Metric):
    """The share of rows whose class is among the k largest outputs, in [0, 1].

    k : at least 1. outputs : (N, K). targets : (N,) integers, or (N, K) distributions, of which the largest entry
    counts. Of equal outputs, the later class counts as larger, as in scikit-learn. ignore_label : integer targets of
    this value do not count.
    """

    k: int = 5
    ignore_label: int | None = None
    mode: ClassVar[str | None] = "max"
    tasks: ClassVar[tuple[str, ...]] = ("classes",)

    @classmethod
    def made_for(cls, task: Task) -> tuple[Metric, ...]:
        return tuple(cls(k, task.ignore_label) for k in (3, 5))

    def __post_init__(self) -> None:
        if not is_integer(self.k, 1):
            raise ValueError(f"k must be an integer of at least 1, got {self.k!r}")

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"top_{self.k}_accuracy"

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        if len(outputs.shape) != 2:
            raise ShapeError(f"{self.name} takes outputs (N, K), got {tuple(outputs.shape)}")
        xp = namespace(outputs)
        sample_weight = counted_rows(targets, outputs, sample_weight, self.ignore_label)
        labels = labels_of(targets)
        own = xp.sum(xp.where(one_hot(labels, outputs.shape[1], outputs) > 0, outputs, zero_like(outputs)), axis=-1)
        numbers = xp.arange(outputs.shape[1], dtype=labels.dtype, device=device(outputs))
        later = numbers[None, :] > labels[:, None]
        before = (outputs > own[:, None]) | ((outputs == own[:, None]) & later)
        rank = xp.sum(xp.astype(before, outputs.dtype), axis=-1)
        return weighted(xp.astype(rank < self.k, outputs.dtype), sample_weight)


@dataclass(frozen=True)
class LogLoss(Metric):
    """The mean of -log p(true class), in nats; 0 is perfect.

    logits : whether outputs are logits; otherwise they are probabilities, which are clipped by their dtype's epsilon,
        as in scikit-learn. yes_or_no : whether each output is binary, with targets of its shape; otherwise outputs are
        (N, K), and targets (N,) integers or (N, K) distributions. ignore_label : integer targets of this value do not
        count.
    """

    logits: bool = False
    yes_or_no: bool = False
    ignore_label: int | None = None
    name: ClassVar[str] = "log_loss"
    mode: ClassVar[str | None] = "min"
    tasks: ClassVar[tuple[str, ...]] = ("classes", "binary")

    @classmethod
    def made_for(cls, task: Task) -> tuple[Metric, ...]:
        if task.outputs == "scores":  # scores are neither probabilities nor logits
            return ()
        if task.targets == "binary":
            return (cls(task.logits, yes_or_no=True),)
        return (cls(task.logits, ignore_label=task.ignore_label),)

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        xp = namespace(outputs)
        if self.yes_or_no:
            same_shape("targets", targets, "outputs", outputs)
            true = xp.astype(is_positive(targets), outputs.dtype)
            logs = [_log_sigmoid(z) if self.logits else _log_clipped(z) for z in self._complementary(outputs)]
            return weighted(row_means(-(true * logs[0] + (1 - true) * logs[1])), sample_weight)
        if len(outputs.shape) != 2:
            raise ShapeError(f"log_loss takes outputs (N, K), got {tuple(outputs.shape)}")
        sample_weight = counted_rows(targets, outputs, sample_weight, self.ignore_label)
        shares = one_hot(targets, outputs.shape[1], outputs) if len(targets.shape) == 1 else targets
        logs = _log_softmax(outputs) if self.logits else _log_clipped(outputs)
        # where, as 0 times the log of a probability of 0 would be nan
        return weighted(-xp.sum(xp.where(shares > 0, shares * logs, zero_like(logs)), axis=-1), sample_weight)

    def _complementary(self, outputs: Array) -> tuple[Any, Array]:
        return (outputs, -outputs) if self.logits else (outputs, 1 - outputs)


def _log_clipped(p: Array) -> Any:
    xp = namespace(p)
    epsilon = xp.finfo(p.dtype).eps
    low, high = (xp.asarray(v, dtype=p.dtype, device=device(p)) for v in (epsilon, 1 - epsilon))
    return xp.log(xp.minimum(xp.maximum(p, low), high))


def _log_sigmoid(z: Array) -> Any:
    xp = namespace(z)  # -log(1 + exp(-z)) in a form whose exp never overflows
    return xp.minimum(z, zero_like(z)) - xp.log1p(xp.exp(-xp.abs(z)))


def _log_softmax(z: Array) -> Any:
    xp = namespace(z)
    z = z - xp.max(z, axis=-1, keepdims=True)
    return z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))


def confusion_matrix(
    targets: Array, predictions: Array, classes: int | None = None, sample_weight: Array | None = None
) -> Any:
    """Confusion matrix (K, K): entry (i, j) is the number of rows of class i predicted as j, or their total weight.

    targets, predictions : (N,) integers in [0, K), or (N, K), such as `model(x)`, of which the largest entry counts.
    classes : K; None is one more than the largest label. sample_weight : (N,), at least 0.
    Returns int64, or floats if there are weights, in the library and on the device of targets. Rows are true classes,
    as in scikit-learn. Raises DataError for labels outside [0, K), ShapeError if the numbers of rows differ.

    >>> import numpy as np
    >>> confusion_matrix(np.asarray([0, 1, 1]), np.asarray([0, 1, 0])).tolist()
    [[1, 0], [1, 1]]
    """
    xp = namespace(targets)
    widths = [x.shape[1] for x in (targets, predictions) if len(x.shape) == 2]
    true, predicted = labels_of(targets), labels_of(predictions)
    if tuple(true.shape) != tuple(predicted.shape):
        raise ShapeError(f"there are {true.shape[0]} targets and {predicted.shape[0]} predictions")
    if any(not xp.isdtype(labels.dtype, "integral") for labels in (true, predicted)):
        raise DataError(f"labels must be integers, got {true.dtype} and {predicted.dtype}")
    least, most = 0, max([*widths, 1]) - 1
    for labels in (true, predicted):
        if labels.shape[0]:
            least, most = min(least, int(xp.min(labels))), max(most, int(xp.max(labels)))
    classes = most + 1 if classes is None else classes
    if least < 0 or most >= classes:
        raise DataError(f"labels must lie in [0, {classes}), got {least if least < 0 else most}")
    kind = xp.__array_namespace_info__().default_dtypes(device=device(true))["real floating"]
    unit = xp.ones((true.shape[0],), dtype=kind, device=device(true))
    weight = unit if sample_weight is None else xp.astype(sample_weight, kind, copy=False)
    rows = one_hot(true, classes, unit) * weight[:, None]
    counts = xp.matrix_transpose(rows) @ one_hot(predicted, classes, unit)
    return xp.astype(xp.round(counts), xp.int64) if sample_weight is None else counts
