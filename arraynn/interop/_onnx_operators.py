"""Convolution, pooling, attention, recurrence and norms as ONNX operators, which have channels or time steps first.

One function for each layer: (graph, layer, params, x, sample, path) -> the result's name. A sample is one row of x.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import layers, tree
from .._types import Nest


def affine(graph: Any, x: str, weight: Any, bias: Any, name: str) -> str:
    """x w + b over the last axis of an array of any number of axes."""
    product = graph.node("MatMul", [x, graph.constant(weight, f"{name}weight")])
    return str(graph.node("Add", [product, graph.constant(bias, f"{name}bias")]))


def _channels_first(graph: Any, x: str, rank: int) -> str:
    return str(graph.node("Transpose", [x], perm=[0, rank + 1, *range(1, rank + 1)]))


def _channels_last(graph: Any, x: str, rank: int) -> str:
    return str(graph.node("Transpose", [x], perm=[0, *range(2, rank + 2), 1]))


def _window(windows: Any) -> dict[str, Any]:
    first, last = zip(*windows.pads, strict=True)
    return {"kernel_shape": list(windows.size), "strides": list(windows.strides), "pads": [*first, *last]}


def conv(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """Conv, whose weights are (filters, C / groups, *kernel_size)."""
    windows, rank = layer.windows(sample.shape[1:]), layer.rank
    weight = graph.constant(np.moveaxis(params["weight"], (-1, -2), (0, 1)), f"{path}.weight")
    inputs = [_channels_first(graph, x, rank), weight, graph.constant(params["bias"], f"{path}.bias")]
    y = graph.node("Conv", inputs, group=layer.groups, dilations=list(windows.dilation), **_window(windows))
    return _channels_last(graph, y, rank)


def pool(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """MaxPool, or AveragePool that does not count padding."""
    largest = isinstance(layer, layers.MaxPool1D | layers.MaxPool2D)
    rest = {} if largest else {"count_include_pad": 0}
    windows = _window(layer.windows(sample.shape[1:]))
    y = graph.node("MaxPool" if largest else "AveragePool", [_channels_first(graph, x, layer.rank)], **windows, **rest)
    return _channels_last(graph, y, layer.rank)


def global_pool(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """ReduceMean, or ReduceMax, over all axes but the first and the last."""
    operator = "ReduceMax" if isinstance(layer, layers.GlobalMaxPool) else "ReduceMean"
    axes = graph.constant(np.arange(1, sample.ndim - 1), f"{path}.axes")
    return str(graph.node(operator, [x, axes], keepdims=0))


def reshape(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """Reshape, for any number of rows."""
    shape = layer.init(None, sample.shape[1:])[1]
    return str(graph.node("Reshape", [x, graph.constant(np.asarray([-1, *shape]), f"{path}.shape")]))


def permute(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """Transpose."""
    return str(graph.node("Transpose", [x], perm=[0, *layer.axes]))


def positional_embedding(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """Add of the first rows of the table."""
    table = next(iter(tree.leaves(params)))[: sample.shape[1]]
    return str(graph.node("Add", [x, graph.constant(table, f"{path}.weight")]))


def rms_norm(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """x / √(mean(x²) + ε) · scale."""
    normal = _divided(graph, x, [-1], layer.epsilon, path)
    return str(graph.node("Mul", [normal, graph.constant(params["scale"], f"{path}.scale")]))


def group_norm(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """Group normalization by its formula: each group of channels minus its mean, divided by its standard deviation."""
    shape = sample.shape[1:]
    grouped = np.asarray([-1, math.prod(shape[:-1]), layer.groups, shape[-1] // layer.groups])
    x = graph.node("Reshape", [x, graph.constant(grouped, f"{path}.groups")])
    mean = graph.node("ReduceMean", [x, graph.constant(np.asarray([1, 3]), f"{path}.axes")], keepdims=1)
    normal = _divided(graph, graph.node("Sub", [x, mean]), [1, 3], layer.epsilon, path)
    normal = graph.node("Reshape", [normal, graph.constant(np.asarray([-1, *shape]), f"{path}.shape")])
    scaled = graph.node("Mul", [normal, graph.constant(params["scale"], f"{path}.scale")])
    return str(graph.node("Add", [scaled, graph.constant(params["bias"], f"{path}.bias")]))


def _divided(graph: Any, x: str, axes: list[int], epsilon: float, path: str) -> str:
    """x / √(mean(x²) + ε)."""
    square = graph.node("Mul", [x, x])
    mean = graph.node("ReduceMean", [square, graph.constant(np.asarray(axes), f"{path}.axes")], keepdims=1)
    sum_ = graph.node("Add", [mean, graph.constant(np.float32(epsilon), f"{path}.epsilon")])
    return str(graph.node("Div", [x, graph.node("Sqrt", [sum_])]))


def attention(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """Self-attention by its formula: MatMul, Softmax, MatMul, between the projections."""
    steps, width = sample.shape[1:]
    units = layer.key_units or width // layer.heads

    def heads(name: str, order: list[int]) -> str:
        y = affine(graph, x, params[f"{name}_weight"], params[f"{name}_bias"], f"{path}.{name}_")
        split = np.asarray([-1, steps, layer.heads, params[f"{name}_bias"].size // layer.heads])
        y = graph.node("Reshape", [y, graph.constant(split, f"{path}.{name}_heads")])
        return str(graph.node("Transpose", [y], perm=order))

    scores = graph.node("MatMul", [heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1])])
    scores = graph.node("Mul", [scores, graph.constant(np.float32(1 / math.sqrt(units)), f"{path}.scale")])
    if layer.causal:
        ahead = np.where(np.tri(steps, dtype=bool), 0, -np.inf).astype(np.float32)
        scores = graph.node("Add", [scores, graph.constant(ahead, f"{path}.ahead")])
    y = graph.node("MatMul", [graph.node("Softmax", [scores], axis=-1), heads("value", [0, 2, 1, 3])])
    joined = graph.constant(np.asarray([-1, steps, params["value_bias"].size]), f"{path}.joined")
    y = graph.node("Reshape", [graph.node("Transpose", [y], perm=[0, 2, 1, 3]), joined])
    return affine(graph, y, params["output_weight"], params["output_bias"], f"{path}.output_")


#: for each of ONNX's gates, its index among ours: z, r, h in r, z, n; i, o, f, c in i, f, g, o
GATES: dict[type, tuple[int, ...]] = {layers.RNN: (0,), layers.GRU: (1, 0, 2), layers.LSTM: (0, 3, 1, 2)}


def recurrent(graph: Any, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    """RNN, GRU (whose reset gate is applied after the product) or LSTM."""
    bidirectional = isinstance(layer, layers.Bidirectional)
    inner = layer.layer if bidirectional else layer
    directions = [params["forward"], params["backward"]] if bidirectional else [params]
    kind, units = type(inner), inner.units
    if bidirectional and inner.reverse:
        directions.reverse()

    def gates(array: Any) -> Any:  # reorder the last axis to ONNX's order of gates
        parts = np.split(array, len(GATES[kind]), axis=-1)
        return np.concatenate([parts[i] for i in GATES[kind]], axis=-1)

    def biases(params: Any) -> Any:
        second = np.zeros_like(params["bias"])
        if kind is layers.GRU:
            second[2 * units :] = params["recurrent_bias"]
        return np.concatenate([gates(params["bias"]), gates(second)])

    weights = [np.stack([gates(params[name]).T for params in directions]) for name in ("weight", "recurrent_weight")]
    arrays = [*weights, np.stack([biases(params) for params in directions])]
    names = [graph.constant(array, f"{path}.{name}") for name, array in zip("WRB", arrays, strict=True)]
    direction = "bidirectional" if bidirectional else "reverse" if inner.reverse else "forward"
    options = {"linear_before_reset": 1} if kind is layers.GRU else {}
    time_first = graph.node("Transpose", [x], perm=[1, 0, 2])
    all_states, last_states = graph.several(
        kind.__name__, [time_first, *names], 2, hidden_size=units, direction=direction, **options
    )  # (T, directions, N, H) and (directions, N, H)
    if inner.return_sequences:
        y = graph.node("Transpose", [all_states], perm=[2, 0, 1, 3])
        shape = np.asarray([-1, sample.shape[1], len(directions) * units])
    else:
        y, shape = graph.node("Transpose", [last_states], perm=[1, 0, 2]), np.asarray([-1, len(directions) * units])
    y = graph.node("Reshape", [y, graph.constant(shape, f"{path}.shape")])
    if bidirectional and inner.reverse:  # our layer puts its own direction first
        halves = graph.several("Split", [y], 2, axis=-1, num_outputs=2)
        y = graph.node("Concat", halves[::-1], axis=-1)
    return str(y)


OPERATORS: dict[type, Any] = {
    **dict.fromkeys((layers.Conv1D, layers.Conv2D), conv),
    **dict.fromkeys((layers.MaxPool1D, layers.MaxPool2D, layers.AveragePool1D, layers.AveragePool2D), pool),
    **dict.fromkeys((layers.GlobalAveragePool, layers.GlobalMaxPool), global_pool),
    **dict.fromkeys((layers.RNN, layers.GRU, layers.LSTM, layers.Bidirectional), recurrent),
    layers.GroupNorm: group_norm,
    layers.MultiHeadAttention: attention,
    layers.Permute: permute,
    layers.PositionalEmbedding: positional_embedding,
    layers.RMSNorm: rms_norm,
    layers.Reshape: reshape,
}
