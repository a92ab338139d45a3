"""Blocks and their layers, one a file: forward and backward on one screen."""

from ._base import Activation, Layer
from ._batch_norm import BatchNorm, batch_norm
from ._concatenate import Concatenate
from ._dense import Dense, dense
from ._dropout import Dropout, dropout
from ._elu import ELU, elu
from ._embedding import Embedding, embedding
from ._flatten import Flatten, flatten
from ._gelu import GELU, gelu
from ._hard_sigmoid import HardSigmoid, hard_sigmoid
from ._identity import Identity, identity
from ._layer_norm import LayerNorm, layer_norm
from ._leaky_relu import LeakyReLU, leaky_relu
from ._parallel import Parallel
from ._relu import ReLU, relu
from ._residual import Residual
from ._selu import SELU, selu
from ._sequential import Sequential
from ._sigmoid import Sigmoid, sigmoid
from ._silu import SiLU, silu
from ._softmax import Softmax, softmax
from ._softplus import Softplus, softplus
from ._tanh import Tanh, tanh

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "BatchNorm",
    "Concatenate",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "HardSigmoid",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Parallel",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "batch_norm",
    "dense",
    "dropout",
    "elu",
    "embedding",
    "flatten",
    "gelu",
    "hard_sigmoid",
    "identity",
    "layer_norm",
    "leaky_relu",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
