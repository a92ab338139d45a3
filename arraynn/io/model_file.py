"""Reads and writes saved models: one safetensors file of tensors and a JSON header. It uses no pickle and runs no code.

Tensors are the weights ("params.0.weight"), the optimizer's slots ("slots.0.weight.m") and the history
("history.loss", float64, so that it keeps its bits and its nans). The header, text under the key "arraynn", holds
format, version, architecture by registered names, the names of x's columns if there are any, step, epoch, seed, and for
each part the nest of its tensors' names. A checkpoint (`arraynn.training.checkpoint`) is such a file with one more
entry, "run", and one or two more parts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import layers, tree
from .._types import Nest
from ..backends import backend as resolve
from ..errors import BackendUnavailable, CheckpointError, ShapeError
from ..losses import Loss
from ..metrics import Accuracy
from . import safetensors
from .atomic import write_atomic
from .registry import decode, encode
from .safetensors import Tensors, strict_json

FORMAT = 2
WORK = 32_000_000  #: numbers that the check of a loaded model may compute, plus a hundred for each of its weights


def save(model: Any, path: str | Path) -> None:
    """Save the model, atomically. Raises CheckpointError if it cannot be written."""
    write(path, *described(model))


def load(kind: Any, path: str | Path, backend: Any = "auto", dtype: str | None = None) -> Any:
    """Load a model, on `backend`, in the file's dtype or the given one. kind : the class Model.

    Raises CheckpointError for a damaged file, BackendUnavailable for a backend that cannot be used.
    """
    target = resolve(backend)
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', or None for the file's own, got {dtype!r}")
    header, nests = read(path)
    try:
        clip_norm, clip_value = header["clip"]
        loss = decode(header["loss"])
        if not isinstance(loss, Loss):
            raise CheckpointError(f"its loss is a {type(loss).__name__}")
        model = kind(
            decode(header["network"]),
            loss,
            decode(header["optimizer"]),
            metrics=decode(header["metrics"]),
            backend=target,
            dtype=dtype or header["dtype"],
            seed=header["seed"],
            clip_norm=clip_norm,
            clip_value=clip_value,
            encoding=decode(header.get("encoding")),  # models without a table, and older files, have none
            classes=decode(header.get("classes")),
        )
        restore(model, header, nests)
        if model.encoding is not None and model.encoding.input_shape != model.input_shape:
            raise CheckpointError(f"its encoding gives rows of shape {model.encoding.input_shape}, unlike its network")
        model.check_labels()
    except BackendUnavailable:
        raise
    except Exception as error:  # an untrusted header, and users' own layers, may raise anything
        why = str(error) if isinstance(error, CheckpointError) else f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path} is not consistent: {why}") from None
    return model


def described(model: Any) -> tuple[dict[str, Any], dict[str, Nest]]:
    """(header, parts) of a model: its description, and nests of NumPy arrays. CheckpointError if it has no weights."""
    if model.params is None or model.input_shape is None:
        raise CheckpointError("the model has no weights yet; fit it, or call build(input_shape), before saving")
    header = {
        "format": FORMAT,
        "arraynn": own_version(),
        "network": encode(model.network),
        "loss": encode(model.loss),
        "optimizer": encode(model.optimizer),
        "metrics": encode(model.prepared_metrics),
        "dtype": model.dtype,
        **({} if model.encoding is None else {"encoding": encode(model.encoding)}),
        **({} if model.classes is None else {"classes": encode(model.classes)}),
        "clip": [encode(model.clip_norm), encode(model.clip_value)],
        "seed": model.seed,
        "input_shape": encode(model.input_shape),
        "columns": encode(model.columns),
        "epoch": model.epoch,
        "step": model.step,
        "history": list(model.history),
    }
    to_numpy = model.backend.to_numpy
    parts = {"params": tree.map(to_numpy, model.params), "slots": tree.map(to_numpy, model.state["slots"])}
    return header, parts | {"history": {name: np.asarray(values, float) for name, values in model.history.items()}}


def restore(model: Any, header: Mapping[str, Any], nests: Mapping[str, Nest]) -> None:
    """Set the model's weights, slots, step, epoch and history from a file. Invalid content may raise any exception."""
    shape = decode(header["input_shape"])
    params, slots = nests["params"], nests["slots"]
    _check_work(model.network, params, shape)
    step, epoch = (_count(header, name) for name in ("step", "epoch"))
    if sorted(header["history"]) != sorted(nests["history"]) or len(set(map(len, nests["history"].values()))) > 1:
        raise CheckpointError("the lists of its history differ in length, or are not the ones that its header names")
    if any(values.ndim != 1 for values in nests["history"].values()):
        raise CheckpointError("its history must hold lists of numbers")
    model.restore(params, slots, step, epoch, shape)
    names = names_in(header)
    model.columns = model.columns if names is None else names
    if model.output_shape == (1,) and model.loss.targets != "classes":
        # in older files, "accuracy" of one output is Accuracy; it must be the loss's own, which has a threshold
        own = model.loss.named_metrics().get("accuracy")
        model.metrics, model.prepared_metrics = (
            tuple(own if own and isinstance(metric, Accuracy) else metric for metric in metrics)
            for metrics in (model.metrics, model.prepared_metrics)
        )
    with model.backend.context():
        fresh = model.optimizer.init(model.params)["slots"]
    if tree.paths(fresh) == tree.paths(model.state["slots"]):  # else its optimizer was replaced after training
        for (name, slot), new in zip(tree.items(model.state["slots"]), tree.leaves(fresh), strict=True):
            if tuple(slot.shape) != tuple(new.shape):
                raise ShapeError(f"slot {name!r} has shape {tuple(slot.shape)}, its parameter's is {tuple(new.shape)}")
    model.history = {name: nests["history"][name].tolist() for name in header["history"]}


def names_in(header: Mapping[str, Any]) -> Any:
    """The names of x's columns, None if there are none, as in older files.

    Raises CheckpointError unless each input has either no names or one text for each of its columns.
    """
    names, shape = decode(header.get("columns")), decode(header["input_shape"])

    def fit(names: Any, shape: Any) -> bool:
        if names is None:
            return True
        if not isinstance(names, tuple) or not isinstance(shape, tuple):
            return False
        if shape and isinstance(shape[0], tuple):
            return len(names) == len(shape) and all(map(fit, names, shape))
        return shape == (len(names),) and all(isinstance(name, str) for name in names)

    if not fit(names, shape):
        raise CheckpointError(f"its columns are {str(names)[:80]}, which do not name inputs of shape {shape}")
    return names


def write(path: str | Path, header: dict[str, Any], parts: Mapping[str, Nest]) -> None:
    """Write a header and nests of arrays, whose tensors are named by their paths.

    Raises CheckpointError if the file cannot be written, or if `read` would reject it.
    """
    tensors: Tensors = {}
    for name, leaf in tree.items(dict(parts)):
        if not name.startswith("history.") and not np.isfinite(leaf).all():
            raise CheckpointError(f"{name!r} holds numbers that are not finite, so {path} is not written")
        if leaf.dtype not in (np.float32, np.float64):
            raise CheckpointError(f"{name!r} is of dtype {leaf.dtype}; only float32 and float64 can be saved")
        tensors[name] = np.ascontiguousarray(leaf)
    names = iter(tensors)
    text = json.dumps({**header, "forms": tree.map(lambda _: next(names), dict(parts))}, allow_nan=False)
    strict_json(text, "the header")  # checks the limits of `read`
    try:
        write_atomic(Path(path), safetensors.serialized(tensors, {"arraynn": text}))
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}; an existing file and the model are unchanged"
        ) from None


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Nest]]:
    """Read (header, parts) as given to `write`. Any fault raises CheckpointError, which names the file."""
    metadata, tensors = safetensors.read(path)
    if "arraynn" not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but not a model of arraynn")
    header = strict_json(metadata["arraynn"], f"{path}: the description")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} was saved by another version of arraynn, whose format this version cannot read")
    for name, tensor in tensors.items():
        if not name.startswith("history.") and not np.isfinite(tensor).all():
            raise CheckpointError(f"{path}: tensor {name[:80]!r} holds numbers that are not finite")
    unused = dict(tensors)

    def take(name: Any) -> np.ndarray:
        if not isinstance(name, str) or name not in unused:  # only once, or a small file could name huge data
            raise CheckpointError(
                f"{path}: the description names a tensor {str(name)[:80]!r} that is missing, or named twice"
            )
        return unused.pop(name)

    forms = header.pop("forms", None)
    if not isinstance(forms, dict) or not forms.keys() >= {"params", "slots", "history"}:
        raise CheckpointError(f"{path} lacks the names of its tensors")
    try:
        parts = tree.map(take, forms)
    except RecursionError:
        raise CheckpointError(f"{path}: the description is nested too deeply") from None
    if unused:
        raise CheckpointError(
            f"{path} holds tensors that its description does not name, such as {next(iter(unused))[:80]!r}"
        )
    return header, parts


@cache
def own_version() -> str:
    """The installed version of arraynn; "unknown" if it runs from its source."""
    from importlib.metadata import PackageNotFoundError, version  # imported late: a sixth of arraynn's import time

    try:
        return version("arraynn")
    except PackageNotFoundError:
        return "unknown"


def _count(header: Mapping[str, Any], name: str) -> int:
    value = header[name]
    if type(value) is not int or not 0 <= value < 2**53:
        raise CheckpointError(f"its {name} is {str(value)[:80]}, which is not a count")
    return value


#: layers that use several inputs, not only the first
SEVERAL = (layers.Sequential, layers.Residual, layers.Concatenate, layers.Parallel, layers.MultiHeadAttention)


def _check_work(network: Any, params: Nest, shape: Any) -> None:
    """Raise ShapeError if the weights do not fit the network, or if one row would need far more work than they suggest.

    (A few nested Concatenates double the work each.) Layers from outside the library are assumed to keep the shape.
    """
    limit = WORK + 100 * sum(leaf.size for leaf in tree.leaves(params))
    done = 0

    def visit(layer: Any, own: Nest, shape: Any, path: str) -> Any:
        nonlocal done
        kind = type(layer)
        if kind is layers.Freeze:
            return visit(layer.layer, own["statistics"], shape, path)
        if shape and isinstance(shape[0], tuple) and not issubclass(kind, SEVERAL):
            shape = shape[0]  # of (x, mask), the shape of x
        if issubclass(kind, layers.Sequential | layers.Residual | layers.Concatenate | layers.Parallel):
            given = layer.parts(shape) if kind is layers.Parallel else [shape] * len(layer.layers)
            outputs: list[tuple[int, ...]] = []
            for i, pair in enumerate(zip(layer.layers, own, strict=True)):
                chained = outputs[-1] if outputs and not layer.parallel else given[i]
                outputs.append(visit(*pair, chained, f"{path}.{i}"))
            shape = outputs[-1] if outputs else shape
            if layer.parallel:
                shape = (*shape[:-1], sum(s[-1] for s in outputs))
        elif kind.__module__.startswith(layers.__name__):
            wanted, after = _shapes_of(layer, shape)
            if (found := {name: leaf.shape for name, leaf in tree.items(own)}) != wanted:
                raise ShapeError(f"layer {path!r} has weights of shapes {found}, but {kind.__name__} has {wanted}")
            done += _work(layer, shape)
            shape = after
        done += math.prod(shape) + 1000  # plus the fixed cost of a layer
        if done > limit:
            raise ShapeError(f"inputs of shape {shape} need more work than is allowed for a file of this size")
        return shape

    several = bool(shape) and all(isinstance(part, tuple) for part in shape)
    for part in shape if several else (shape,):
        if not all(type(n) is int and n >= 0 for n in part):
            raise CheckpointError(f"its input shape is {str(shape)[:80]}, which is not a shape")
        done += math.prod(part)
    visit(network, params, shape, "network")


def _shapes_of(layer: Any, shape: Any) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """(the shapes of a layer's weights by path, the shape of its output), for rows of this shape; draws no weights."""
    columns = shape[-1:]
    match layer:
        case layers.Dense(units=units):
            return {"weight": (*columns, units), "bias": (units,)}, (*shape[:-1], units)
        case layers.Embedding(vocabulary=vocabulary, units=units):
            return {"weight": (vocabulary, units)}, (*shape, units)
        case layers.LayerNorm() | layers.GroupNorm():
            return {"scale": columns, "bias": columns}, shape
        case layers.RMSNorm():
            return {"scale": columns}, shape
        case layers.BatchNorm():
            return dict.fromkeys(("scale", "bias", "statistics.mean", "statistics.variance"), columns), shape
        case layers.PositionalEmbedding(length=length, kind=kind):
            return {"weight" if kind == "learned" else "statistics.weight": (length, *columns)}, shape
    if hasattr(layer, "shapes"):
        return layer.shapes(shape)
    return {}, layer.init(None, shape)[1]  # it has no weights to draw


def _work(layer: Any, shape: Any) -> int:
    """The number of values that a layer computes internally for a row, where it is more than its output has."""
    match layer:
        case layers.MultiHeadAttention(heads=heads):
            query, *others = shape if isinstance(shape[0], tuple) else (shape,)
            memory = next((part for part in others if len(part) == 2), query)
            return int(heads * query[0] * memory[0])
        case layers.Bidirectional(layer=inner):
            return 2 * _work(inner, shape)
        case layers.RNN() | layers.GRU() | layers.LSTM():
            return int(10 * shape[0] * layer.gates * layer.units)
    if hasattr(layer, "windows"):
        windows = layer.windows(shape)
        read = (math.prod(windows.padded) + math.prod(windows.out) * windows.count) * shape[-1]
        return int(read + 1000 * windows.count)  # plus a call for each element of a window
    return 0
