"""Traces blocks into ONNX graphs: calls them with ndonnx's symbolic arrays, which record the operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from .. import random, tree
from .._hyperparameters import is_integer, python_number
from .._types import Nest
from ..backends import for_type
from ..errors import DataError
from ..io.atomic import write_atomic
from ..random import Key
from ..training.step import compiled_step
from ._need import need


def constant(array: Any) -> Any:
    """A NumPy array as a constant of the ONNX graph."""
    return need("ndonnx", "onnx").asarray(np.asarray(array))


def trace(function: Callable[[Any], Any], sample: Any, what: str) -> Any:
    """Trace function(x) into an ONNX model.

    sample : one row of x, an array or a tuple of arrays. what : the function's name in the error message.
    """
    ndx = need("ndonnx", "onnx")
    parts = {f"x{i}": part for i, part in enumerate(sample if isinstance(sample, tuple) else (sample,))}
    arguments = {
        name: ndx.argument(shape=("N", *part.shape[1:]), dtype=getattr(ndx, part.dtype.name))
        for name, part in parts.items()
    }
    try:
        y = function(tuple(arguments.values()) if isinstance(sample, tuple) else arguments["x0"])
        return ndx.build(arguments, {"y": y})
    except Exception as error:  # a user's formula may fail on symbolic arrays in any way
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(f"{what} cannot be exported: its formula failed on symbolic arrays ({why})") from error


def training_step_to_onnx(
    model: Any, path: str | Path, batch_size: int, *, steps: int = 10_000, sample_weight: bool = False
) -> None:
    """Write one training step to `path` as ONNX: forward, backward, penalty, clipping and update, in float32.

    So a model can be trained without arraynn wherever an ONNX runtime runs. The graph keeps no state: its outputs
    "new_…" are the inputs of the same names, without "new_", of the next call.

    model : a Model that has weights; its optimizer, clipping and seed are built in. batch_size : rows in a step.
    steps : the file holds a table of the optimizer's scalars (learning rate, bias corrections) for this many steps, as
        a schedule may be any Python function. Later steps use the table's last row.
    sample_weight : whether the graph also takes "sample_weight" (batch_size,). A short batch can then be padded with
        rows of weight 0. (Batch normalization counts such rows nevertheless.)

    Inputs: "step" (int64, from 0), "x" (or "x0", "x1", …), "targets" (int64 classes, or float32 values), and, named as
    the tensors of a saved model, "params.0.weight", …, "slots.0.weight.m", ….
    Outputs: "loss", "data_loss", "penalty", "new_step", "new_params.…", "new_slots.…". Dropout masks are those of
    `Model.fit`, bit for bit. Raises the errors of `to_onnx`.
    """
    ndx = need("ndonnx", "onnx")
    if model.params is None or model.input_shape is None:
        raise DataError("the model has no weights yet; fit it, or call build(input_shape), before exporting")
    batch_size, steps = python_number(batch_size), python_number(steps)
    for name, value in (("batch_size", batch_size), ("steps", steps)):
        if not is_integer(value, 1):
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    inputs: dict[str, Any] = {}

    def argument(name: str, shape: Any, dtype: Any = ndx.float32) -> Any:
        inputs[name] = ndx.argument(shape=tuple(shape), dtype=dtype)
        return inputs[name]

    def arguments(prefix: str, nest: Nest) -> Nest:
        names = iter(tree.paths(nest))
        return tree.map(lambda leaf: argument(f"{prefix}.{next(names)}", leaf.shape), nest)

    step = argument("step", (), ndx.int64)
    several = bool(model.input_shape) and isinstance(model.input_shape[0], tuple)
    integer_input = getattr(model.network, "integer_input", False)
    if several:
        integers = integer_input if isinstance(integer_input, tuple) else (integer_input,) * len(model.input_shape)
        parts = enumerate(zip(model.input_shape, integers, strict=True))
        x = tuple(
            argument(f"x{i}", (batch_size, *s), ndx.int64 if is_integer_part else ndx.float32)
            for i, (s, is_integer_part) in parts
        )
    else:
        x = argument("x", (batch_size, *model.input_shape), ndx.int64 if integer_input else ndx.float32)
    if model.loss.targets == "classes":
        targets = argument("targets", (batch_size, *model.output_shape[:-1]), ndx.int64)
    else:
        targets = argument("targets", (batch_size, *model.output_shape))
    weight = argument("sample_weight", (batch_size,)) if sample_weight else None
    params, slots = arguments("params", model.params), arguments("slots", model.state["slots"])

    core = cast(Any, compiled_step)(  # the step as a function of only nests and scalars
        for_type(type(step)), model.network, model.loss, model.optimizer, model.clip_norm, model.clip_value, ()
    )
    scalars = _scalars(model.optimizer, step, steps)
    try:
        new_params, new_slots, logs = core(
            params, slots, (x, targets, weight), Key.of(_words(model.seed, step)), scalars
        )
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(f"the training step cannot be exported: it failed on symbolic arrays ({error})") from error
    data_loss, penalty = (_float(logs[name]) for name in ("data_loss", "penalty"))
    outputs = {"loss": data_loss + penalty, "data_loss": data_loss, "penalty": penalty, "new_step": step + 1}
    outputs |= {f"new_{name}": leaf for name, leaf in tree.items({"params": new_params, "slots": new_slots})}
    graph = ndx.build(inputs, outputs)
    graph.producer_name = "arraynn"
    write_atomic(Path(path), graph.SerializeToString())


def _scalars(optimizer: Any, step: Any, steps: int) -> Nest:
    """`optimizer.scalars(step)` for a symbolic step, looked up in a table."""
    ndx = need("ndonnx", "onnx")
    template = optimizer.scalars(0)
    rows = [tree.leaves(template)]
    rows += [tree.leaves(optimizer.scalars(number)) for number in range(1, steps)]
    table = np.asarray(rows, dtype=np.float32)
    if (table == table[0]).all():
        table = table[:1]
    index = ndx.minimum(step, ndx.asarray(np.asarray(len(table) - 1)))
    row = ndx.reshape(ndx.take(constant(table), ndx.reshape(index, (1,)), axis=0), (table.shape[1],))
    columns = iter(range(table.shape[1]))
    return tree.map(lambda _: row[next(columns)], template)


def _words(seed: int, step: Any) -> tuple[Any, Any]:
    """The words of Key(seed).fold_in(step) for a symbolic step below 2**31, computed as `random._fold` does."""
    ndx = need("ndonnx", "onnx")
    low, (k0, k1) = ndx.astype(step, ndx.int32), Key(seed).words
    return random._mix(k0 ^ random._mix(low + 0x1E3779B9)), random._mix(k1 ^ random._mix(low ^ 0x45EBCA6B))


def _float(value: Any) -> Any:
    """A 0-d array or a number as a symbolic float32."""
    ndx = need("ndonnx", "onnx")
    return (
        ndx.asarray(np.asarray(value, np.float32))
        if isinstance(value, (int, float))
        else ndx.astype(value, ndx.float32)
    )
