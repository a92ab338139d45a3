"""Losses, one a file: the block, and the frozen dataclass that also knows its link, its targets and its metric."""

from typing import Any

from ._base import ClassLoss, FunctionLoss, Loss
from ._binary_cross_entropy import BinaryCrossEntropy, binary_cross_entropy
from ._cross_entropy import CrossEntropy, cross_entropy
from ._domain import Domain
from ._focal import Focal, focal
from ._hinge import Hinge, hinge
from ._huber import Huber, huber
from ._kl_divergence import KLDivergence, kl_divergence
from ._labels import check_labels
from ._log_cosh import LogCosh, log_cosh
from ._mean_absolute_error import MeanAbsoluteError, mean_absolute_error
from ._mean_squared_error import MeanSquaredError, mean_squared_error
from ._poisson import Poisson, poisson
from ._quantile import Quantile, quantile
from ._sigmoid_cross_entropy import SigmoidCrossEntropy, sigmoid_cross_entropy
from ._softmax_cross_entropy import SoftmaxCrossEntropy, softmax_cross_entropy

__all__ = [
    "BinaryCrossEntropy",
    "ClassLoss",
    "CrossEntropy",
    "Domain",
    "Focal",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Poisson",
    "Quantile",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "as_loss",
    "binary_cross_entropy",
    "check_labels",
    "cross_entropy",
    "focal",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_squared_error",
    "poisson",
    "quantile",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]

_DATACLASS_OF = {
    binary_cross_entropy: BinaryCrossEntropy,
    cross_entropy: CrossEntropy,
    focal: Focal,
    hinge: Hinge,
    huber: Huber,
    kl_divergence: KLDivergence,
    log_cosh: LogCosh,
    mean_absolute_error: MeanAbsoluteError,
    mean_squared_error: MeanSquaredError,
    poisson: Poisson,
    quantile: Quantile,
    sigmoid_cross_entropy: SigmoidCrossEntropy,
    softmax_cross_entropy: SoftmaxCrossEntropy,
}


def as_loss(loss: Any) -> Loss:
    """The dataclass of a loss given in either form: itself, its block's, or one around a user's own block."""
    if isinstance(loss, Loss):
        return loss
    if loss in _DATACLASS_OF:
        made: Loss = _DATACLASS_OF[loss]()
        return made
    if callable(loss) and not isinstance(loss, type):
        return FunctionLoss(loss)
    raise TypeError(f"loss must be a loss block or a Loss, such as nn.softmax_cross_entropy, got {loss!r}")
