"""`Table` and `Column`: named columns of numbers, text, flags or dates, from data frames, files or mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, ShapeError
from ._values import is_missing, number

#: the kinds of columns
KINDS = ("number", "text", "flag", "date")


class Column:
    """The values of one column in some rows.

    kind : "number", "flag" (0 and 1) and "date" (seconds since 1970) hold float64, with nan for missing values; "text"
    holds strings and None. decimal : the decimal mark of the file that the texts are from, or None.
    """

    def __init__(self, kind: str, values: Any, decimal: str | None = None) -> None:
        self.kind, self.values, self.decimal = kind, values, decimal

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Any) -> Column:
        """The rows that a mask, a slice, or an array of indices selects."""
        return type(self)(self.kind, self.values[rows], self.decimal)

    # For text columns.

    def factorized(self, rows: Any = slice(None)) -> tuple[list[str | None], np.ndarray]:
        """(the distinct values in the order of their first rows, the index of each row's value among them)."""
        index_of: dict[str | None, int] = {}
        inverse = np.fromiter((index_of.setdefault(v, len(index_of)) for v in self.values[rows]), np.int64)
        return list(index_of), inverse

    def parsed_fast(self, decimal: str) -> np.ndarray | None:
        """The numbers that a faster parser finds, nan elsewhere; None if there is no such parser."""
        return None

    def beginning_with_zero(self) -> list[str]:
        """The texts that may be digits with a leading zero: those that begin with a zero, a sign or a space."""
        return [v for v in self.values if v is not None and v[:1] in "0+- \t"]

    def map_distinct(self, function: Callable[[str | None], float], rows: Any = slice(None)) -> np.ndarray:
        """The function of each value, called once for each distinct value."""
        values, inverse = self.factorized(rows)
        found: np.ndarray = np.asarray([function(value) for value in values] or [np.nan], np.float64)[inverse]
        return found

    def texts(self) -> Sequence[str | None]:
        """Each value as the text of a class or a category; an integer has no decimal point; None if missing."""
        if self.kind == "text":
            return [None if is_missing(v) else v.strip() for v in self.values]
        if self.kind == "date":
            return [None if np.isnan(v) else str(np.datetime64(int(v), "s")) for v in self.values]
        if self.kind == "flag":
            return [None if np.isnan(v) else str(bool(v)) for v in self.values]
        return [None if np.isnan(v) else number_text(v) for v in self.values.tolist()]

    def as_text(self) -> Column:
        """The same column as text."""
        return self if self.kind == "text" else Column("text", np.asarray([*self.texts(), None], object)[:-1])

    def numbers(self, decimal: str = ".") -> tuple[np.ndarray, np.ndarray]:
        """(float64 values, nan where missing or not a number; the indices of the texts that are not numbers)."""
        if self.kind != "text":
            return self.values, np.empty(0, np.int64)
        values = self.parsed_fast(decimal)
        if values is None:
            values = np.full(len(self), np.nan)
        unparsed = np.flatnonzero(~np.isfinite(values))
        if not unparsed.size:
            return values, unparsed
        words, inverse = self.factorized(unparsed)
        parsed = [np.nan if is_missing(word) else number(str(word), decimal) for word in words]
        values[unparsed] = np.asarray([np.nan if v is None else v for v in parsed] or [np.nan])[inverse]
        return values, unparsed[np.asarray([v is None for v in parsed] or [False])[inverse]]


@dataclass(frozen=True)
class Table:
    """Some rows of named columns.

    start : the index of the first row in the whole table. where : names the row at an index for an error, such as "row
    17 of houses.csv".
    """

    columns: Mapping[str, Column]
    count: int
    start: int = 0
    where: Callable[[int], str] = "row {}".format

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def chunks(self, names: Sequence[str] | None = None) -> Iterator[Table]:
        """The table in chunks that fit in memory: here, one chunk with all rows."""
        yield self

    def take(self, index_of: np.ndarray) -> Table:
        """The rows at these indices. Their `where` still names the rows of the original."""
        taken = {name: column.take(index_of) for name, column in self.columns.items()}
        return Table(taken, len(index_of), 0, lambda row: self.where(int(index_of[row])))


def number_text(value: float) -> str:
    """A number as text, without a decimal point if it is an integer.

    >>> number_text(3.0), number_text(0.25)
    ('3', '0.25')
    """
    return str(int(value)) if abs(value) < 2**53 and value == int(value) else repr(float(value))


def is_table(x: Any) -> bool:
    """Whether x is a table: a pandas or polars frame, a file opened by `datasets.read_table`, or {name: column}."""
    return hasattr(x, "chunks") or isinstance(x, Mapping) or (hasattr(x, "columns") and not callable(x.columns))


def as_table(frame: Any) -> Any:
    """Convert a frame to an object with `names`, `count` and `chunks()`. Raises DataError for anything else.

    frame : a pandas or polars frame; a mapping from names to sequences; an object of that kind is returned unchanged.
    """
    if hasattr(frame, "chunks") and hasattr(frame, "names"):
        return frame
    if not is_table(frame):
        raise DataError(f"a table is a frame of pandas or polars, a file, or a mapping from names, got {type(frame)}")
    names = list(frame) if isinstance(frame, Mapping) else list(frame.columns)
    checked_names(names, "the table")
    columns = {name: _column(name, frame[name]) for name in names}
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        raise ShapeError(f"the columns of a table must have the same number of rows, got {counts}")
    return Table(columns, next(iter(counts.values()), 0))


def checked_names(names: Sequence[Any], what: str) -> None:
    """Raise DataError unless all names are texts, none is empty and no two are equal."""
    for position, name in enumerate(names, 1):
        if not isinstance(name, str):
            raise DataError(
                f"{what}: the name of column {position} is {name!r}; names must be texts, as by map(str, …)"
            )
        if not name.strip():
            raise DataError(f"{what}: column {position} has no name; give it one")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{what} has {names.count(repeated)} columns named {repeated!r}; give each its own name")


def _column(name: str, series: Any) -> Column:
    """The column of a pandas or polars frame, an array or a list."""
    kind = str(getattr(series, "dtype", ""))
    if kind.startswith(("Date", "datetime64")) or (hasattr(series, "dt") and "datetime" in kind):
        return _dates(series)
    if kind in ("Boolean", "boolean", "bool"):
        return Column("flag", _floats(name, series))
    if kind.lower().rstrip("0123456789") in ("int", "uint", "float", "decimal"):
        return Column("number", _floats(name, series))
    values = series.to_list() if hasattr(series, "to_list") else list(series)  # also for NumPy arrays of objects
    return of_objects(name, [None if _is_missing_object(value) else value for value in values])


def _dates(series: Any) -> Column:
    values = np.asarray(series.dt.tz_convert(None) if getattr(series.dtype, "tz", None) else series)
    values = values.astype("datetime64[us]")
    seconds = values.astype(np.int64) / 1e6
    return Column("date", np.where(np.isnat(values), np.nan, seconds))


def _floats(name: str, series: Any) -> np.ndarray:
    if hasattr(series, "isna"):  # pandas: its nullable types have their own missing value
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan), np.float64)
    values = series.to_list() if hasattr(series, "to_list") and series.null_count() else np.asarray(series)
    if isinstance(values, list):
        values = [np.nan if value is None else value for value in values]
    return np.array(values, np.float64)


def _is_missing_object(value: Any) -> bool:
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def of_objects(name: str, values: list[Any], where: Callable[[int], str] = "row {}".format) -> Column:
    """A column from Python objects, None for missing ones. It has the kind that fits all of them, or else is text.

    Raises DataError for lists, dicts, arrays and other objects that are not a single value.
    """
    kinds = {type(value) for value in values if value is not None}
    if all(issubclass(kind, (bool, np.bool_)) for kind in kinds) and kinds:
        return Column("flag", np.asarray([np.nan if v is None else float(v) for v in values]))
    if kinds and all(issubclass(kind, (int, float, np.number)) or kind.__name__ == "Decimal" for kind in kinds):
        return Column("number", np.asarray([np.nan if v is None else float(v) for v in values], np.float64))
    if kinds and all(hasattr(kind, "isoformat") and hasattr(kind, "year") for kind in kinds):
        moments = np.asarray([np.datetime64("NaT") if v is None else np.datetime64(v, "s") for v in values])
        return Column("date", np.where(np.isnat(moments), np.nan, moments.astype("datetime64[s]").astype(float)))
    texts = []
    for row, value in enumerate(values):
        if isinstance(value, (list, tuple, dict, set, np.ndarray, bytes)):
            raise DataError(
                f"column {name!r} holds a {type(value).__name__} in {where(row)}; a cell is a number or a text"
            )
        texts.append(value if value is None or isinstance(value, str) else _text(value))
    return Column("text", np.asarray([*texts, None], object)[:-1])


def _text(value: Any) -> str:
    return number_text(float(value)) if isinstance(value, (float, np.floating)) and np.isfinite(value) else str(value)
