"""Losses, one a file: the block, and the frozen dataclass that also knows its link, its targets and its metric."""

from typing import Any

from ._base import ClassLoss, FunctionLoss, Loss
from ._binary_cross_entropy import BinaryCrossEntropy, binary_cross_entropy
from ._cross_entropy import CrossEntropy, cross_entropy
from ._mean_absolute_error import MeanAbsoluteError, mean_absolute_error
from ._mean_squared_error import MeanSquaredError, mean_squared_error
from ._sigmoid_cross_entropy import SigmoidCrossEntropy, sigmoid_cross_entropy
from ._softmax_cross_entropy import SoftmaxCrossEntropy, softmax_cross_entropy

__all__ = [
    "BinaryCrossEntropy",
    "ClassLoss",
    "CrossEntropy",
    "FunctionLoss",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "as_loss",
    "binary_cross_entropy",
    "cross_entropy",
    "mean_absolute_error",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]

_DATACLASS_OF = {
    binary_cross_entropy: BinaryCrossEntropy,
    cross_entropy: CrossEntropy,
    mean_absolute_error: MeanAbsoluteError,
    mean_squared_error: MeanSquaredError,
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
