"""Optimizers, one a file: the rule for one array, lifted to a nest by the base."""

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
