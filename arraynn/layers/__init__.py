"""Blocks and their layers, one a file: forward and backward on one screen."""

from ._base import Activation, Layer
from ._dense import Dense, dense
from ._dropout import Dropout, dropout
from ._flatten import Flatten, flatten
from ._identity import Identity, identity
from ._relu import ReLU, relu
from ._sequential import Sequential
from ._sigmoid import Sigmoid, sigmoid
from ._softmax import Softmax, softmax
from ._tanh import Tanh, tanh

__all__ = [
    "Activation",
    "Dense",
    "Dropout",
    "Flatten",
    "Identity",
    "Layer",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "dense",
    "dropout",
    "flatten",
    "identity",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
