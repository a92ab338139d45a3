"""`arraynn predict`."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..model import Model
from ._folder import MODEL


def predict(arguments: argparse.Namespace) -> int:
    """Write a CSV of row, prediction and, of a classifier, probabilities. Returns the exit code."""
    path = Path(arguments.model)
    model = Model.load(path / MODEL if path.is_dir() else path, backend=arguments.backend)
    if model.encoding is not None:
        from ._table_predict import predict_table

        return predict_table(model, arguments)
    x = _rows(arguments.file)
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
    print(f"{len(x):,} predictions in {arguments.out}")
    return 0


def _rows(name: str) -> Any:
    """x, or x_test, of a .npz file: finite numbers. Raises DataError."""
    if not os.path.isfile(name):
        raise DataError(f"{name}: there is no such file, or it is not a plain file")
    try:
        with np.load(name, allow_pickle=False) as arrays:
            found = [key for key in ("x", "x_test") if key in arrays.files]
            if not found:
                there = ", ".join(arrays.files[:20]) or "nothing"
                raise DataError(f"{name} has {there}, and neither x nor x_test; write it by numpy.savez(path, x=x)")
            x = arrays[found[0]]
    except (DataError, MemoryError):
        raise
    except Exception as error:  # a damaged or pickled file raises one of a dozen types
        raise DataError(
            f"{name} cannot be read as .npz of numbers: {error}. Write it by numpy.savez(path, x=x)"
        ) from error
    if x.dtype.kind not in "biuf" or not x.ndim or not x.size:
        raise DataError(f"{name}: {found[0]} has type {x.dtype} and shape {x.shape}; it must hold numbers, a row each")
    bad = np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))
    if bad.size:
        raise DataError(f"{name}: {found[0]} has a number that is not finite in row {bad[0]}; drop such rows")
    return x


def _write(file: Any, columns: dict[str, Any]) -> None:
    """A header, and a line for each row. Columns of more than one number are numbered: probability_0, …"""
    header, parts = ["row"], []
    for name, values in columns.items():
        flat = np.asarray(values).reshape(len(values), -1)
        header += [name] if flat.shape[1] == 1 else [f"{name}_{i}" for i in range(flat.shape[1])]
        parts.append(flat.tolist() if flat.dtype.kind in "iu" else [[f"{v:.7g}" for v in row] for row in flat.tolist()])
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([row, *(v for part in found for v in part)] for row, found in enumerate(zip(*parts, strict=True)))
