"""Optimizers, one a file: the rule for one array, lifted to a nest by the base."""

from ._adagrad import Adagrad
from ._adam import Adam
from ._base import Optimizer
from ._rmsprop import RMSProp
from ._sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "Optimizer", "RMSProp"]
