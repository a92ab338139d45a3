"""Functions and their layers, one per file, each with forward and backward on one screen."""

from ._average_pool import AveragePool1D, AveragePool2D, average_pool1d, average_pool2d
from ._base import Activation, Layer
from ._batch_norm import BatchNorm, batch_norm
from ._bidirectional import Bidirectional
from ._concatenate import Concatenate
from ._conv1d import Conv1D, conv1d
from ._conv2d import Conv2D, conv2d
from ._dense import Dense, dense
from ._dropout import Dropout, dropout
from ._elu import ELU, elu
from ._embedding import Embedding, embedding
from ._flatten import Flatten, flatten
from ._freeze import Freeze
from ._gelu import GELU, gelu
from ._global_average_pool import GlobalAveragePool, global_average_pool
from ._global_max_pool import GlobalMaxPool, global_max_pool
from ._group_norm import GroupNorm, group_norm
from ._gru import GRU, gru
from ._hard_sigmoid import HardSigmoid, hard_sigmoid
from ._identity import Identity, identity
from ._layer_norm import LayerNorm, layer_norm
from ._leaky_relu import LeakyReLU, leaky_relu
from ._lstm import LSTM, lstm
from ._max_pool import MaxPool1D, MaxPool2D, max_pool1d, max_pool2d
from ._multi_head_attention import MultiHeadAttention
from ._parallel import Parallel
from ._permute import Permute, permute
from ._positional_embedding import PositionalEmbedding, positional_embedding
from ._relu import ReLU, relu
from ._reshape import Reshape, reshape
from ._residual import Residual
from ._rms_norm import RMSNorm, rms_norm
from ._rnn import RNN, rnn
from ._scaled_dot_product_attention import scaled_dot_product_attention
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
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "Activation",
    "AveragePool1D",
    "AveragePool2D",
    "BatchNorm",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Freeze",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNorm",
    "HardSigmoid",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool1D",
    "MaxPool2D",
    "MultiHeadAttention",
    "Parallel",
    "Permute",
    "PositionalEmbedding",
    "RMSNorm",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "average_pool1d",
    "average_pool2d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "dense",
    "dropout",
    "elu",
    "embedding",
    "flatten",
    "gelu",
    "global_average_pool",
    "global_max_pool",
    "group_norm",
    "gru",
    "hard_sigmoid",
    "identity",
    "layer_norm",
    "leaky_relu",
    "lstm",
    "max_pool1d",
    "max_pool2d",
    "permute",
    "positional_embedding",
    "relu",
    "reshape",
    "rms_norm",
    "rnn",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def named_activations() -> dict[str, type[Activation]]:
    """The elementwise activations, by their names in lower case."""
    kinds = [globals()[name] for name in sorted(__all__, key=str.lower)]
    return {
        kind.__name__.lower(): kind
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, Activation) and kind.elementwise
    }
