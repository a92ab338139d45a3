"""The base class of losses of binary outputs: their targets, predictions and accuracy."""

from __future__ import annotations

from typing import Any, ClassVar

from .._types import Array
from ..metrics import BinaryAccuracy, Metric, Task, named_metrics
from ._base import Loss
from ._domain import Domain


class BinaryLoss(Loss):
    """A loss whose targets are 0 or 1 (or probabilities), for each output by itself; 1 where above `threshold`."""

    targets: ClassVar[str] = "binary"
    domain: ClassVar[Domain] = Domain(0, 1, remedy="0, 1 and probabilities between")
    outputs: ClassVar[str] = "logits"
    threshold: ClassVar[float]

    @property
    def metric(self) -> Metric:
        """The accuracy by the loss's threshold, a mean over rows and outputs."""
        return BinaryAccuracy(threshold=self.threshold)

    def named_metrics(self) -> dict[str, Metric]:
        accuracy: Metric = BinaryAccuracy(threshold=self.threshold)
        found = named_metrics(Task("binary", self.outputs, self.threshold))
        return {**found, "accuracy": accuracy, "binary_accuracy": accuracy, self.metric.name: self.metric}

    def prediction(self, outputs: Array) -> Any:
        return outputs > self.threshold
