"""Check that class labels lie in [0, K): on the host, before a step or in a loss itself, never in a traced program."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from .._array import namespace
from .._types import Array
from ..backends import number, of
from ..errors import DataError


def check_labels(
    labels: Array, classes: int, ignore_label: int | None = None, sample_weight: Array | None = None, /
) -> None:
    """Raise DataError unless each integer label that counts lies in [0, classes).

    labels : integers, any shape, of any library; except on NumPy the check waits for the device, once.
    classes : K, how many there are. ignore_label : labels of this value do not count; None is none.
    sample_weight : (N,), shaped as labels; those of weight 0 do not count. None is ones.

    On NumPy the losses over classes and the step of `make_train_step` check labels themselves. On other libraries a
    label out of range is a row without a target, so check once, before the loop. `Model` always does.

    >>> import numpy as np
    >>> check_labels(np.asarray([0, 2, -100]), 3, -100)
    """
    if isinstance(labels, np.ndarray) and _within(labels, classes):
        return
    xp = namespace(labels)
    with of(labels).context():
        wrong = (labels < 0) | (labels >= classes)
        if ignore_label is not None:
            wrong = wrong & (labels != ignore_label)
        if sample_weight is not None:
            wrong = wrong & (sample_weight != 0)
        if not number(xp.astype(xp.any(wrong), xp.int32)):
            return
        flat, places = xp.reshape(labels, (-1,)), xp.reshape(xp.astype(wrong, xp.int32), (-1,))
        row = int(number(xp.argmax(places)))
        value = int(number(flat[row]))
    raise DataError(
        f"class labels must lie in [0, {classes}), got {value} in row {row}: there are {classes} outputs; number the "
        f"classes from 0, as by np.unique(labels, return_inverse=True)[1], or widen the output layer"
    )


def check_host_labels(targets: Any, classes: int, ignore_label: int | None, sample_weight: Any) -> None:
    """`check_labels` of NumPy's integer classes (N,); other labels are not read. 2 µs for 300 labels."""
    if are_host_labels(targets) and not _within(targets, classes):
        check_labels(targets, classes, ignore_label, sample_weight)


def are_host_labels(targets: Any) -> bool:
    """Whether these are NumPy's integer classes (N,), which can be read without waiting for a device."""
    return isinstance(targets, np.ndarray) and targets.ndim == 1 and targets.dtype.kind in "iu"


def _within(labels: np.ndarray, classes: int) -> bool:
    """One pass is enough: read as unsigned, a label below 0 is a large one."""
    return not labels.size or bool(np.maximum.reduce(labels.view(_unsigned(labels.dtype)), None) < classes)


@cache
def _unsigned(dtype: np.dtype) -> np.dtype:
    return np.dtype(dtype.str.replace("i", "u"))
