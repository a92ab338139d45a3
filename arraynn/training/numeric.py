"""Numbers from lists, data frames and arrays of objects. Where there are none, an error names the remedy."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from ..errors import DataError

MISSING = ("NoneType", "NAType", "NaTType")  #: of Python and pandas; nan is a number, which `finite` refuses by its row

ENCODED = "; or let the model encode the table: nn.Model(…, encoding=nn.TableEncoding.learn(table, 'target'))"
CATEGORIES = ("category", "categorical", "enum")  #: how the dtypes of such columns begin


def numeric(what: str, values: Any) -> np.ndarray:
    """values as a NumPy array of booleans, integers or floats.

    values : nested lists, a NumPy array, or a data frame or series of pandas or polars. Of frames and series, booleans
        beside floats, nullable columns without missing values, and columns of Decimals are taken as the numbers that
        they are.
    Raises DataError for text, dates, complex numbers, arrays of objects, sparse matrices and missing values, with the
    remedy for each.
    """
    if hasattr(values, "tocsr") or (hasattr(values, "todense") and hasattr(values, "nnz")):
        raise DataError(f"{what} is a sparse matrix, and layers take dense arrays; pass {what}.toarray()")
    if is_frame(values):
        return _frame(what, values)
    try:
        array = np.asarray(values)  # subclasses of ndarray too: a matrix, say, is indexed by other rules
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{what} cannot be made an array: {error}; give every row the same length") from None
    return _plain(what, array, values)


def is_frame(values: Any) -> bool:
    """Whether values are a table of named columns, as pandas and polars have them."""
    return hasattr(values, "columns") and hasattr(values, "dtypes") and len(getattr(values, "shape", ())) == 2


def _frame(what: str, frame: Any) -> np.ndarray:
    dtypes = [str(dtype).lower() for dtype in frame.dtypes]
    categories = [name for name, dtype in zip(frame.columns, dtypes, strict=True) if dtype.startswith(CATEGORIES)]
    if categories:
        raise DataError(
            f"{what} must hold real numbers, but column {categories[0]!r} is categorical; give each category a column "
            f"of 0 and 1, as by pandas.get_dummies({what}){ENCODED}"
        )
    if all(dtype.startswith(("int", "uint", "float", "bool")) for dtype in dtypes):
        array = np.asarray(frame)  # often without a copy
        if array.dtype.kind in "fiub":
            return array
    # one by one: as a whole, booleans beside floats are objects in pandas, and dates are numbers in polars
    found = [_plain(f"column {name!r} of {what}", np.asarray(column), column) for name, column in _columns(frame)]
    return np.column_stack(found) if found else np.empty(frame.shape)


def _columns(frame: Any) -> Iterator[tuple[Any, Any]]:
    """(name, column) of each; names may be there twice."""
    if hasattr(frame, "iloc"):
        return ((name, frame.iloc[:, place]) for place, name in enumerate(frame.columns))
    return ((name, frame[:, place]) for place, name in enumerate(frame.columns))


def _plain(what: str, array: np.ndarray, given: Any) -> np.ndarray:
    """The array where it holds numbers, one of the numbers that a column's objects are, or a DataError."""
    kind = array.dtype.kind
    if kind in "fiub":
        return array
    if kind == "O" and array.shape:
        return _of_objects(what, array, hasattr(given, "dtype") and not isinstance(given, np.ndarray))
    example = {"M": np.datetime64, "m": np.timedelta64, "c": complex, "U": str, "S": bytes, "T": str}.get(kind)
    raise DataError(
        f"{what} must hold real numbers, got dtype {array.dtype}"
        f"{'' if array.shape else f' from {type(given).__name__}'}; {_remedy(what, example or type(given), kind)}"
    )


def _of_objects(what: str, array: np.ndarray, column: bool) -> np.ndarray:
    """The numbers that the objects of a column are. Whoever made an array of objects has to cast it."""
    items = array.reshape(-1).tolist()
    numbers = (Real, Decimal, np.bool_)  # NumPy registers its integers and floats as Real
    wrong = {kind for kind in set(map(type, items)) if not issubclass(kind, numbers)}
    if wrong:
        place = next(i for i, item in enumerate(items) if type(item) in wrong)
        row, kind = place // max(array[:1].size, 1), type(items[place])
        shown = f"{items[place]!r:.60}"
        if kind.__name__ in MISSING:
            raise DataError(f"{what} has no value in row {row} ({shown}); fill missing values in, or drop such rows")
        raise DataError(
            f"{what} must hold real numbers, got dtype object with {shown} in row {row}; {_remedy(what, kind, 'O')}"
        )
    if not column:
        raise DataError(
            f"{what} must hold real numbers, got dtype object, of numbers; cast it, as by {what}.astype(float)"
        )
    plain = (int, float, np.bool_, np.integer, np.floating)
    found = np.array([item if isinstance(item, plain) else float(item) for item in items])
    if found.dtype.kind == "O":  # integers beyond 64 bits
        found = np.array([float(item) for item in items])
    return found.reshape(array.shape)


def _remedy(what: str, kind: type, dtype_kind: str) -> str:
    """What to do about values of this type."""
    name = what.rpartition(" of ")[2]  # of a column too
    if issubclass(kind, (str, bytes)):
        if name == "y":
            return f"number classes that are words, as by np.unique({name}, return_inverse=True)[1]"
        return (
            f"numbers that are kept as text become numbers by {name}.astype(float); words that name categories become "
            f"a column of 0 and 1 for each, as by pandas.get_dummies{ENCODED if ' of ' in what else ''}"
        )
    if issubclass(kind, (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)):
        return (
            "take numbers of dates and times, such as days since the first: (day - day.min()) / np.timedelta64(1, 'D')"
        )
    if issubclass(kind, (complex, np.complexfloating)):
        return f"give real and imaginary parts, as by np.stack([{name}.real, {name}.imag], axis=-1)"
    if dtype_kind == "V":
        return f"give an array of one dtype, as by numpy.lib.recfunctions.structured_to_unstructured({name})"
    if issubclass(kind, (list, tuple, np.ndarray)):
        return "give every row the same length"
    return "give an array, a data frame, or nested lists of numbers"
