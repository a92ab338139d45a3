"""Warnings about data that can be trained on, but probably not as meant: a `DataWarning` with the remedy, once a fit.

All of it reads on the host, before the first step, and no more than some rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import tree
from .._array import is_float, namespace
from .._types import Array, Nest
from ..backends import number, of
from ..errors import warn_of_data
from .sharded_array import ShardedArray
from .validation import as_array

LOOKED_AT = 1 << 20  #: numbers of an array that are looked at, at most: the first rows
LARGE = 1e3  #: a network begins with outputs of about 1, and takes inputs of about 1


def of_labels(labels: Array, classes: int, ignore_label: int | None = None) -> None:
    """Warn where labels begin above 0 or leave a gap: of {10, 15} there would be 16 classes.

    labels : integers in [0, classes), or ignore_label. Rows of a single class say nothing, and a class that
    few rows miss by chance is no gap.
    """
    host = np.asarray(of(labels).to_numpy(labels)).astype(np.intp, copy=False)  # what bincount counts with
    counts = np.bincount(host[host != ignore_label] if ignore_label is not None else host, minlength=1)
    rows, present = int(counts.sum()), int(np.count_nonzero(counts))
    gaps = np.flatnonzero(counts == 0)
    if present < 2 or not len(gaps) or (rows < 10 * len(counts) and 2 * present > min(rows, len(counts))):
        return
    shown = ", ".join(map(str, gaps[:5])) + (", …" if len(gaps) > 5 else "")
    warn_of_data(
        f"the labels have {present} distinct values up to {len(counts) - 1}, and no row has the class {shown}; the "
        f"network has {classes} outputs and may answer any of them. If these are no classes, number the labels from 0 "
        f"without gaps, as by names, y = np.unique(y, return_inverse=True), and give the last layer len(names) outputs"
    )


def of_digits(what: str, values: Array, dtype: str) -> None:
    """Warn where values that differ are the same in float32, such as unix seconds.

    what : "x" or "y". values : as they were given, before the cast. Integers that are looked up are no numbers: not for
    them. A column is named where less than half of its distinct values are left.
    """
    if dtype != "float32" or not math.prod(values.shape) or not _wider(values):
        return
    columns = math.prod(values.shape[1:])
    rows = values[: min(max(LOOKED_AT // columns, 1), values.shape[0]), ...]  # the standard allows no shorter index
    host = np.asarray(of(rows).to_numpy(rows)).reshape(-1, columns)
    low, high = host.min(axis=0).astype(np.float64), host.max(axis=0).astype(np.float64)
    # fewer float32 numbers between the least and the greatest than two for each row: only then it is worth to count
    steps = np.maximum(np.abs(low), np.abs(high)) * 2.0**-23
    for column in np.flatnonzero((high > low) & (high - low < 2 * len(host) * steps))[:64]:
        given = np.unique(host[:, column])
        left = len(np.unique(given.astype(np.float32)))
        if 2 * left > len(given):
            continue
        where = what if len(values.shape) == 1 else f"column {column} of {what}"
        warn_of_data(
            f"{where} has {len(given)} distinct values from {given[0]:.15g} to {given[-1]:.15g}, of which float32 can "
            f"tell apart {left}: subtract where they begin, as by {what} - {what}.min(axis=0), and scale them, or take "
            f"dtype='float64'"
        )
        return


def _wider(values: Array) -> bool:
    """Whether the dtype has numbers that float32 has not."""
    xp = namespace(values)
    if is_float(values):
        return bool(xp.finfo(values.dtype).bits > 32)
    return bool(xp.isdtype(values.dtype, "integral")) and int(xp.iinfo(values.dtype).max) > 2**24


def remedy(x: Nest, targets: Array, values: bool) -> str:
    """What helps a run that has diverged on this batch: scaling, where its numbers are large. "" of others.

    values : whether the targets are numbers to be met, not classes.
    """
    said = []
    largest = max((_largest(leaf) for leaf in tree.leaves(x) if is_float(leaf)), default=0.0)
    if values and (most := _largest(targets)) > LARGE:
        said.append(
            f"the targets reach {most:.3g}: scale them, as by y = (y - mean) / std, and what is predicted back again"
        )
    if largest > LARGE:
        said.append(f"x reaches {largest:.3g}: scale its columns, as by x = (x - x.mean(axis=0)) / x.std(axis=0)")
    return "; ".join(said)


def _largest(values: Array) -> float:
    xp = namespace(values)
    return number(xp.max(xp.abs(values))) if math.prod(values.shape) else 0.0


def of_data(model: Any, x: Nest, y: Any, rows: Any) -> None:
    """Warn of data that are probably not meant as they are. rows : of the training, checked and moved."""
    if not model.integer_input:
        for part in tree.leaves(x):
            of_digits("x", part.own if isinstance(part, ShardedArray) else part, model.dtype)
    if model.loss.targets == "classes" and len(rows.targets.shape) == 1:
        of_labels(rows.targets, model.output_shape[-1], getattr(model.loss, "ignore_label", None))
    elif model.loss.targets == "values":
        of_digits("y", as_array("y", y), model.dtype)
