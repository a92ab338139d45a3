"""`arraynn predict`: writes a model's predictions as CSV."""

from __future__ import annotations

import argparse
import csv
import sys
from typing import Any

import numpy as np

from .._text import counted
from ..datasets import load_npz_inputs
from ..model import Model
from ._folder import model_file
from ._table_data import table_for


def predict(arguments: argparse.Namespace) -> int:
    """Write a CSV of row, prediction and, for a classifier, probabilities. Returns the exit code."""
    model = Model.load(model_file(arguments.model), backend=arguments.backend)
    rows = table_for(model, arguments, arguments.file)
    if rows is not None:
        from ._table_predict import predict_table

        return predict_table(model, rows, arguments)
    x = load_npz_inputs(arguments.file)
    if x.ndim == 1:
        x = x[:, None]
    columns = {"prediction": model.predict(x)}
    if model.loss.targets != "values":
        columns["probability"] = model.predict_proba(x)
    if arguments.out is None:
        _write(sys.stdout, columns)
        return 0
    with open(arguments.out, "w", newline="", encoding="utf-8") as file:
        _write(file, columns)
    print(f"{counted(len(x), 'prediction')} in {arguments.out}")
    return 0


def _write(file: Any, columns: dict[str, Any]) -> None:
    """Write a header and a line for each row. Columns of more than one number are numbered: probability_0, …"""
    header, parts = ["row"], []
    for name, values in columns.items():
        flat = np.asarray(values).reshape(len(values), -1)
        header += [name] if flat.shape[1] == 1 else [f"{name}_{i}" for i in range(flat.shape[1])]
        parts.append(flat.tolist() if flat.dtype.kind in "iu" else [[f"{v:.7g}" for v in row] for row in flat.tolist()])
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([row, *(v for part in found for v in part)] for row, found in enumerate(zip(*parts, strict=True)))
