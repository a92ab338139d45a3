"""The encodings of a column: hyperparameters that turn its cells into columns of numbers, or into codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._hyperparameters import is_integer
from .._text import brief, counted
from ..errors import DataError
from ._frame import Column, number_text
from ._values import FLAGS, date, is_missing

Where = Callable[[int], str]  #: names the row at an index, for an error

WEEK, DAY = 7 * 86400.0, 86400.0
YEAR = 365.2425 * DAY


class Encoded:
    """The base class of column encodings.

    name : of the column. width : the number of columns it becomes. code : whether it becomes integers for an embedding
    instead.
    """

    name: str
    code: ClassVar[bool] = False

    @property
    def width(self) -> int:
        return 0

    def features(self, column: Column, where: Where) -> np.ndarray:
        """The encoded column: (N, width) float64, or (N,) int64 codes.

        Raises DataError, which names column, row and value, for a cell that does not fit.
        """
        raise NotImplementedError(f"{type(self).__name__} must define features")

    def description(self) -> str:
        """The encoding as text for the user."""
        raise NotImplementedError(f"{type(self).__name__} must define description")


@dataclass(frozen=True)
class NumberColumn(Encoded):
    """A number v, standardized: (v - mean) / scale. A missing v is `fill`; with `gaps`, a second column is 1 there.

    scale : above 0. decimal : "." or ",", the mark in texts. stray : whether texts that are not numbers count as
    missing, as some were in the training rows; else they are errors.
    """

    name: str
    mean: float
    scale: float
    fill: float
    gaps: bool = False
    stray: bool = False
    decimal: str = "."

    def __post_init__(self) -> None:
        _check_fields(self.name, mean=self.mean, scale=self.scale, fill=self.fill)
        if self.scale <= 0 or self.decimal not in (".", ","):
            raise ValueError(f"scale must be above 0 and decimal '.' or ',', got {self.scale!r}, {self.decimal!r}")

    @property
    def width(self) -> int:
        return 1 + self.gaps

    def features(self, column: Column, where: Where) -> np.ndarray:
        values = numbers(self.name, column, where, self.decimal, self.stray)
        return _with_gaps(np.where(np.isnan(values), self.fill, values)[:, None], values, self, (self.mean, self.scale))

    def description(self) -> str:
        gaps = f"; gaps become {brief(self.fill)}, marked by a column" if self.gaps else ""
        return f"number, {standardized('x', self.mean, self.scale)}{gaps}"


@dataclass(frozen=True)
class FlagColumn(Encoded):
    """True or false as 1 or 0, missing as 0; with `gaps`, a second column is 1 where the value is missing.

    Texts are true and false, yes and no, t and f, y and n, in any case; numbers are 1 and 0.
    """

    name: str
    gaps: bool = False

    def __post_init__(self) -> None:
        _check_fields(self.name)

    @property
    def width(self) -> int:
        return 1 + self.gaps

    def features(self, column: Column, where: Where) -> np.ndarray:
        if column.kind == "text":
            values = column.map_distinct(lambda word: FLAGS.get((word or "").strip().lower(), np.inf))
            values[column.map_distinct(is_missing) > 0] = np.nan
        else:
            values = column.values
        wrong = np.flatnonzero(~np.isnan(values) & (values != 0) & (values != 1))
        if wrong.size or column.kind == "date":
            _raise_bad_cell(self.name, column, int(wrong[0]) if wrong.size else 0, where, "true or false was expected")
        return _with_gaps(np.nan_to_num(values)[:, None], values, self, (0.0, 1.0))

    def description(self) -> str:
        return "true or false" + ("; gaps marked by a column" if self.gaps else "")


@dataclass(frozen=True)
class CategoryColumn(Encoded):
    """One-hot encoding: column k is 1 where the text is values[k]; with `gaps`, a last column is 1 where it is missing.

    A text that is none of the values, such as a new one at prediction, is 0 in all columns.
    """

    name: str
    values: tuple[str, ...]
    gaps: bool = False

    def __post_init__(self) -> None:
        _check_fields(self.name)
        _check_values(self.values)

    @property
    def width(self) -> int:
        return len(self.values) + self.gaps

    def features(self, column: Column, where: Where) -> np.ndarray:
        codes = coded(column, self.values)
        missing = codes == 1
        one_hot = codes[:, None] == np.arange(2, 2 + len(self.values))
        return np.concatenate([one_hot, missing[:, None]], axis=1) if self.gaps else one_hot

    def description(self) -> str:
        return f"one-hot, {counted(len(self.values), 'value')}" + (" and gaps" if self.gaps else "")


@dataclass(frozen=True)
class EmbeddedColumn(Encoded):
    """An integer code for an embedding: 2 + k for the text values[k], 1 for a missing value, 0 for every other text.

    units : the length of the vector that the embedding has for each code.
    """

    name: str
    values: tuple[str, ...]
    units: int

    code: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_fields(self.name)
        _check_values(self.values)
        if not is_integer(self.units, 1):
            raise ValueError(f"units must be an integer of at least 1, got {self.units!r}")

    @property
    def vocabulary(self) -> int:
        """The number of codes."""
        return 2 + len(self.values)

    def features(self, column: Column, where: Where) -> np.ndarray:
        return coded(column, self.values)

    def description(self) -> str:
        return f"embedded, {counted(len(self.values), 'value')}, gaps and others, {self.units} numbers each"


@dataclass(frozen=True)
class DateColumn(Encoded):
    """A date, t seconds since 1970: (t - mean) / scale, then sin(2π t / p) and cos(2π t / p) for each period p.

    periods : some of "year", "week", "day". gaps : whether a last column is 1 where the date is missing; t is the mean
    there. day_first : whether 1/2/2024 is 1 February, not 2 January.
    """

    name: str
    mean: float
    scale: float
    periods: tuple[str, ...]
    gaps: bool = False
    day_first: bool = True

    LENGTHS: ClassVar[dict[str, float]] = {"year": YEAR, "week": WEEK, "day": DAY}

    def __post_init__(self) -> None:
        _check_fields(self.name, mean=self.mean, scale=self.scale)
        if self.scale <= 0 or not set(self.periods) <= set(self.LENGTHS):
            raise ValueError(f"scale must be above 0, periods of {', '.join(self.LENGTHS)}, got {self!r}")

    @property
    def width(self) -> int:
        return 1 + 2 * len(self.periods) + self.gaps

    def features(self, column: Column, where: Where) -> np.ndarray:
        times = seconds(self.name, column, where, self.day_first)
        filled = np.where(np.isnan(times), self.mean, times)
        parts = [(filled - self.mean) / self.scale]
        for period in self.periods:
            angle = 2 * math.pi / self.LENGTHS[period] * filled
            parts += [np.sin(angle), np.cos(angle)]
        return _with_gaps(np.stack(parts, axis=1), times, self, (0.0, 1.0))

    def description(self) -> str:
        parts = ", ".join(["date: time", *(f"time of {period}" for period in self.periods)])
        return parts + ("; gaps marked by a column" if self.gaps else "")


@dataclass(frozen=True)
class LeftOut(Encoded):
    """A column that is not an input of the network. reason : why."""

    name: str
    reason: str

    def __post_init__(self) -> None:
        _check_fields(self.name)
        if not isinstance(self.reason, str):
            raise ValueError(f"reason must be a text, got {self.reason!r}")

    def description(self) -> str:
        return f"left out: {self.reason}"


# Shared by several encodings.


def standardized(letter: str, mean: float, scale: float) -> str:
    """The formula of a standardized number.

    >>> standardized("x", 2.0, 1.5), standardized("y", -2.0, 10000.0)
    ('(x - 2) / 1.5', '(y + 2) / 10,000')
    """
    return f"({letter} {'+' if mean < 0 else '-'} {brief(abs(mean))}) / {brief(scale)}"


def numbers(name: str, column: Column, where: Where, decimal: str, stray: bool = False) -> np.ndarray:
    """A column as float64, nan where missing. Raises DataError for infinite numbers and, unless `stray`, for texts.

    decimal : the mark in texts, for columns that do not know the mark of their own file.
    """
    if column.kind == "date":
        _raise_bad_cell(name, column, 0, where, "a number was expected")
    values, wrong = column.numbers(column.decimal or decimal)
    if wrong.size and not stray:
        _raise_bad_cell(name, column, int(wrong[0]), where, "a number was expected")
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        _raise_bad_cell(name, column, int(infinite[0]), where, "every number must be finite")
    return values


def seconds(name: str, column: Column, where: Where, day_first: bool) -> np.ndarray:
    """A column as float64 seconds since 1970, nan where missing. Raises DataError for a cell that is not a date."""
    if column.kind == "date":
        return np.asarray(column.values)
    if column.kind != "text":
        _raise_bad_cell(name, column, 0, where, "a date was expected")

    def moment(word: str | None) -> float:
        if is_missing(word):
            return math.nan
        found = date(str(word), day_first)
        return math.inf if found is None else found

    values = column.map_distinct(moment)
    wrong = np.flatnonzero(np.isinf(values))
    if wrong.size:
        _raise_bad_cell(name, column, int(wrong[0]), where, "a date was expected")
    return values


def coded(column: Column, values: tuple[str, ...]) -> np.ndarray:
    """A column as int64 codes: 2 + k for the text values[k], 1 for a missing value, 0 for every other text."""
    code_of = {value: float(2 + k) for k, value in enumerate(values)}
    if column.kind == "number":
        return _coded_numbers(column.values, code_of)

    def code(word: str | None) -> float:
        return 1.0 if is_missing(word) else code_of.get(str(word).strip(), 0.0)

    return column.as_text().map_distinct(code).astype(np.int64)


def _coded_numbers(values: np.ndarray, code_of: dict[str, float]) -> np.ndarray:
    distinct, inverse = np.unique(values, return_inverse=True)
    codes = [1.0 if np.isnan(v) else code_of.get(number_text(v), 0.0) for v in distinct.tolist()]
    return np.asarray(codes or [0.0])[inverse].astype(np.int64)


def _with_gaps(parts: np.ndarray, values: np.ndarray, one: Any, scaled: tuple[float, float]) -> np.ndarray:
    """The columns, standardized; if the encoding has gaps, with a column that marks missing values."""
    mean, scale = scaled
    if (mean, scale) != (0.0, 1.0):
        parts = (parts - mean) / scale
    return np.concatenate([parts, np.isnan(values)[:, None]], axis=1) if one.gaps else parts


def _raise_bad_cell(name: str, column: Column, row: int, where: Where, expected: str) -> None:
    value = column.take(slice(row, row + 1)).texts()[0] if len(column) else None
    shown = repr(value if value is None or len(value) < 60 else value[:57] + "...")
    raise DataError(f"column {name!r} holds {shown} in {where(row)}; {expected}")


def _check_fields(name: Any, **values: Any) -> None:
    if not isinstance(name, str) or not name:
        raise ValueError(f"a column's name must be a text, got {name!r}")
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{key} of column {name!r} must be a finite number, got {value!r}")


def _check_values(values: Any) -> None:
    if not isinstance(values, tuple) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"values must be a tuple of texts, got {str(values)[:80]}")
    if len(set(values)) < len(values):
        raise ValueError(f"values must differ from each other, got {str(values)[:80]}")
