"""How x is made up: names of a frame's columns, a list where a tuple is meant, a batch axis that is missing."""

from __future__ import annotations

from typing import Any

from .._types import Nest
from ..errors import DataError
from .numeric import is_frame

Names = Any  #: a tuple of texts; None without names; of several inputs a tuple of these


def column_names(x: Any) -> Names:
    """The names of x's columns, where x is a data frame whose columns are named by texts; else None.

    Of a tuple of inputs a tuple, or None where no part has names.
    """
    if isinstance(x, tuple):
        parts = tuple(column_names(part) for part in x)
        return parts if any(part is not None for part in parts) else None
    names = list(x.columns) if is_frame(x) else []
    return tuple(map(str, names)) if names and all(isinstance(name, str) for name in names) else None


def same_columns(known: Names, given: Names) -> None:
    """Raise DataError where columns are named, were named when the model was trained, and are not the same."""
    if known is None or given is None or known == given:
        return
    if any(not isinstance(name, str) for name in (*known, *given)):  # several inputs
        for one, other in zip(known, given, strict=False):  # the shapes tell another number of inputs
            same_columns(None if isinstance(one, str) else one, None if isinstance(other, str) else other)
        return
    missing, unknown = ([name for name in a if name not in b] for a, b in ((known, given), (given, known)))
    if missing or unknown:
        differences = [f"lacks {_listed(missing)}"] * bool(missing) + [f"has {_listed(unknown)}"] * bool(unknown)
        raise DataError(
            f"x {' and '.join(differences)}, and the model was trained on the columns {_listed(known)}; "
            f"give these, in this order"
        )
    place = next((i for i, pair in enumerate(zip(known, given, strict=False)) if pair[0] != pair[1]), len(known))
    if place < min(len(known), len(given)):
        raise DataError(
            f"the columns of x stand in another order than those that the model was trained on: column {place} is "
            f"{given[place]!r}, not {known[place]!r}; reorder them, as by x[[{_listed(known)}]]"
        )


def _listed(names: Any) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown + (", …" if len(names) > 10 else "")


def not_a_list_of_inputs(x: Any, input_shape: Any = None, y: Any = None) -> None:
    """Raise DataError where x is a list of several inputs: arrays of as many rows each, which are no rows themselves.

    input_shape : of a row, where the model knows it. y : the targets, an array, where there are any.
    """
    if not isinstance(x, list) or len(x) < 2:
        return
    several = bool(input_shape) and isinstance(input_shape[0], tuple)
    shapes = [tuple(getattr(part, "shape", ())) for part in x]
    lengths = {shape[0] for shape in shapes if shape}
    arrays = all(shapes) and len(lengths) == 1  # the parts of nested lists have no shape
    parts = arrays and (
        (y is not None and lengths == set(y.shape[:1]) != {len(x)})
        or (input_shape is not None and shapes[0][1:] == input_shape)
        or len(set(shapes)) > 1
    )
    if several or parts:
        shown = f"a list of {len(x)} arrays of {min(lengths)} rows each" if arrays else f"a list of {len(x)} items"
        raise DataError(
            f"x is {shown}; a network with several inputs takes them as a tuple, (x1, x2), and one with a single input "
            f"takes one array"
        )


def batch_of(x: Nest, row: Any) -> str:
    """How x becomes a batch of rows of this shape, where it lacks the batch axis, or an axis of one behind; else ""."""
    if isinstance(x, tuple):
        return ""
    shape = tuple(x.shape)
    if shape[1:] == row:
        return ""
    if (*shape[1:], 1) == row:
        return "; one number a place has an axis of its own: x[..., None]"
    if (*shape, 1) == row:
        return f"; x has the shape {shape}: a single row is a batch of one, with an axis behind too: x[None, ..., None]"
    if len(shape) == len(row):
        return f"; x has the shape {shape}: a single row is a batch of one, x[None], or [x] of a list"
    return ""
