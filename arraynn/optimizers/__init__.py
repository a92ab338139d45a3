"""Optimizers, one per file: each gives the update of one array; the base class applies it to a nest of parameters."""

from dataclasses import MISSING, fields
from typing import Any

from .._hyperparameters import described
from .._names import guess
from ._adadelta import Adadelta
from ._adagrad import Adagrad
from ._adam import Adam
from ._adamw import AdamW
from ._amsgrad import AMSGrad
from ._base import Optimizer
from ._ema import EMA
from ._groups import Groups
from ._lion import Lion
from ._nadam import NAdam
from ._radam import RAdam
from ._rmsprop import RMSProp
from ._sgd import SGD
from ._swa import SWA

__all__ = [
    "EMA",
    "SGD",
    "SWA",
    "AMSGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Groups",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSProp",
]


def as_optimizer(optimizer: Any) -> Optimizer:
    """An optimizer given as itself, or by its name in lower case, "adam", with its defaults.

    Those that wrap others (EMA, SWA, Groups) have no name. Raises ValueError for an unknown name, TypeError for an
    object that is not an optimizer.

    >>> as_optimizer("sgd") == SGD()
    True
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        known = named_optimizers()
        if optimizer in known:
            made: Optimizer = known[optimizer]()
            return made
        raise ValueError(
            f"unknown optimizer {optimizer!r}{guess(optimizer, known) or ';'} known are {', '.join(known)}"
        )
    if isinstance(optimizer, type):
        name = optimizer.__name__
        raise TypeError(f"optimizer is the class {name}; give an instance of it, as nn.{name}(learning_rate=…)")
    raise TypeError(f"optimizer must be an Optimizer, such as nn.Adam(), or its name, got {described(optimizer)}")


def named_optimizers() -> dict[str, Any]:
    """The optimizers that can be made without arguments, by their names in lower case."""
    kinds = {name: globals()[name] for name in __all__ if name != "Optimizer"}
    return {
        name.lower(): kind
        for name, kind in sorted(kinds.items(), key=lambda item: item[0].lower())
        if all(field.default is not MISSING for field in fields(kind) if field.init) and kind().update_one
    }
