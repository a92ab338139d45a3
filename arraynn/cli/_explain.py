"""`arraynn explain`: prints one training step in full."""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..layers import Dense, ReLU, Sequential
from ..model import Model
from ..optimizers import Adam
from ..regularizers import L2
from ._folder import model_file
from ._recipes import check_size, image_size, load
from ._table_data import rows_with_targets, table_for

#: the default data set for a model's input shape
DEFAULT_DATA = {(2,): "spiral", (1,): "sine", (64,): "digits", (784,): "mnist"}


def explain(arguments: argparse.Namespace) -> int:
    """Print one training step of a small network, or of a saved model, in full. Returns the exit code."""
    check_size(arguments)
    model = _model(arguments)
    x, y = _rows(model, arguments)
    explanation = model.explain(x, y)
    if arguments.html is not None:
        Path(arguments.html).write_text(explanation.html(), encoding="utf-8")
        print(arguments.html)
        return 0
    print(json.dumps(explanation.stages, ensure_ascii=False, indent=1) if arguments.json else explanation, end="")
    return 0


def _model(arguments: argparse.Namespace) -> Model:
    if arguments.model is not None:
        return Model.load(model_file(arguments.model), backend=arguments.backend)
    penalty = L2(5e-4)
    network = Sequential(Dense(3, weight_regularizer=penalty, bias_regularizer=penalty), ReLU(), Dense(3))
    return Model(network, optimizer=Adam(0.05), backend=arguments.backend, seed=arguments.seed).build((2,))


def _rows(model: Model, arguments: argparse.Namespace) -> tuple[Any, Any]:
    """A few evenly spaced rows of the named data set, or of the default one for the model's input shape."""
    table = table_for(model, arguments, arguments.data, "--data ")
    if table is not None:
        targets = [] if model.encoding is None else [target.name for target in model.encoding.targets]
        known = set(targets) <= set(table.names)
        indices = rows_with_targets(table, targets) if known else np.arange(table.count)
        first = next(chunk for chunk in table.chunks() if chunk.start + chunk.count > indices[0])
        here = indices[: arguments.samples] - first.start
        return first.take(here[here < first.count]), None
    name = arguments.data or DEFAULT_DATA.get(model.input_shape)
    if name is None:
        raise DataError(f"the model takes inputs of shape {model.input_shape}; give data for it by --data FILE.npz")
    classes = {"classes": model.output_shape[-1:], "binary": (2,)}.get(model.loss.targets)
    size = arguments.size or image_size(model)
    options = Namespace(
        samples=None, classes=classes and classes[0], seed=arguments.seed, validation_split=None, size=size
    )
    data = load(name, options)
    count = min(arguments.samples, len(data.x))
    rows = ((np.arange(count) + 0.5) * len(data.x) / count).astype(int)  # without row 0: all zeros in a spiral
    return data.x[rows], data.y[rows]
