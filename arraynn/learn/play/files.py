"""Reads a user's own data for the page, from a .npz file or from columns of a table, and checks it can be drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._names import guess
from ...datasets import load_npz
from ...datasets.tables import TableFile, is_table_file, read_table
from ...encoding import ClassTarget, Column, is_missing, learn_target
from ...errors import DataError

MAX_ROWS = 20_000  #: rows that a page draws, at most
MAX_CLASSES = 8


@dataclass(frozen=True)
class File:
    """A user's own data. x : (N, 1) or (N, 2); y : classes (N,), or values (N, 1).

    columns : for a table, the names of its inputs and of its target; None for a .npz file.
    """

    path: str
    x: Any
    y: Any
    x_test: Any = None
    y_test: Any = None
    columns: tuple[tuple[str, ...], str] | None = None


def load_table(path: str | os.PathLike[str], x: Sequence[str], target: str) -> tuple[Any, Any]:
    """Columns of a table as a network's data: x float32 (N, 1) or (N, 2), and y int64 (N,) classes or float32 (N, 1).

    path : CSV and the other files that `arraynn train` reads, with the extra `tables`. x : one or two columns of
        numbers. target : a column, by the rules of `arraynn train`: classes, numbered in their order, or values.

    Each column of numbers is standardized: the mean is subtracted, then it is divided by the standard deviation. Rows
    without a number in x or without a target are left out. Raises DataError, which names the file and the column.
    """
    names, table = tuple(x), read_table(path)
    if len(names) not in (1, 2):
        raise DataError(f"x names {len(names)} columns; the page draws 1 or 2 of {_column_list(table)}")
    for name in (*names, target):
        if name not in table.names:
            raise DataError(
                f"{table.path} has no column {name!r}{guess(name, table.names)}; its columns are {_column_list(table)}"
            )
    if len({*names, target}) < len(names) + 1:
        raise DataError(f"x and target must be different columns, got {', '.join((*names, target))}")
    if not 2 <= table.count <= MAX_ROWS:
        raise DataError(f"{table.path} has {table.count} rows; the page draws 2 to {MAX_ROWS}")
    inputs = np.stack([_numbers(table, name) for name in names], axis=1)
    kept = np.isfinite(inputs).all(axis=1) & _has_target(table, target)
    if (count := int(kept.sum())) < 2:
        rows = f"{count} row{'s' * (count != 1)}"
        raise DataError(
            f"{table.path} has {rows} with numbers in {', '.join(names)} and a {target}; at least 2 are needed"
        )
    encoding = learn_target(table, target, None, kept)
    if not isinstance(encoding, ClassTarget):
        values = _numbers(table, target)[kept]
        return _standardized(inputs[kept]), _standardized(values[:, None])
    classes = [encoding.encoded(_part(chunk, kept, target), chunk.where) for chunk in table.chunks([target])]
    return _standardized(inputs[kept]), np.concatenate(classes)


def open_data(path: str, x: str | None = None, target: str | None = None) -> File:
    """The data that `--data`, `--x` and `--target` name. Raises DataError."""
    if is_table_file(path):
        names = tuple(name.strip() for name in (x or "").split(",") if name.strip())
        if not names or not target:
            raise DataError(
                f"{path} is a table: name its columns, --x a,b --target c, out of {_column_list(read_table(path))}"
            )
        return _checked(File(path, *load_table(path, names, target), columns=(names, target)))
    if x is not None or target is not None:
        raise DataError(f"--x and --target name columns of a table; {path} is no table by the ending of its name")
    rows, y, x_test, y_test = load_npz(path)
    has_classes = y.dtype.kind in "iub"
    if has_classes and y_test is not None and y_test.dtype.kind not in "iub":
        raise DataError(
            f"{path}: y holds classes, y_test {y_test.dtype} values; save both as integers, or both as floats"
        )
    targets = [
        None if one is None else one.reshape(-1).astype(np.int64) if has_classes else _flat(one) for one in (y, y_test)
    ]
    return _checked(File(path, _flat(rows), targets[0], _flat(x_test), targets[1]))


def _checked(file: File) -> File:
    """Return the file if a page can draw it. Raises DataError otherwise."""
    path, x = file.path, file.x
    if len(x) > MAX_ROWS:
        raise DataError(f"{path}: {len(x)} rows are more than the {MAX_ROWS} that the page draws; save fewer rows")
    _check(path, "x", "y", x, file.y)
    if file.x_test is not None:
        _check(path, "x_test", "y_test", file.x_test, file.y_test)
    return file


def _check(path: str, inputs: str, targets: str, x: Any, y: Any) -> None:
    """Raise DataError for rows that a page cannot draw."""
    if x.shape[1] not in (1, 2):
        raise DataError(f"{path}: a row of {inputs} has {x.shape[1]} numbers; the page draws 1 or 2")
    if y.ndim == 1 and not 0 <= y.min() <= y.max() < MAX_CLASSES:
        raise DataError(
            f"{path}: {targets} holds classes {y.min()} to {y.max()}; the page takes 0 to {MAX_CLASSES - 1}"
        )
    if y.ndim == 2 and y.shape[1] != 1:
        raise DataError(f"{path}: {targets} has {y.shape[1]} columns; the page draws one")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(f"{path} holds numbers that are not finite in {inputs} or {targets}")
    if len(y) != len(x):
        raise DataError(f"{path}: {len(x)} rows of {inputs} and {len(y)} targets; they must agree")


def _flat(part: Any) -> Any:
    return None if part is None else np.asarray(part, np.float32).reshape(len(part), -1)


def _column_list(table: TableFile) -> str:
    return ", ".join(table.names[:30]) + (", …" if len(table.names) > 30 else "")


def _numbers(table: TableFile, name: str) -> np.ndarray:
    """A column as (N,) float64, nan where the cell is empty. Raises DataError for a cell that is no number."""
    parts = []
    for chunk in table.chunks([name]):
        column = chunk.columns[name]
        values, wrong = column.numbers(table.decimal)
        wrong = np.concatenate([wrong, np.flatnonzero(np.isinf(values))])
        if column.kind == "date" or wrong.size:
            row = int(wrong[0]) if wrong.size else 0
            found = "a date" if column.kind == "date" else repr(str(column.values[row])[:40])
            raise DataError(f"{table.path}: column {name!r} must hold numbers, but has {found} in {chunk.where(row)}")
        parts.append(values)
    return np.concatenate(parts)


def _has_target(table: TableFile, name: str) -> np.ndarray:
    """(N,) bool: whether the row has a value in this column."""
    return np.concatenate([_has_value(chunk.columns[name]) for chunk in table.chunks([name])])


def _has_value(column: Column) -> np.ndarray:
    has_value = column.map_distinct(is_missing) == 0 if column.kind == "text" else ~np.isnan(column.values)
    return np.asarray(has_value)


def _part(chunk: Any, kept: np.ndarray, name: str) -> Column:
    column: Column = chunk.take(np.flatnonzero(kept[chunk.start : chunk.start + chunk.count])).columns[name]
    return column


def _standardized(values: np.ndarray) -> np.ndarray:
    """Each column minus its mean, divided by its standard deviation. A column of equal numbers becomes zeros."""
    varies = values.min(axis=0) < values.max(axis=0)  # by rounding, std of equal numbers may be 1e-17, not 0
    spread = np.where(varies, values.std(axis=0), 1)
    return (np.where(varies, values - values.mean(axis=0), 0) / spread).astype(np.float32)
