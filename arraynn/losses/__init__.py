"""Losses, one per file: the function, and the frozen dataclass that also has its link, targets and metric."""

import inspect
from typing import Any

from .._hyperparameters import described
from .._names import cross_entropies, guess
from ._base import ClassLoss, FunctionLoss, Loss
from ._binary_cross_entropy import BinaryCrossEntropy, binary_cross_entropy
from ._cross_entropy import CrossEntropy, cross_entropy
from ._domain import Domain
from ._focal import Focal, focal
from ._hinge import Hinge, hinge
from ._huber import Huber, huber
from ._kl_divergence import KLDivergence, kl_divergence
from ._log_cosh import LogCosh, log_cosh
from ._mean_absolute_error import MeanAbsoluteError, mean_absolute_error
from ._mean_squared_error import MeanSquaredError, mean_squared_error
from ._poisson import Poisson, poisson
from ._quantile import Quantile, quantile
from ._sigmoid_cross_entropy import SigmoidCrossEntropy, sigmoid_cross_entropy
from ._softmax_cross_entropy import SoftmaxCrossEntropy, softmax_cross_entropy
from .labels import check_labels

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


def names_of_losses() -> tuple[str, ...]:
    """The names that `as_loss` takes."""
    return tuple(_BY_NAME)


def as_loss(loss: Any) -> Loss:
    """The dataclass of a loss, given as itself, as a function, as a custom function, or by the name of a function.

    Names are those of the functions, and "mse" and "mae". Raises ValueError for an unknown name; for the name of a
    cross-entropy in another library, the error names the function that takes logits and the one for probabilities.

    >>> as_loss("mse")
    MeanSquaredError()
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        if loss in _BY_NAME:
            return _BY_NAME[loss]()
        if forms := cross_entropies(loss, _BY_NAME):
            raise ValueError(f"loss {loss!r} means different things in different libraries: {forms}")
        raise ValueError(f"unknown loss {loss!r}{guess(loss, _BY_NAME) or ';'} known are {', '.join(sorted(_BY_NAME))}")
    if isinstance(loss, type):
        raise TypeError(f"loss is the class {loss.__name__}; give an instance of it, as nn.{loss.__name__}(…)")
    if not callable(loss):
        raise TypeError(f"loss must be a loss block or a Loss, such as nn.softmax_cross_entropy, got {described(loss)}")
    if loss in _DATACLASS_OF:
        return _DATACLASS_OF[loss]()
    return FunctionLoss(loss)


def _dataclass_of() -> dict[Any, type[Loss]]:
    """{function: dataclass}: the two are in one file."""
    public = [globals()[name] for name in __all__]
    kinds = {one.__module__: one for one in public if isinstance(one, type) and issubclass(one, Loss)}
    return {one: kinds[one.__module__] for one in public if inspect.isfunction(one) and one.__module__ in kinds}


_DATACLASS_OF = _dataclass_of()

#: losses by name: the names of the functions, and two abbreviations that mean the same in every library
_BY_NAME = {
    **{block.__name__: kind for block, kind in _DATACLASS_OF.items()},
    "mae": MeanAbsoluteError,
    "mse": MeanSquaredError,
}
