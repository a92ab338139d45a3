"""The base classes of losses: rows are averaged with weights, and the losses of a batch's parts add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import metrics, tree
from .._array import namespace
from .._coupling import Splittable, batch_coupled
from .._hyperparameters import Hyperparameters
from .._types import Array
from ..errors import DataError
from ._domain import Domain
from .reduction import counted


class Loss(Splittable, Hyperparameters):
    """A loss with hyperparameters: a frozen dataclass called like its function. It also has

    targets : "classes" (N integers in [0, K), or (N, K) distributions), "binary" (0 or 1, or probabilities),
        "values" (numbers) or "any" (not checked);
    domain : the allowed numbers in targets, except for integer classes; `Model` and the estimators check it;
    outputs : what the network returns, "logits", "probabilities", "scores", "log rates" or "values";
    metric : the metric that `Model` reports by default;
    batch_coupled : whether a batch must not be split. A loss of your own counts as coupled unless its class says
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
        """The metrics by name that fit this loss: its own, and others that fit its outputs and targets.

        For classes, "accuracy" is that of the largest output, without rows of the `ignore_label`; for binary outputs it
        uses the loss's threshold; for values there are R² and the accuracy of a regression, of the predictions.
        """
        ignored = getattr(self, "ignore_label", None)
        found = metrics.named_metrics(metrics.Task(self.targets, self.outputs, ignore_label=ignored))
        if self.targets == "classes":
            found["accuracy"] = metrics.Accuracy(ignore_label=ignored)
        elif self.targets == "values":
            found = {"r2": metrics.r2, "regression_accuracy": metrics.regression_accuracy, **found}
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
        """The divisor of the loss of these rows: the sum of the weights, or the number of rows."""
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
    """A custom loss function, as given to `Model`: targets and predictions are values.

    A batch is split if the function allows it by `my_loss.batch_coupled = False` (see `Loss`).
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
