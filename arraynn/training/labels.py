"""Labels of classes: what people call them, and their places, which are the network's outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._array import is_array
from .._types import Array
from ..backends import of
from ..encoding import Places
from ..errors import DataError, ShapeError
from .validation import as_array


def checked_classes(classes: Any, encoding: Any) -> tuple[Any, ...] | None:
    """classes as a tuple of different texts, numbers or booleans; those of a table's encoding where it has any.

    Raises DataError for others, and where both are given and differ.
    """
    own = None if encoding is None else encoding.classes
    if classes is None:
        return own
    if isinstance(classes, str) or not isinstance(classes, (Sequence, np.ndarray)):
        raise DataError(f"classes must be a sequence of labels, such as ('ham', 'spam'), got {classes!r}")
    found = tuple(label.item() if isinstance(label, np.generic) else label for label in classes)
    wrong = [label for label in found if not isinstance(label, (bool, int, str))]
    if wrong:
        raise DataError(f"a label must be a text, a whole number or a boolean, got {wrong[0]!r}")
    if len(set(found)) < len(found) or len(found) < 2:
        raise DataError(f"classes must be at least two labels that differ from each other, got {found}")
    if own is not None and own != found:
        raise DataError(f"classes are {found}, but the encoding's target has {own}; give one of them")
    return found


def numbered(classes: tuple[Any, ...], y: Any, ignored: int | None = None) -> Any:
    """The place of each label among the classes: (N,) int64. Distributions (N, K) are passed on as they are, and so are
    targets that an encoding has numbered. ignored : a number that stands for no class, passed on too.

    Raises DataError for a label that is none of the classes, naming it and its row.
    """
    if isinstance(y, Places):
        return y
    host = of(y).to_numpy(y) if is_array(y) and not isinstance(y, np.ndarray) else y
    if not isinstance(host, np.ndarray):
        host = _as_labels(host)
    if host.ndim == 2 and host.dtype.kind == "f" and host.shape[1] == len(classes):
        return y
    if host.ndim == 2 and host.shape[1] == 1:
        host = host[:, 0]
    if host.ndim != 1:
        raise ShapeError(f"labels must have shape (N,), or (N, {len(classes)}) for distributions, got {host.shape}")
    places = {label: k for k, label in enumerate(classes)}
    if ignored is not None:
        places.setdefault(ignored, ignored)
    if host.dtype.kind == "O":
        values, inverse = list(dict.fromkeys(host.tolist())), None
    else:
        different, inverse = np.unique(host, return_inverse=True)
        values = different.tolist()
    for value in values:
        if value not in places or isinstance(value, bool) is not isinstance(_same(value, places), bool):
            row = next(i for i, label in enumerate(host.tolist()) if label == value)
            known = ", ".join(map(repr, classes[:10])) + (", …" if len(classes) > 10 else "")
            raise DataError(f"the label {value!r} in row {row} is none of the classes {known}")
    if inverse is None:
        return np.fromiter((places[value] for value in host.tolist()), np.int64, len(host))
    return np.asarray([places[value] for value in values], np.int64)[inverse]


def as_numbers(classes: tuple[Any, ...] | None, loss: Any, y: Any) -> Array:
    """y as an array of numbers: labels as their places among the classes, marked as such."""
    if classes is None:
        return as_array("y", y)
    places = as_array("y", numbered(classes, y, getattr(loss, "ignore_label", None)))
    return places.view(Places) if isinstance(places, np.ndarray) else places  # not to be numbered again


def _same(value: Any, places: Mapping[Any, int]) -> Any:
    """The label of the classes that equals the value: True equals 1, and yet is another."""
    return next(label for label in places if label == value)


def _as_labels(values: Any) -> np.ndarray:
    if hasattr(values, "to_numpy"):  # a series of pandas or polars
        return np.asarray(values.to_numpy())
    values = list(values)
    kinds = {type(value) for value in values}
    if len(kinds) > 1 and any(issubclass(kind, str) for kind in kinds):  # NumPy would make texts of the numbers
        return np.asarray([*values, None], object)[:-1]
    return np.asarray(values)


def named(classes: tuple[Any, ...], places: Any) -> np.ndarray:
    """The label at each place, as a NumPy array: of text, of int64, of bool, or of objects where they are mixed."""
    alike = len({type(label) for label in classes}) == 1
    labels = np.asarray(classes) if alike else np.asarray([*classes, None], object)[:-1]
    found: np.ndarray = labels[np.asarray(of(places).to_numpy(places)).astype(np.int64)]
    return found


def check_outputs(classes: tuple[Any, ...] | None, loss: Any, output_shape: Any) -> None:
    """Raise ShapeError unless there is an output for each class, or one for two of a loss of yes and no."""
    if classes is None:
        return
    wanted = (1,) if loss.targets == "binary" and len(classes) == 2 else (len(classes),)
    if tuple(output_shape) not in (wanted, (len(classes),)):
        raise ShapeError(
            f"there are {len(classes)} classes, and the network has outputs of shape {tuple(output_shape)}"
        )


def weights_by_place(classes: tuple[Any, ...], class_weight: Any) -> Any:
    """{label: weight} as {place: weight}; "balanced" and None as they are. DataError for other labels."""
    if not isinstance(class_weight, Mapping):
        return class_weight
    places = {label: k for k, label in enumerate(classes)}
    unknown = [label for label in class_weight if label not in places]
    if unknown:
        raise DataError(
            f"class_weight has {unknown[0]!r}, which is none of the classes {', '.join(map(repr, classes[:10]))}"
        )
    return {places[label]: weight for label, weight in class_weight.items()}


def class_table(class_weight: Any, labels: np.ndarray, classes: int) -> np.ndarray:
    """The weight of each class, as an array."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(labels.astype(np.intp, copy=False), minlength=classes)
        balanced: np.ndarray = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        return balanced
    if not isinstance(class_weight, Mapping):
        raise DataError(f"class_weight must be 'balanced' or a mapping from class to weight, got {class_weight!r}")
    table = np.ones(classes)
    for label, value in class_weight.items():
        if label not in range(classes) or not isinstance(value, (int, float, np.number)) or not 0 <= value < math.inf:
            raise DataError(
                f"class_weight has {label!r}: {value!r}; classes are 0 to {classes - 1}, weights at least 0"
            )
        table[range(classes).index(label)] = value  # as a bool would pick all rows of the table, and 1.0 none
    return table
