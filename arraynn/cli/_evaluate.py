"""`arraynn evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .._text import table
from ..metrics import as_metric
from ..model import Model
from ..training.progress import short
from ._folder import MODEL
from ._recipes import image_size, load
from ._say import UsageError
from ._train import check


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the loss and the metrics of a model on a data set. Returns the exit code."""
    check(arguments)
    path = Path(arguments.model)
    model = Model.load(path / MODEL if path.is_dir() else path, backend=arguments.backend)
    if arguments.metrics is not None:
        try:
            model.metrics = tuple(as_metric(name, model.loss) for name in arguments.metrics)
        except ValueError as error:
            raise UsageError(str(error)) from None
        model.prepared_metrics = model.metrics
    arguments.validation_split = None  # so that generated data have rows that nobody has trained on
    arguments.size = arguments.size or image_size(model)
    data = load(arguments.data, arguments)
    rows, x, y = ("test", data.x_test, data.y_test) if data.x_test is not None else ("all", data.x, data.y)
    measured = model.evaluate(x, y)
    names = list(measured)
    lines = [["", "rows", *names], [rows, f"{len(x):,}", *(short(measured[name]) for name in names)]]
    print(table(lines, right=range(1, len(names) + 2)))
    return 0
