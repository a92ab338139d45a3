"""`arraynn evaluate`: prints a model's loss and metrics on data."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ..layers import Identity
from ..metrics import as_metric
from ..model import Model
from ._folder import model_file
from ._output import UsageError, figure_table, figure_text
from ._recipes import image_size, load
from ._table_data import encoded, left_out, rows_with_targets, table_for
from ._table_figures import Figures, by_target, labelled
from ._train import check

#: the default metrics of a regression on a table, those that `train` prints
VALUES = ("r2", "rmse", "mae")


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the loss and the metrics of a model on a data set. Returns the exit code."""
    check(arguments)
    model = Model.load(model_file(arguments.model), backend=arguments.backend)
    asked = arguments.metrics
    rows = table_for(model, arguments, arguments.data)
    values = rows is not None and model.encoding is not None and model.encoding.classes is None
    if asked is None and values:
        asked = VALUES
    if asked is not None:
        try:
            model.metrics = tuple(as_metric(name, model.loss) for name in asked)
        except ValueError as error:
            raise UsageError(str(error)) from None
        model.prepared_metrics = model.metrics
    if rows is not None:
        encoding = model.encoding
        assert encoding is not None
        encoding.require(rows, (*encoding.used, *encoding.targets))
        indices = rows_with_targets(rows, [target.name for target in encoding.targets])
        if len(indices) < rows.count:
            print(left_out(rows.count - len(indices)))
        x, y = encoded(encoding, rows, {"all": indices})["all"]
        which, measured = "all", _in_own_units(model, x, y) if values else {"": model.evaluate(x, y)}
    else:
        arguments.validation_split = None  # so that generated data get test rows
        arguments.size = arguments.size or image_size(model)
        data = load(arguments.data, arguments)
        which, x, y = ("test", data.x_test, data.y_test) if data.x_test is not None else ("all", data.x, data.y)
        measured = {"": model.evaluate(x, y)}
    lines = [
        (name, f"{len(y):,}", {metric: figure_text(value, metric) for metric, value in found.items()})
        for name, found in labelled(which, measured).items()
    ]
    print(figure_table(lines))
    return 0


def _in_own_units(model: Any, x: Any, y: Any) -> Figures:
    """The loss and the metrics of each target of a regression, in the target's own unit.

    x, y : encoded rows. The network was trained on standardized targets, so both sides are decoded first.
    """
    judge = Model(Identity(), model.loss, metrics=model.metrics, backend="numpy", dtype="float64")

    def measure(truth: Any, found: Any) -> dict[str, float]:
        return judge.evaluate(found[:, None], truth)

    truth = np.asarray(model.encoding.decode(np.asarray(y)), np.float64)
    return by_target(model.encoding, truth, np.asarray(model.predict(x), np.float64), measure)
