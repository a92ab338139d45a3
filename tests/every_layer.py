"""Every layer of the library with an input that it takes: what tests go through that must hold of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import arraynn as nn
from arraynn import layers

#: layers, by the shape of a row that they take; a tuple of shapes is a tuple of arrays
ROWS: dict[Any, list[Any]] = {
    (4,): [
        *(layers.Dense(3), layers.BatchNorm(), layers.Dropout(0.4), layers.ELU(0.5), layers.Flatten(), layers.GELU()),
        *(layers.HardSigmoid(), layers.Identity(), layers.LeakyReLU(0.2), layers.ReLU(), layers.SELU(), layers.SiLU()),
        *(layers.Sigmoid(), layers.Softmax(), layers.Softplus(), layers.Tanh(), layers.LayerNorm(), layers.RMSNorm()),
        *(layers.GroupNorm(2), layers.Sequential(layers.Dense(3), layers.Tanh()), layers.Residual(layers.Dense(4))),
        *(layers.Concatenate(layers.Identity(), layers.Tanh()), layers.Freeze(layers.Dense(3)), layers.Reshape((2, 2))),
    ],
    (6, 5, 2): [
        *(layers.Conv2D(4, (3, 2), strides=2, padding=1, groups=2), layers.Conv2D(3, 2, dilation=2)),
        *(layers.MaxPool2D(3, strides=2, padding=1), layers.AveragePool2D(3, strides=2, padding=1), layers.BatchNorm()),
        *(layers.GlobalAveragePool(), layers.GlobalMaxPool(), layers.Permute((3, 1, 2)), layers.Reshape((-1, 6))),
        *(layers.GroupNorm(2), layers.GroupNorm(1), layers.LayerNorm(), layers.RMSNorm(), layers.Dense(3)),
        *(layers.Freeze(layers.Conv2D(2, 3, padding="same")), layers.Flatten(), layers.Softmax(), layers.Dropout(0.4)),
    ],
    (6, 4): [
        *(layers.Conv1D(4, 3, padding="same"), layers.MaxPool1D(), layers.AveragePool1D(3, padding=1)),
        *(layers.PositionalEmbedding(9), layers.PositionalEmbedding(9, "sinusoidal"), layers.GroupNorm(2)),
        *(layers.MultiHeadAttention(2), layers.MultiHeadAttention(2, causal=True)),
        *(layers.RNN(3), layers.GRU(3), layers.LSTM(3), layers.Bidirectional(layers.GRU(3))),
        *(kind(3, return_sequences=True) for kind in (layers.RNN, layers.GRU, layers.LSTM)),
        *(layers.LSTM(3, True, reverse=True), layers.Bidirectional(layers.LSTM(2, return_sequences=True))),
        *(layers.GlobalAveragePool(), layers.GlobalMaxPool(), layers.Permute((2, 1)), layers.BatchNorm()),
    ],
    (): [layers.Embedding(7, 4)],
    (3,): [layers.Embedding(7, 4)],
    ((3,), (2,)): [layers.Parallel(layers.Dense(2), layers.Identity())],
    ((6, 4), (6,)): [layers.MultiHeadAttention(2), layers.LSTM(3), layers.Bidirectional(layers.GRU(2, True))],
    ((6, 4), ()): [layers.GRU(3, return_sequences=True), layers.RNN(2)],
    ((6, 4), (5, 3)): [layers.MultiHeadAttention(2, 3, value_units=2)],
}
EVERY = [(layer, shape) for shape, several in ROWS.items() for layer in several]


def named(value: Any) -> str:
    """A layer, or a shape, as the name of a test's case."""
    return type(value).__name__ if isinstance(value, layers.Layer) else "x".join(map(str, value)) or "row"


def inputs(layer: Any, shape: Any, rows: int, dtype: str = "float32") -> Any:
    """Random x of that shape; integers for a table, a mask or lengths where they are meant."""
    rng = np.random.default_rng(1)
    if isinstance(layer, layers.Embedding):
        return rng.integers(0, layer.vocabulary, (rows, *shape))
    if shape and isinstance(shape[0], tuple):
        first, *others = shape
        x = rng.standard_normal((rows, *first)).astype(dtype)
        if others == [()]:
            return x, np.arange(rows) % (first[0] + 1)
        if others == [first[:1]] and not isinstance(layer, layers.Parallel):
            mask = rng.random((rows, *first[:1])) < 0.7
            mask[:, 0] = True
            return x, mask.astype(dtype)
        return x, *(rng.standard_normal((rows, *one)).astype(dtype) for one in others)
    return rng.standard_normal((rows, *shape)).astype(dtype)


def parameters(layer: Any, shape: Any, dtype: str = "float32") -> Any:
    """Weights that are no longer what they began as: scales of 1 and means of 0 would hide a mistake."""
    rng = np.random.default_rng(0)
    params = layer.init(rng, shape, dtype)[0]
    return nn.tree.map(lambda leaf: (leaf + 0.3 * rng.random(leaf.shape) + 0.1).astype(dtype), params)
