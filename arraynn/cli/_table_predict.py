"""`arraynn predict` for a model trained on a table: writes the file's columns with the predictions beside them."""

from __future__ import annotations

import argparse
import csv
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .._text import counted
from ..encoding import Column


def predict_table(model: Any, table: Any, arguments: argparse.Namespace) -> int:
    """Write the rows with their predictions as CSV. A file is written atomically. Returns the exit code."""
    if arguments.out is None:
        _write(sys.stdout, _lines(model, table))
        return 0
    out = Path(os.path.realpath(arguments.out))
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("x", newline="", encoding="utf-8") as file:
            count = _write(file, _lines(model, table))
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    print(f"{counted(count, 'prediction')} in {arguments.out}")
    return 0


def _write(file: Any, lines: Iterator[list[Any]]) -> int:
    writer, count = csv.writer(file, lineterminator="\n"), -1
    for line in lines:
        writer.writerow(line)
        count += 1
    return count


def _lines(model: Any, table: Any) -> Iterator[list[Any]]:
    encoding = model.encoding
    targets = [f"prediction_{one.name}" for one in encoding.targets]
    added = ["prediction"] if len(targets) == 1 else targets
    added += [f"probability_{label}" for label in encoding.classes or ()]
    while any(name in table.names for name in added):  # a column of the file is never overwritten
        added = [name + "_" for name in added]
    encoding.require(table, encoding.used)
    header = [*table.names, *added]
    for chunk in table.chunks():
        x = encoding.encode(chunk)
        found = np.asarray(model.predict(x)).reshape(chunk.count, -1)
        numbers = found.dtype.kind == "f"
        parts = [[f"{v:.7g}" for v in row] if numbers else row for row in found.tolist()]
        if encoding.classes is not None:
            shares = np.asarray(model.backend.to_numpy(model.predict_proba(x))).tolist()
            parts = [[*part, *(f"{v:.7g}" for v in row)] for part, row in zip(parts, shares, strict=True)]
        cells = [_cells(chunk.columns[name]) for name in table.names]
        if header:  # written only after the first rows were found to fit the model
            yield header
            header = []
        for own, part in zip(zip(*cells, strict=True), parts, strict=True):
            yield [*own, *part]


def _cells(column: Column) -> list[Any]:
    """The cells as in the file; missing ones are empty."""
    values = column.values if column.kind == "text" else column.texts()
    return ["" if value is None else value for value in values]
