"""Metrics, such as accuracy, F1 and R², reported beside the loss.

`Metric` is the base class. Most metrics are sums over rows, which add up over batches; ROC AUC needs a whole set.
"""

from ._base import Metric, Task
from ._classes import F1, BalancedAccuracy, LogLoss, Precision, Recall, TopKAccuracy, confusion_matrix
from ._perplexity import Perplexity, perplexity
from ._rows import (
    KNOWN,
    R2,
    Accuracy,
    BinaryAccuracy,
    MeanOf,
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
    "Task",
    "TopKAccuracy",
    "WholeSet",
    "accuracy",
    "as_metric",
    "binary_accuracy",
    "confusion_matrix",
    "named_metrics",
    "perplexity",
    "r2",
    "regression_accuracy",
]


def named_metrics(task: Task) -> dict[str, Metric]:
    """The metrics that names stand for in a task, found by `for_task` of each public metric."""
    kinds = [kind for name in __all__ if isinstance(kind := globals()[name], type) and issubclass(kind, Metric)]
    made = [metric for kind in kinds for metric in kind.for_task(task)]
    return {metric.name: metric for metric in made}


#: without a loss, a name stands for the metric of outputs (N, K), if there is one, and outputs are logits
for _targets in ("binary", "classes", "values"):
    KNOWN.update(named_metrics(Task(_targets, "logits")))
