"""Metrics: numbers for people, beside the loss. `Metric` says what one is; most add sums over rows, and ROC AUC looks
at a whole set."""

from typing import Any

from ._classes import F1, BalancedAccuracy, LogLoss, Precision, Recall, TopKAccuracy, confusion_matrix
from ._perplexity import Perplexity, perplexity
from ._rows import (
    KNOWN,
    R2,
    Accuracy,
    BinaryAccuracy,
    MeanOf,
    Metric,
    OfPrediction,
    RegressionAccuracy,
    accuracy,
    as_metric,
    binary_accuracy,
    r2,
    regression_accuracy,
)
from ._values import MAE, MAPE, RMSE
from ._whole_set import ROCAUC, WholeSet

__all__ = [
    "F1",
    "KNOWN",
    "MAE",
    "MAPE",
    "R2",
    "RMSE",
    "ROCAUC",
    "Accuracy",
    "BalancedAccuracy",
    "BinaryAccuracy",
    "LogLoss",
    "MeanOf",
    "Metric",
    "OfPrediction",
    "Perplexity",
    "Precision",
    "Recall",
    "RegressionAccuracy",
    "TopKAccuracy",
    "WholeSet",
    "accuracy",
    "as_metric",
    "binary_accuracy",
    "confusion_matrix",
    "of_classes",
    "of_values",
    "of_yes_or_no",
    "perplexity",
    "r2",
    "regression_accuracy",
]


def of_classes(logits: bool, ignore_label: int | None = None) -> dict[str, Metric]:
    """The metrics of outputs (N, K), by name. logits : whether the outputs are logits, else probabilities."""
    ignored: dict[str, Any] = {"ignore_label": ignore_label}
    made: list[Metric] = [kind(**ignored) for kind in (Precision, Recall, F1, BalancedAccuracy)]
    made += [TopKAccuracy(3, **ignored), TopKAccuracy(5, **ignored)]
    made += [LogLoss(logits=logits, **ignored), ROCAUC(softmax=logits, **ignored)]
    return {metric.name: metric for metric in made}


def of_yes_or_no(threshold: float, logits: bool) -> dict[str, Metric]:
    """The metrics of outputs that are each yes or no, by name. threshold : of yes. logits : as above."""
    made = Precision(threshold=threshold), Recall(threshold=threshold), F1(threshold=threshold)
    return {metric.name: metric for metric in (*made, LogLoss(yes_or_no=True, logits=logits), ROCAUC(yes_or_no=True))}


def of_values() -> dict[str, Metric]:
    """The metrics of values, by name."""
    return {metric.name: metric for metric in (MAE(), RMSE(), MAPE())}


KNOWN.update(of_classes(logits=True) | of_values() | {"perplexity": perplexity})
