"""Prepares a table for `arraynn train` and `describe`: reads it, splits its rows, and chooses the columns' encoding."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._text import counted
from ..datasets.tables import TableFile, is_table_file, read_table
from ..encoding import (
    ClassTarget,
    Column,
    Learnt,
    Parts,
    Places,
    TableEncoding,
    is_missing,
    learn,
    learn_target,
    order_of,
)
from ..errors import DataError
from ._output import UsageError
from ._splits import folds_of, split

FOLDS = 5  #: default number of folds of a table whose number of rows, without the test rows, is in this range:
LEAST, MOST = 50, 2_000


@dataclass
class TableData:
    """A table, the encoding of its columns, and the split of its rows.

    indices : the row indices of each set. dropped : the number of rows without a target, which are not used. by : how
    the rows are split, as text. folds : (N,) the fold of each training row; None where one network is trained.
    """

    table: TableFile
    learnt: Learnt
    indices: dict[str, np.ndarray]
    dropped: int
    by: str
    folds: np.ndarray | None = None

    @property
    def encoding(self) -> TableEncoding:
        return self.learnt.encoding

    @property
    def learnt_rows(self) -> int:
        """The number of rows that one network is trained on."""
        count = len(self.indices["training"])
        return count if self.folds is None else count - count // (int(self.folds.max()) + 1)

    def sets(self) -> dict[str, tuple[Any, Any]]:
        """Encoded x and y of each set. The file is read once; large arrays go to temporary files."""
        return encoded(self.encoding, self.table, self.indices)


def encoded(encoding: TableEncoding, table: Any, indices: dict[str, np.ndarray]) -> dict[str, tuple[Any, Any]]:
    """Encoded x and y of each set of rows. The table is read once; large arrays go to temporary files."""
    size = 4 * (encoding.width + len(encoding.coded))
    total = size * sum(map(len, indices.values()))
    out = {
        name: Parts(len(rows), encoding.width, len(encoding.coded), beside=total - size * len(rows))
        for name, rows in indices.items()
    }
    targets: dict[str, list[np.ndarray]] = {name: [] for name in indices}
    done = dict.fromkeys(indices, 0)
    for chunk in table.chunks([one.name for one in (*encoding.used, *encoding.targets)]):
        for name, rows in indices.items():
            first, last = np.searchsorted(rows, [chunk.start, chunk.start + chunk.count])
            if first == last:
                continue
            part = chunk.take(rows[first:last] - chunk.start)
            out[name].add(done[name], *encoding.parts(part))
            done[name] += part.count
            targets[name].append(encoding.encode_targets(part))
    return {name: (parts.x, np.concatenate(targets[name]).view(Places)) for name, parts in out.items()}


def rows_with_targets(table: Any, targets: list[str], least: int = 1) -> np.ndarray:
    """The indices of rows that have every target. Raises DataError if there are fewer than `least`."""
    parts = [
        chunk.start + np.flatnonzero(np.all([_has_value(chunk.columns[name]) for name in targets], axis=0))
        for chunk in table.chunks(targets)
    ]
    rows = np.concatenate(parts) if parts else np.empty(0, np.int64)
    if len(rows) < least:
        needed = f"at least {least} {'is' if least == 1 else 'are'} needed"
        raise DataError(f"{table.path} has {counted(len(rows), 'row')} with a target; {needed}")
    return rows.astype(np.int32 if table.count < 2**31 else np.int64, copy=False)


def left_out(count: int) -> str:
    """The line that says how many rows have no target."""
    return f"{counted(count, 'row')} without a target {'is' if count == 1 else 'are'} left out"


def names_of(text: str | None) -> list[str]:
    """The names in a,b,c."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def open_table(arguments: Namespace, path: str) -> TableFile:
    """Open the table file, in the format that the command line gives."""
    separator = {"tab": "\t", None: None}.get(arguments.separator, arguments.separator)
    return read_table(
        path, separator=separator, encoding=arguments.encoding, decimal=arguments.decimal, sheet=arguments.sheet
    )


def table_for(model: Any, arguments: Namespace, path: str | None, option: str = "") -> TableFile | None:
    """The table at `path` for a model trained on a table; None if neither the model nor the file has a table.

    option : the text before the file on the command line, for errors. Raises DataError if only one of the model and
    the file has a table, or if the table has no rows.
    """
    is_table = path is not None and is_table_file(path)
    if model.encoding is None:
        if is_table:
            raise DataError(
                f"{path} is a table, and this model was not trained on one: it takes inputs of shape "
                f"{model.input_shape}; give it {option}FILE.npz, or a model of arraynn train {path} --target COLUMN"
            )
        return None
    if path is None or not is_table:
        prefix = "" if path is None else f"{path}: "
        raise DataError(
            f"{prefix}this model was trained on a table; give it {option}FILE, a .csv, .parquet, .jsonl or .xlsx"
        )
    table = open_table(arguments, path)
    if not table.count:
        raise DataError(f"{table.path} has no rows below its row of names")
    return table


def table_data(arguments: Namespace, validation: float) -> TableData:
    """Read the table of the command line, split its rows, and choose the encoding of its columns."""
    table = open_table(arguments, arguments.data)
    targets = names_of(arguments.target)
    if not targets:
        raise UsageError(f"a table needs --target, the column to predict: one of {', '.join(table.names[:30])}")
    requested = {name: names_of(getattr(arguments, name)) for name in ("numeric", "text", "categories")}
    drop = dict.fromkeys(names_of(arguments.drop), "as asked")
    named_columns = (
        requested
        | {"drop": [*drop]}
        | {name: [column] for name in ("group", "time") if (column := getattr(arguments, name)) is not None}
    )
    for option, columns in named_columns.items():
        for column in columns:
            if column not in table.names:
                raise DataError(f"--{option}: there is no column {column!r}; there are {', '.join(table.names[:30])}")
    if arguments.group and arguments.time:
        raise UsageError("--group and --time are two ways to split; give one of them")
    if arguments.group and arguments.group not in (*targets, *drop):
        drop[arguments.group] = "the column of --group"  # a group's code says nothing about rows of other groups
    if not table.count:
        raise DataError(f"{table.path} has no rows below its row of names")
    for name in targets:
        if name not in table.names:
            raise DataError(f"--target: there is no column {name!r}; there are {', '.join(table.names[:30])}")
    rows = rows_with_targets(table, targets, 2)
    labels = _labels(table, targets, arguments.task, rows)
    groups = _codes(table, arguments.group)[rows] if arguments.group else None
    times = order_of(table, arguments.time)[rows] if arguments.time else None
    if arguments.group:
        by = f"by --group {arguments.group}, each group in one set"
    elif arguments.time:
        by = f"by --time {arguments.time}, the latest rows last"
    else:
        by = "each class by its share" if labels is not None else "at random"
    test = arguments.test_split
    count = folds_asked(arguments, len(rows) - round(len(rows) * test))
    validation = 0.0 if count > 1 else validation
    parts = split(len(rows), validation, test, arguments.seed, labels=labels, groups=groups, times=times)
    folds = None
    if count > 1:
        own = [None if one is None else one[parts["training"]] for one in (labels, groups)]
        folds = folds_of(len(parts["training"]), count, arguments.seed, labels=own[0], groups=own[1])
    indices = {name: rows[part] for name, part in parts.items()}
    learnt = learn(table, targets, task=arguments.task, rows=indices["training"], drop=drop, **requested)
    return TableData(table, learnt, indices, table.count - len(rows), by, folds)


def folds_asked(arguments: Namespace, count: int) -> int:
    """The number of folds: as given by --folds, else FOLDS for a small table, else 1. count : rows without the test.

    Raises UsageError where --folds and another option exclude each other.
    """
    others = {"--time": arguments.time, "--validation-split": arguments.validation_split is not None}
    others |= {"--test-split 0": not arguments.test_split}
    conflicting = next((name for name, given in others.items() if given), None)
    if arguments.folds is None:
        return FOLDS if conflicting is None and not arguments.group and LEAST <= count <= MOST else 1
    if arguments.folds > 1 and conflicting is not None:
        raise UsageError(f"--folds and {conflicting} do not go together; give one of them")
    return int(arguments.folds)


def _labels(table: TableFile, targets: list[str], task: str | None, rows: np.ndarray) -> np.ndarray | None:
    """The classes of these rows as codes; None for a regression."""
    if len(targets) > 1:
        return None
    target = learn_target(table, targets[0], task, rows)
    if not isinstance(target, ClassTarget):
        return None
    codes = []
    for chunk in table.chunks(targets):
        first, last = np.searchsorted(rows, [chunk.start, chunk.start + chunk.count])
        part = chunk.take(rows[first:last] - chunk.start)
        codes.append(target.encoded(part.columns[targets[0]], part.where))
    return np.concatenate(codes)


def _has_value(column: Column) -> np.ndarray:
    """A mask of the rows that have a value in the column."""
    if column.kind == "text":
        return np.asarray(column.map_distinct(is_missing) == 0)
    return np.asarray(~np.isnan(column.values))


def _codes(table: TableFile, name: str) -> np.ndarray:
    """A code for each row by the text in the column, -1 for a missing value."""
    known: dict[str, int] = {}
    codes = []
    for chunk in table.chunks([name]):
        own, inverse = chunk.columns[name].as_text().factorized()
        code_of = [-1 if is_missing(word) else known.setdefault(str(word).strip(), len(known)) for word in own]
        codes.append(np.asarray(code_of or [-1])[inverse])
    return np.concatenate(codes) if codes else np.empty(0, int)
