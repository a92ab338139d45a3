"""Saved models: one safetensors file, tensors beside a JSON header. No pickle, no import by name, no code run.

Tensors are the weights ("params.0.weight"), the optimizer's slots ("slots.0.weight.m") and the history
("history.loss", float64, so that it keeps its bits and its nans). The header, text under the key "arraynn", describes
them: format, version, architecture by registered names, the names of x's columns where it had any, step, epoch, seed,
and for each part the nest of its tensors' names. A checkpoint (`arraynn.training.checkpoint`) is such a file with one
more entry, "run", and a part or two more.
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
from .atomic import write_whole
from .registry import decode, encode
from .safetensors import Tensors, strict_json

FORMAT = 2
WORK = 32_000_000  #: numbers that the check of a loaded model may compute, beyond a hundred for each of its weights


def save(model: Any, path: str | Path) -> None:
    """Write the model; the file appears whole or not at all. CheckpointError where it cannot be written."""
    write(path, *described(model))


def load(kind: Any, path: str | Path, backend: Any = "auto", dtype: str | None = None) -> Any:
    """The model in the file, made by calling `kind`, the class Model, on `backend`, in its own dtype or the given one.

    Raises CheckpointError for a broken file, BackendUnavailable for a backend that cannot be used.
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
            encoding=decode(header.get("encoding")),  # files of models on arrays, and older ones, have none
            classes=decode(header.get("classes")),
        )
        restore(model, header, nests)
        if model.encoding is not None and model.encoding.input_shape != model.input_shape:
            raise CheckpointError(f"its encoding makes rows of shape {model.encoding.input_shape}, not as its network")
        model.check_labels()
    except BackendUnavailable:
        raise
    except Exception as error:  # a header from anywhere, and layers of anyone's, raise anything
        why = str(error) if isinstance(error, CheckpointError) else f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path} does not hold together: {why}") from None
    return model


def described(model: Any) -> tuple[dict[str, Any], dict[str, Nest]]:
    """(header, parts): what describes the model, and nests of NumPy arrays. CheckpointError without weights."""
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
    """Give the model the weights, slots, counts and history of a file. Raises, of whatever kind, for what cannot be."""
    shape = decode(header["input_shape"])
    params, slots = nests["params"], nests["slots"]
    _affordable(model.network, params, shape)
    step, epoch = (_count(header, name) for name in ("step", "epoch"))
    if sorted(header["history"]) != sorted(nests["history"]) or len(set(map(len, nests["history"].values()))) > 1:
        raise CheckpointError("the lists of its history differ in length, or are not those that it names")
    if any(values.ndim != 1 for values in nests["history"].values()):
        raise CheckpointError("the lists of its history are no lists")
    model.restore(params, slots, step, epoch, shape)
    names = names_in(header)
    model.columns = model.columns if names is None else names
    if model.output_shape == (1,) and model.loss.targets != "classes":
        # files from before a name meant the loss's own metric: the largest of one output is always the first
        meant = model.loss.named_metrics().get("accuracy")
        model.metrics, model.prepared_metrics = (
            tuple(meant if meant and isinstance(one, Accuracy) else one for one in given)
            for given in (model.metrics, model.prepared_metrics)
        )
    with model.backend.context():
        fresh = model.optimizer.init(model.params)["slots"]
    if tree.paths(fresh) == tree.paths(model.state["slots"]):  # else it was given another optimizer since
        for (name, own), new in zip(tree.items(model.state["slots"]), tree.leaves(fresh), strict=True):
            if tuple(own.shape) != tuple(new.shape):
                raise ShapeError(f"slot {name!r} has shape {tuple(own.shape)}, its parameter's is {tuple(new.shape)}")
    model.history = {name: nests["history"][name].tolist() for name in header["history"]}


def names_in(header: Mapping[str, Any]) -> Any:
    """The names of x's columns, None where there are none, as in files from before they were kept.

    CheckpointError unless they are a text for each column, of each input that has names.
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
        raise CheckpointError(f"its columns are {str(names)[:80]}, which are no names for inputs of shape {shape}")
    return names


def write(path: str | Path, header: dict[str, Any], parts: Mapping[str, Nest]) -> None:
    """Write a header and nests of arrays, by the names of their paths. CheckpointError where that cannot be, or where
    `read` would not take the file again."""
    tensors: Tensors = {}
    for name, leaf in tree.items(dict(parts)):
        if not name.startswith("history.") and not np.isfinite(leaf).all():
            raise CheckpointError(f"{name!r} holds numbers that are not finite, so {path} is not written")
        if leaf.dtype not in (np.float32, np.float64):
            raise CheckpointError(f"{name!r} is of dtype {leaf.dtype}; what is saved is float32 or float64")
        tensors[name] = np.ascontiguousarray(leaf)
    names = iter(tensors)
    text = json.dumps({**header, "forms": tree.map(lambda _: next(names), dict(parts))}, allow_nan=False)
    strict_json(text, "the header")  # within the limits of a reader
    try:
        write_whole(Path(path), safetensors.serialized(tensors, {"arraynn": text}))
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}; what was there is as it was, and so is the model"
        ) from None


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Nest]]:
    """(header, parts) as `write` took them. CheckpointError, naming the file, for whatever is wrong with it."""
    metadata, tensors = safetensors.read(path)
    if "arraynn" not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but no model of arraynn")
    header = strict_json(metadata["arraynn"], f"{path}: the description")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} was saved by another version of arraynn, which this one does not read")
    for name, tensor in tensors.items():
        if not name.startswith("history.") and not np.isfinite(tensor).all():
            raise CheckpointError(f"{path}: tensor {name[:80]!r} holds numbers that are not finite")
    left = dict(tensors)

    def taken(name: Any) -> np.ndarray:
        if not isinstance(name, str) or name not in left:  # each once: a name costs less than a tensor
            raise CheckpointError(
                f"{path}: the description names a tensor {str(name)[:80]!r} that is not there, or twice"
            )
        return left.pop(name)

    forms = header.pop("forms", None)
    if not isinstance(forms, dict) or not forms.keys() >= {"params", "slots", "history"}:
        raise CheckpointError(f"{path} lacks the names of its tensors")
    try:
        parts = tree.map(taken, forms)
    except RecursionError:
        raise CheckpointError(f"{path}: the description is nested too deeply") from None
    if left:
        raise CheckpointError(
            f"{path} holds tensors that its description does not name, such as {next(iter(left))[:80]!r}"
        )
    return header, parts


@cache
def own_version() -> str:
    """The version of arraynn that is installed; "unknown" where it runs from its source."""
    from importlib.metadata import PackageNotFoundError, version  # a sixth of what importing arraynn takes

    try:
        return version("arraynn")
    except PackageNotFoundError:
        return "unknown"


def _count(header: Mapping[str, Any], name: str) -> int:
    value = header[name]
    if type(value) is not int or not 0 <= value < 2**53:
        raise CheckpointError(f"its {name} is {str(value)[:80]}, which is no count")
    return value


#: layers that look at several inputs, not at the first one alone
SEVERAL = (layers.Sequential, layers.Residual, layers.Concatenate, layers.Parallel, layers.MultiHeadAttention)


def _affordable(network: Any, params: Nest, shape: Any) -> None:
    """Raise ShapeError where the weights are not those of the network, or where sending one row through it would
    compute far more than the file holds: a few nested Concatenates double it each.

    Layers that are not the library's are taken to keep the shape.
    """
    limit = WORK + 100 * sum(leaf.size for leaf in tree.leaves(params))
    done = 0

    def through(layer: Any, own: Nest, shape: Any, path: str) -> Any:
        nonlocal done
        kind = type(layer)
        if kind is layers.Freeze:
            return through(layer.layer, own["statistics"], shape, path)
        if shape and isinstance(shape[0], tuple) and not issubclass(kind, SEVERAL):
            shape = shape[0]  # of x and its mask
        if issubclass(kind, layers.Sequential | layers.Residual | layers.Concatenate | layers.Parallel):
            given = layer.parts(shape) if kind is layers.Parallel else [shape] * len(layer.layers)
            outputs: list[tuple[int, ...]] = []
            for i, pair in enumerate(zip(layer.layers, own, strict=True)):
                chained = outputs[-1] if outputs and not layer.parallel else given[i]
                outputs.append(through(*pair, chained, f"{path}.{i}"))
            shape = outputs[-1] if outputs else shape
            if layer.parallel:
                shape = (*shape[:-1], sum(s[-1] for s in outputs))
        elif kind.__module__.startswith(layers.__name__):
            wanted, after = _shapes_of(layer, shape)
            if (found := {name: leaf.shape for name, leaf in tree.items(own)}) != wanted:
                raise ShapeError(f"layer {path!r} has weights of shapes {found}, where {kind.__name__} has {wanted}")
            done += _work(layer, shape)
            shape = after
        done += math.prod(shape) + 1000  # what a layer costs whatever its size
        if done > limit:
            raise ShapeError(f"inputs of shape {shape} make more work than a file of this size may ask for")
        return shape

    several = bool(shape) and all(isinstance(part, tuple) for part in shape)
    for part in shape if several else (shape,):
        if not all(type(n) is int and n >= 0 for n in part):
            raise CheckpointError(f"its input shape is {str(shape)[:80]}, which is none")
        done += math.prod(part)
    through(network, params, shape, "network")


def _shapes_of(layer: Any, shape: Any) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """The shapes of a layer's weights, by their paths, and of its output, for rows of this shape; nothing is drawn."""
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
    """Numbers that a row of this shape becomes inside of the layer, where they are more than its output has."""
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
        return int(read + 1000 * windows.count)  # a call for each element of a window
    return 0
