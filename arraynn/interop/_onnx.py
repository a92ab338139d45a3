"""Exports a model as an ONNX graph for inference, in any language that has an ONNX runtime."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import layers, losses, tree
from .._types import Nest
from ..errors import DataError
from ..io.atomic import write_atomic
from . import _onnx_operators
from ._need import need

OPSET = 21  #: version of the operators; onnxruntime has it from 1.20 on
IR = 10  #: version of the file format


def to_onnx(model: Any, path: str | Path) -> None:
    """Write the model's inference to `path` as ONNX, opset 21, in float32, for any number of rows.

    model : a Model that has weights. Layers of this library become the ONNX operators of their kind (Gemm, Relu,
        Softmax, …), which runtimes fuse. A layer of your own is traced (by ndonnx) and becomes its elementary
        operations.
    Inputs: "x" (N, …), or "x0", "x1", … where the network takes several arrays; float32, or int64 for an embedding.
    Outputs: "outputs", the result of `model(x)`, and, where the loss has them, "probabilities", the result of
    `predict_proba`.
    Raises ImportError without the extra onnx, DataError for a model without weights, ValueError, which names the layer,
    for a layer whose formula cannot be traced, OSError where the file cannot be written.
    """
    onnx = need("onnx", "onnx")
    if model.params is None or model.input_shape is None:
        raise DataError("the model has no weights yet; fit it, or call build(input_shape), before exporting")
    params = tree.map(lambda leaf: model.backend.to_numpy(leaf).astype(np.float32), model.params)
    several = bool(model.input_shape) and isinstance(model.input_shape[0], tuple)
    shapes = model.input_shape if several else (model.input_shape,)
    integer_input = getattr(model.network, "integer_input", False)
    integers = integer_input if isinstance(integer_input, tuple) else (integer_input,) * len(shapes)
    dtypes = [np.int64 if one else np.float32 for one in integers]
    samples = tuple(np.zeros((1, *shape), dtype) for shape, dtype in zip(shapes, dtypes, strict=True))
    names = tuple(f"x{i}" for i in range(len(shapes))) if several else ("x",)

    graph = Graph(onnx)
    own, sample = (names, samples) if several else (names[0], samples[0])
    outputs, values = graph.layer(model.network, params, own, sample, "network")
    if not isinstance(outputs, str):
        raise ValueError("the network has several outputs; only a network with one output can be exported")
    found = {"outputs": (graph.node("Identity", [outputs], name="outputs"), values)}
    probabilities = _probabilities(graph, model.loss, outputs, values)
    if probabilities is not None:
        found["probabilities"] = probabilities
    write_atomic(Path(path), graph.finished(dict(zip(names, samples, strict=True)), found))


def _probabilities(graph: Graph, loss: Any, outputs: str, values: Any) -> tuple[str, Any] | None:
    """The probabilities by the loss's link function, as (name, values); None where the loss has none."""
    try:
        sample = loss.probabilities(values)
    except DataError:
        return None
    operator = LINKS.get(type(loss))
    if operator is not None:
        axis = {"axis": -1} if operator == "Softmax" else {}
        return graph.node(operator, [outputs], name="probabilities", **axis), sample
    link = graph.traced(loss.probabilities, outputs, values, type(loss).__name__)
    return graph.node("Identity", [link], name="probabilities"), sample


class Graph:
    """Builds an ONNX graph. A value is known by its name, and goes with a sample: one row of it, computed by NumPy."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.functions: list[Any] = []
        self.count = 0

    def fresh(self, stem: str) -> str:
        """A name that no value has yet."""
        self.count += 1
        return f"{stem}_{self.count}"

    def node(self, operator: str, inputs: list[str], *, name: str = "", **attributes: Any) -> str:
        """Append an operator with one result, and return the result's name."""
        name = name or self.fresh(operator.lower())
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], name=f"node_{name}", **attributes))
        return name

    def several(self, operator: str, inputs: list[str], count: int, **attributes: Any) -> list[str]:
        """Append an operator with `count` results, and return their names."""
        names = [self.fresh(operator.lower()) for _ in range(count)]
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, names, name=f"node_{names[0]}", **attributes))
        return names

    def constant(self, array: Any, name: str) -> str:
        """Add an array to the graph's initializers, and return its name."""
        if all(existing.name != name for existing in self.initializers):
            self.initializers.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def layer(self, layer: Any, params: Nest, x: Any, sample: Any, path: str) -> tuple[Any, Any]:
        """Append a layer, and return the name of its result and the result's sample."""
        kind = type(layer)
        if kind is layers.Sequential:
            for i, (inner, own) in enumerate(zip(layer.layers, params, strict=True)):
                x, sample = self.layer(inner, own, x, sample, f"{path}.{i}")
            return x, sample
        if kind is layers.Residual:
            y, result = x, sample
            for i, (inner, own) in enumerate(zip(layer.layers, params, strict=True)):
                y, result = self.layer(inner, own, y, result, f"{path}.{i}")
            return self.node("Add", [x, y]), sample + result
        if kind in (layers.Concatenate, layers.Parallel):
            by_part, count = kind is layers.Parallel, len(layer.layers)
            given = zip(x, layer.parts(sample), strict=True) if by_part else [(x, sample)] * count
            parts = [
                self.layer(inner, own, *one, f"{path}.{i}")
                for i, (inner, own, one) in enumerate(zip(layer.layers, params, given, strict=True))
            ]
            joined = np.concatenate([result for _, result in parts], axis=-1)
            return self.node("Concat", [name for name, _ in parts], axis=-1), joined
        if kind is layers.Freeze:
            return self.layer(layer.layer, params["statistics"], x, sample, path)
        result, _ = layer(params, sample)
        if kind in OPERATORS and not isinstance(x, tuple):
            name = OPERATORS[kind](self, layer, params, x, sample, path)
            if name is not None:
                return name, result
        from ._ndonnx import constant

        call = lambda symbol: layer(tree.map(constant, params), symbol)[0]  # noqa: E731
        return self.traced(call, x, sample, f"{kind.__name__} {path!r}"), result

    def traced(self, function: Callable[[Any], Any], x: Any, sample: Any, what: str) -> str:
        """Append the operations of function(x), found by tracing it, and return the result's name."""
        from ._ndonnx import trace

        model = trace(function, sample, what)
        if model.opset_import[0].version < OPSET:
            model = self.onnx.version_converter.convert_version(model, OPSET)
        prefix = self.fresh("traced") + "."
        inner = self.onnx.compose.add_prefix(model, prefix).graph
        given = [x] if isinstance(x, str) else list(x)
        for value, own in zip(inner.input, given, strict=True):
            self.nodes.append(self.onnx.helper.make_node("Identity", [own], [value.name]))
        self.nodes += inner.node
        self.initializers += inner.initializer
        return str(inner.output[0].name)

    def finished(self, inputs: dict[str, Any], outputs: dict[str, tuple[str, Any]]) -> bytes:
        """The checked file's bytes, with shapes, where the first axis may have any length."""
        helper = self.onnx.helper

        def info(name: str, sample: Any) -> Any:
            kind = helper.np_dtype_to_tensor_dtype(sample.dtype)
            return helper.make_tensor_value_info(name, kind, ["N", *sample.shape[1:]])

        graph = helper.make_graph(
            self.nodes,
            "arraynn",
            [info(name, sample) for name, sample in inputs.items()],
            [info(name, sample) for name, (_, sample) in outputs.items()],
            self.initializers,
        )
        model = helper.make_model(
            graph, producer_name="arraynn", ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)]
        )
        self.onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString()
        return data


# One function for each layer: (graph, layer, params, x, sample, path) -> the name of the result, or None to trace it.


def _operator(name: str, **attributes: Any) -> Callable[..., str]:
    """The function of a layer that is one operator. attributes : numbers, or names of the layer's hyperparameters."""

    def emit(graph: Graph, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
        return graph.node(name, [x], **{key: getattr(layer, str(v), v) for key, v in attributes.items()})

    return emit


def _dense(graph: Graph, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    if len(sample.shape) > 2:  # Gemm takes matrices only
        return _onnx_operators.affine(graph, x, params["weight"], params["bias"], f"{path}.")
    weight, bias = (graph.constant(params[name], f"{path}.{name}") for name in ("weight", "bias"))
    return graph.node("Gemm", [x, weight, bias])


def _identity(graph: Graph, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    return x


def _silu(graph: Graph, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    return graph.node("Mul", [x, graph.node("Sigmoid", [x])])


def _batch_norm(graph: Graph, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str | None:
    if len(sample.shape) != 2:
        return None  # ONNX has channels on the second axis, this layer on the last
    leaves = {"scale": params["scale"], "bias": params["bias"], **params["statistics"]}
    names = [graph.constant(leaf, f"{path}.{name}") for name, leaf in leaves.items()]
    return graph.node("BatchNormalization", [x, *names], epsilon=layer.epsilon)


def _layer_norm(graph: Graph, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    names = [graph.constant(params[name], f"{path}.{name}") for name in ("scale", "bias")]
    return graph.node("LayerNormalization", [x, *names], axis=-1, epsilon=layer.epsilon)


def _embedding(graph: Graph, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    return graph.node("Gather", [graph.constant(params["weight"], f"{path}.weight"), x], axis=0)


def _flatten(graph: Graph, layer: Any, params: Nest, x: str, sample: Any, path: str) -> str:
    size = graph.constant(np.asarray([-1, math.prod(sample.shape[1:])]), f"{path}.shape")
    return graph.node("Reshape", [x, size])


LINKS = {
    losses.Focal: "Sigmoid",
    losses.KLDivergence: "Softmax",
    losses.SigmoidCrossEntropy: "Sigmoid",
    losses.SoftmaxCrossEntropy: "Softmax",
}

OPERATORS: dict[type, Callable[..., str | None]] = {
    layers.BatchNorm: _batch_norm,
    layers.Dense: _dense,
    layers.Dropout: _identity,  # in inference, dropout is the identity
    layers.ELU: _operator("Elu", alpha="alpha"),
    layers.Embedding: _embedding,
    layers.Flatten: _flatten,
    layers.GELU: _operator("Gelu", approximate="tanh"),
    layers.HardSigmoid: _operator("HardSigmoid", alpha=1 / 6, beta=0.5),
    layers.Identity: _identity,
    layers.LayerNorm: _layer_norm,
    layers.LeakyReLU: _operator("LeakyRelu", alpha="slope"),
    layers.ReLU: _operator("Relu"),
    layers.SELU: _operator("Selu"),
    layers.SiLU: _silu,
    layers.Sigmoid: _operator("Sigmoid"),
    layers.Softmax: _operator("Softmax", axis=-1),
    layers.Softplus: _operator("Softplus"),
    layers.Tanh: _operator("Tanh"),
    **_onnx_operators.OPERATORS,
}
