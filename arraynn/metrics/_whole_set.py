"""Metrics of a whole set of rows, such as ROC AUC, which are not sums over its batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace
from .._types import Array
from ..backends import of
from ..errors import ShapeError, warn_of_data
from ._base import Metric, Task
from ._classes import counted_rows, is_positive, labels_of


class WholeSet(Metric):
    """A metric that is computed from all rows together, on the host.

    It is computed in validation and in `evaluate`, never in a training step, so history has it only as "val_…". A
    subclass defines `of_set`.
    """

    whole_set: ClassVar[bool] = True

    def of_set(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
        """The metric of all rows, given as NumPy arrays."""
        raise NotImplementedError(f"{type(self).__name__} must define of_set")

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        raise TypeError(f"{self.name} needs a whole set of rows and is not a sum over batches; evaluate computes it")

    def __call__(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
        weight = None if sample_weight is None else of(sample_weight).to_numpy(sample_weight)
        return self.of_set(of(outputs).to_numpy(outputs), of(targets).to_numpy(targets), weight)


@dataclass(frozen=True)
class ROCAUC(WholeSet):
    """The area under the receiver operating characteristic (ROC) curve; 0.5 is chance, 1 is perfect.

    It is the probability that a positive row i scores above a negative row j,
    Σ_i Σ_j w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / (Σ_i w_i Σ_j w_j).

    outputs : (N, K); the mean over the classes, each against the rest (for two classes, the second). With yes_or_no,
        binary outputs, with targets of their shape; the mean over them.
    softmax : whether outputs (N, K) are logits. Their softmax is then compared, as logits of different rows cannot be.
    ignore_label : integer targets of this value do not count.
    If a class has no row, or all rows, it is undefined: nan, with a DataWarning.

    Hanley and McNeil, Radiology 143, 1982. It equals scikit-learn's `roc_auc_score(multi_class="ovr",
    average="macro")`.

    >>> import numpy as np
    >>> ROCAUC(yes_or_no=True)(np.asarray([0.1, 0.4, 0.35, 0.8]), np.asarray([0, 0, 1, 1]))
    0.75
    """

    softmax: bool = False
    yes_or_no: bool = False
    ignore_label: int | None = None
    name: ClassVar[str] = "roc_auc"
    mode: ClassVar[str | None] = "max"
    tasks: ClassVar[tuple[str, ...]] = ("classes", "binary")

    @classmethod
    def made_for(cls, task: Task) -> tuple[Metric, ...]:
        if task.targets == "binary":
            return (cls(yes_or_no=True),)
        return (cls(softmax=task.logits, ignore_label=task.ignore_label),)

    def check(self, output_shape: tuple[int, ...]) -> None:
        if not self.yes_or_no and (len(output_shape) != 1 or output_shape[0] < 2):
            raise ShapeError(
                f"roc_auc takes outputs (N, K) with K of at least 2, got one row of shape {tuple(output_shape)}; "
                f"nn.metrics.ROCAUC(yes_or_no=True) takes binary outputs"
            )

    def of_set(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
        xp = namespace(outputs)
        self.check(tuple(outputs.shape[1:]))
        outputs = xp.astype(outputs, xp.float64)
        sample_weight = counted_rows(targets, outputs, sample_weight, self.ignore_label)
        if self.yes_or_no:
            scores = xp.reshape(outputs, (outputs.shape[0], -1))
            true = xp.reshape(is_positive(targets), (outputs.shape[0], -1))
        else:
            if self.softmax:
                outputs = xp.exp(outputs - xp.max(outputs, axis=-1, keepdims=True))
                outputs = outputs / xp.sum(outputs, axis=-1, keepdims=True)
            scores, true = outputs, labels_of(targets)[:, None] == xp.arange(outputs.shape[1])[None, :]
            if scores.shape[1] == 2:
                scores, true = scores[:, 1:], true[:, 1:]
        weight = xp.ones((outputs.shape[0],)) if sample_weight is None else xp.astype(sample_weight, xp.float64)
        areas = [_area(xp, scores[:, i], true[:, i], weight) for i in range(true.shape[1])]
        missing = [i for i, area in enumerate(areas) if math.isnan(area)]
        if missing:
            problem = "are all of one class" if len(areas) == 1 else f"are none or all of class {missing[0]}"
            warn_of_data(f"roc_auc is undefined, so it is nan: the counted rows {problem}")
        return math.fsum(areas) / len(areas)


def _area(xp: Any, scores: Array, true: Array, weight: Array) -> float:
    order = xp.argsort(scores)
    scores = xp.take(scores, order)
    positive = xp.take(xp.where(true, weight, 0.0), order)
    negative = xp.take(xp.where(true, 0.0, weight), order)
    both = float(xp.sum(positive)) * float(xp.sum(negative))
    if not both:
        return math.nan
    below = xp.concat([xp.zeros((1,)), xp.cumulative_sum(negative)])  # total weight of negatives before each position
    first, end = (xp.take(below, xp.searchsorted(scores, scores, side=side)) for side in ("left", "right"))
    return float(xp.sum(positive * (first + end) / 2)) / both  # negatives of equal score count half
