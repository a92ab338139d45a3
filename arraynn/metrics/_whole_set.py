"""Metrics of a whole set of rows, which are no sum over its batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace
from .._types import Array
from ..backends import of
from ..errors import ShapeError, warn_of_data
from ._base import Metric, Task
from ._classes import counted_rows, labels_of, yes


class WholeSet(Metric):
    """A metric that is computed from all rows together, on the host.

    It is measured in validation and in `evaluate`, never in a training step, so that history has it as "val_…" only. A
    subclass gives `of_set`.
    """

    whole_set: ClassVar[bool] = True

    def of_set(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
        """The metric of all rows, as NumPy's arrays."""
        raise NotImplementedError(f"{type(self).__name__} must define of_set")

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        raise TypeError(f"{self.name} is of a whole set of rows, and no sum over batches; evaluate computes it")

    def __call__(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
        weight = None if sample_weight is None else of(sample_weight).to_numpy(sample_weight)
        return self.of_set(of(outputs).to_numpy(outputs), of(targets).to_numpy(targets), weight)


@dataclass(frozen=True)
class ROCAUC(WholeSet):
    """The area under the receiver operating characteristic: how likely a row that is of a class scores above one that
    is not, Σ_i∈yes Σ_j∈no w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / (Σ_yes w Σ_no w). 0.5 is chance, 1 perfect.

    outputs : (N, K), and the mean over the classes, each against the rest (of two classes, the second's); or, with
        yes_or_no, outputs that are each yes or no by themselves, targets of their shape, and the mean over them.
    softmax : whether outputs (N, K) are logits, whose softmax is compared: logits of different rows cannot be.
    ignore_label : integer targets of this value do not count.
    Where a class has no row, or nothing but rows, it is undefined: nan, with a DataWarning.

    Hanley and McNeil, Radiology 143, 1982. scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")`.

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
                f"nn.metrics.ROCAUC(yes_or_no=True) takes outputs that are each yes or no"
            )

    def of_set(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
        xp = namespace(outputs)
        self.check(tuple(outputs.shape[1:]))
        outputs = xp.astype(outputs, xp.float64)
        sample_weight = counted_rows(targets, outputs, sample_weight, self.ignore_label)
        if self.yes_or_no:
            scores = xp.reshape(outputs, (outputs.shape[0], -1))
            true = xp.reshape(yes(targets), (outputs.shape[0], -1))
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
            told = "one class only" if len(areas) == 1 else f"no row of class {missing[0]}, or no other"
            warn_of_data(f"roc_auc is undefined, so it is nan: the rows that count are of {told}")
        return math.fsum(areas) / len(areas)


def _area(xp: Any, scores: Array, true: Array, weight: Array) -> float:
    order = xp.argsort(scores)
    scores = xp.take(scores, order)
    positive = xp.take(xp.where(true, weight, 0.0), order)
    negative = xp.take(xp.where(true, 0.0, weight), order)
    both = float(xp.sum(positive)) * float(xp.sum(negative))
    if not both:
        return math.nan
    below = xp.concat([xp.zeros((1,)), xp.cumulative_sum(negative)])  # of negatives, before each place
    first, end = (xp.take(below, xp.searchsorted(scores, scores, side=side)) for side in ("left", "right"))
    return float(xp.sum(positive * (first + end) / 2)) / both  # those of equal score count half
