"""What losses share: rows are averaged with weights, and a batch's parts simply add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import metrics, tree
from .._array import device, namespace, zero_like
from .._coupling import Splittable, batch_coupled
from .._hyperparameters import Hyperparameters, python_number
from .._types import Array, Backward
from ..errors import DataError, ShapeError
from ._domain import Domain
from ._labels import check_host_labels


class Loss(Splittable, Hyperparameters):
    """A loss with hyperparameters: a frozen dataclass called as its block is. It also says

    targets : "classes" (N integers in [0, K), or (N, K) distributions), "binary" (0 or 1, or probabilities),
        "values" (numbers) or "any" (the loss's own affair);
    domain : which numbers targets may be, except for integer classes; `Model` and the estimators check it;
    outputs : what the network returns, "logits", "probabilities", "scores", "log rates" or "values";
    metric : what `Model` reports beside it unless told otherwise;
    batch_coupled : whether a batch must be taken whole. A loss of your own counts as coupled unless its class says
        `batch_coupled = False`, which promises that it divides by the `total` it is given, and that a row's gradient
        does not depend on other rows, so that blocks of rows add up;
    probabilities(outputs), the link from what the network returns to probabilities, and prediction(outputs), from
        there to labels or values.
    """

    targets: ClassVar[str] = "values"
    domain: ClassVar[Domain] = Domain()
    outputs: ClassVar[str] = "values"
    metric: ClassVar[Any] = None

    def named_metrics(self) -> dict[str, metrics.Metric]:
        """What a metric's name means beside this loss: its own metric, and others that fit its outputs and targets.

        Classes have the accuracy of the largest output, without rows of the `ignore_label`; yes-or-no outputs that of
        the loss's threshold; values have R² and the accuracy of a regression, of what the loss predicts.
        """
        found: dict[str, metrics.Metric] = {}
        if self.targets == "classes":
            ignored = getattr(self, "ignore_label", None)
            found = metrics.of_classes(self.outputs == "logits", ignored)
            found["accuracy"] = metrics.Accuracy(ignore_label=ignored)
        elif self.targets == "values":
            found = {"r2": metrics.r2, "regression_accuracy": metrics.regression_accuracy, **metrics.of_values()}
            if type(self).prediction is not Loss.prediction:
                found = {name: metrics.OfPrediction(metric, self) for name, metric in found.items()}
            else:
                found["binary_accuracy"] = metrics.binary_accuracy  # of values near 0 and 1
        elif self.targets == "any":
            found = dict(metrics.KNOWN)
        own = self.metric
        return {**found, own.name: own} if isinstance(own, metrics.Metric) else found

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __call__")

    def total(self, targets: Array, sample_weight: Array | None = None) -> Any:
        """What the loss of these rows divides by: the sum of the weights, or the number of rows."""
        return targets.shape[0] if sample_weight is None else namespace(sample_weight).sum(sample_weight)

    def probabilities(self, outputs: Array) -> Any:
        raise DataError(f"{type(self).__name__} predicts values, not probabilities; use predict")

    def prediction(self, outputs: Array) -> Any:
        return outputs


class ClassLoss(Loss):
    """A loss whose targets are classes, and whose outputs are largest at the likeliest class."""

    targets: ClassVar[str] = "classes"
    domain: ClassVar[Domain] = Domain(0, 1, remedy="rows (N, K) are distributions over the classes")
    outputs: ClassVar[str] = "logits"
    metric: ClassVar[Any] = metrics.accuracy

    def prediction(self, outputs: Array) -> Any:
        return namespace(outputs).argmax(outputs, axis=-1)


@dataclass(frozen=True)
class FunctionLoss(Loss):
    """A user's own loss block, given to `Model` as it is: targets and predictions are taken as values.

    A batch is split where the function says that it may be: `my_loss.batch_coupled = False` (see `Loss`).
    """

    function: Any

    @property
    def batch_coupled(self) -> bool:
        return batch_coupled(self.function)

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        if sample_weight is not None:
            outputs = tree.map(lambda part: counted(part, sample_weight), outputs)
            targets = counted(targets, sample_weight)
        return self.function(outputs, targets, sample_weight=sample_weight, total=total)


def counted(x: Array, sample_weight: Array | None) -> Any:
    """x with 0 in the rows of weight 0, whatever they hold: a product with the weight alone would keep inf and nan.

    x : (N, …). sample_weight : (N,) or None, which leaves x as it is. Raises ShapeError where N differs.
    """
    if sample_weight is None:
        return x
    _one_weight_a_row(sample_weight, x)
    xp = namespace(x)
    counts = xp.astype(sample_weight, x.dtype, copy=False) != 0
    # where, as the branch that is not taken may be infinite or nan
    return xp.where(xp.reshape(counts, (-1, *[1] * (len(x.shape) - 1))), x, zero_like(x))


def _one_weight_a_row(sample_weight: Array, rows: Array) -> None:
    if tuple(sample_weight.shape) != tuple(rows.shape[:1]):
        raise ShapeError(f"sample_weight must have shape {tuple(rows.shape[:1])}, got {tuple(sample_weight.shape)}")


def weighted_mean(rows: Array, sample_weight: Array | None, total: Any) -> tuple[Any, Backward]:
    """Σ w_i rows_i / total, and backward(dloss=1.0) -> its gradient by each row: a number, or (N,) with weights.

    rows : (N,), finite where the weight is 0 (see `counted`). sample_weight : (N,) or None, all ones.
    total : None is Σ w_i; where it is 0, loss and gradient are 0.
    """
    xp = namespace(rows)
    if sample_weight is not None:
        _one_weight_a_row(sample_weight, rows)
        sample_weight = xp.astype(sample_weight, rows.dtype, copy=False)
        rows = rows * sample_weight
    if total is None:
        total = rows.shape[0] if sample_weight is None else xp.sum(sample_weight)
    total = python_number(total)
    if isinstance(total, (int, float)):
        total = total or 1
    else:
        total = xp.astype(total, rows.dtype, copy=False)
        total = total + xp.astype(total == 0, rows.dtype)  # no weight, no loss: 0 / 1

    def weighted_mean_backward(dloss: Any = 1.0) -> Any:
        share = python_number(dloss) / total
        return share if sample_weight is None else sample_weight * share

    return xp.sum(rows) / total, weighted_mean_backward


def row_means(values: Array) -> Any:
    """(N, …) to (N,): the mean over each row's numbers. With no columns at all it is 0."""
    if len(values.shape) == 1:
        return values
    axes = tuple(range(1, len(values.shape)))
    return namespace(values).mean(values, axis=axes)


def spread(share: Any, like: Array) -> Any:
    """The gradient by each number of `like` whose row means have the gradient `share`: `row_means` backwards."""
    columns = 1
    for size in like.shape[1:]:
        columns *= size
    if isinstance(share, (int, float)) or len(share.shape) == 0:
        return share / columns
    return namespace(share).reshape(share, (-1, *[1] * (len(like.shape) - 1))) / columns


def target_distribution(
    targets: Array, like: Array, sample_weight: Array | None = None, ignore_label: int | None = None
) -> Any:
    """Targets as (N, K) rows in the dtype of `like` (N, K): integer classes (N,) become one-hot rows.

    Raises ShapeError where they are neither, and DataError where (N,) targets are not integers, or where NumPy's are
    not in [0, K) (see `check_labels`). Labels outside of it, on other libraries, become rows of zeros.
    """
    xp = namespace(like)
    if len(like.shape) != 2:
        raise ShapeError(f"a loss over classes takes outputs (N, K), got {tuple(like.shape)}")
    if tuple(targets.shape) == tuple(like.shape):
        return counted(xp.astype(targets, like.dtype, copy=False), sample_weight)
    if tuple(targets.shape) != (like.shape[0],):
        raise ShapeError(
            f"targets have shape {tuple(targets.shape)}, outputs {tuple(like.shape)}; "
            f"expected {like.shape[0]} integer classes or {tuple(like.shape)} distributions"
        )
    if not xp.isdtype(targets.dtype, "integral"):
        raise DataError(f"class targets (N,) must be integers, got {targets.dtype}")
    check_host_labels(targets, like.shape[1], ignore_label, sample_weight)
    classes = xp.arange(like.shape[1], dtype=targets.dtype, device=device(like))
    return xp.astype(targets[:, None] == classes[None, :], like.dtype)
