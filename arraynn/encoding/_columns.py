"""What becomes of a column: numbers, strings and tuples that turn its cells into columns of numbers, or into codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._hyperparameters import is_integer
from ..errors import DataError
from ._frame import Column, spelled
from ._values import FLAGS, date, is_missing

Where = Callable[[int], str]  #: where the row of a place stands, for an error

WEEK, DAY = 7 * 86400.0, 86400.0
YEAR = 365.2425 * DAY


class Encoded:
    """The base. name : of the column. width : how many columns of numbers it becomes; `code` says whether it becomes
    integers for an embedding instead."""

    name: str
    code: ClassVar[bool] = False

    @property
    def width(self) -> int:
        return 0

    def features(self, column: Column, where: Where) -> np.ndarray:
        """(N, width) float64, or (N,) int64 codes. DataError for what does not fit, naming column, row and value."""
        raise NotImplementedError(f"{type(self).__name__} must define features")

    def told(self) -> str:
        """What it becomes, in words."""
        raise NotImplementedError(f"{type(self).__name__} must define told")


@dataclass(frozen=True)
class NumberColumn(Encoded):
    """(v - mean) / scale; where nothing is, v is `fill`, and, with `gaps`, a second column is 1 there.

    scale : above 0. decimal : "." or ",", the mark in texts. stray : whether texts that are no numbers count as gaps,
    since there were some in training; else they are errors.
    """

    name: str
    mean: float
    scale: float
    fill: float
    gaps: bool = False
    stray: bool = False
    decimal: str = "."

    def __post_init__(self) -> None:
        _checked(self.name, mean=self.mean, scale=self.scale, fill=self.fill)
        if self.scale <= 0 or self.decimal not in (".", ","):
            raise ValueError(f"scale must be above 0 and decimal '.' or ',', got {self.scale!r}, {self.decimal!r}")

    @property
    def width(self) -> int:
        return 1 + self.gaps

    def features(self, column: Column, where: Where) -> np.ndarray:
        values = numbers(self.name, column, where, self.decimal, self.stray)
        return _with_gaps(np.where(np.isnan(values), self.fill, values)[:, None], values, self, (self.mean, self.scale))

    def told(self) -> str:
        gaps = f"; gaps as {self.fill:.4g}" + (", with a column that marks them" if self.gaps else "")
        return f"number, less {self.mean:.4g}, over {self.scale:.4g}{gaps if self.gaps else ''}"


@dataclass(frozen=True)
class FlagColumn(Encoded):
    """1 where true, 0 where false or where nothing is; with `gaps`, a second column is 1 there.

    Texts are true and false, yes and no, t and f, y and n, in any case; numbers are 1 and 0.
    """

    name: str
    gaps: bool = False

    def __post_init__(self) -> None:
        _checked(self.name)

    @property
    def width(self) -> int:
        return 1 + self.gaps

    def features(self, column: Column, where: Where) -> np.ndarray:
        if column.kind == "text":
            values = column.looked_up(lambda word: FLAGS.get((word or "").strip().lower(), np.inf))
            values[column.looked_up(is_missing) > 0] = np.nan
        else:
            values = column.values
        wrong = np.flatnonzero(~np.isnan(values) & (values != 0) & (values != 1))
        if wrong.size or column.kind == "date":
            _refuse(self.name, column, int(wrong[0]) if wrong.size else 0, where, "true or false was expected")
        return _with_gaps(np.nan_to_num(values)[:, None], values, self, (0.0, 1.0))

    def told(self) -> str:
        return "true or false" + ("; gaps marked by a column" if self.gaps else "")


@dataclass(frozen=True)
class CategoryColumn(Encoded):
    """One-hot: column k is 1 where the text is values[k]; with `gaps`, a last column is 1 where nothing is.

    A text that is none of the values, new at prediction, is 0 in all.
    """

    name: str
    values: tuple[str, ...]
    gaps: bool = False

    def __post_init__(self) -> None:
        _checked(self.name)
        _checked_values(self.values)

    @property
    def width(self) -> int:
        return len(self.values) + self.gaps

    def features(self, column: Column, where: Where) -> np.ndarray:
        codes = coded(column, self.values)
        missing = codes == 1
        wide = codes[:, None] == np.arange(2, 2 + len(self.values))
        return np.concatenate([wide, missing[:, None]], axis=1) if self.gaps else wide

    def told(self) -> str:
        return f"one-hot, {len(self.values)} values" + (", and one for gaps" if self.gaps else "")


@dataclass(frozen=True)
class EmbeddedColumn(Encoded):
    """A code for an embedding: 2 + k where the text is values[k], 1 where nothing is, 0 for every other text.

    units : numbers that the embedding has for each code.
    """

    name: str
    values: tuple[str, ...]
    units: int

    code: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _checked(self.name)
        _checked_values(self.values)
        if not is_integer(self.units, 1):
            raise ValueError(f"units must be an integer of at least 1, got {self.units!r}")

    @property
    def vocabulary(self) -> int:
        """How many codes there are."""
        return 2 + len(self.values)

    def features(self, column: Column, where: Where) -> np.ndarray:
        return coded(column, self.values)

    def told(self) -> str:
        return f"embedded, {len(self.values)} values and one for others, {self.units} numbers each"


@dataclass(frozen=True)
class DateColumn(Encoded):
    """The parts of a date: seconds since 1970 as (t - mean) / scale, and sines and cosines of the times within a
    `periods`: "year", "week", "day". Where nothing is, t is the mean; with `gaps`, a last column is 1 there.

    day_first : how 1/2/2024 is read.
    """

    name: str
    mean: float
    scale: float
    periods: tuple[str, ...]
    gaps: bool = False
    day_first: bool = True

    LENGTHS: ClassVar[dict[str, float]] = {"year": YEAR, "week": WEEK, "day": DAY}

    def __post_init__(self) -> None:
        _checked(self.name, mean=self.mean, scale=self.scale)
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

    def told(self) -> str:
        return ", ".join(["date: time", *(f"of the {period}" for period in self.periods)])


@dataclass(frozen=True)
class LeftOut(Encoded):
    """A column that is not used. reason : why."""

    name: str
    reason: str

    def __post_init__(self) -> None:
        _checked(self.name)
        if not isinstance(self.reason, str):
            raise ValueError(f"reason must be a text, got {self.reason!r}")

    def told(self) -> str:
        return f"left out: {self.reason}"


# What they share.


def numbers(name: str, column: Column, where: Where, decimal: str, stray: bool = False) -> np.ndarray:
    """float64, nan where nothing is. DataError for texts, unless they are stray, and for what is not finite.

    decimal : the mark in texts, where the column does not come from a file whose own mark is known.
    """
    if column.kind == "date":
        _refuse(name, column, 0, where, "a number was expected")
    values, wrong = column.numbers(column.decimal or decimal)
    if wrong.size and not stray:
        _refuse(name, column, int(wrong[0]), where, "a number was expected")
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        _refuse(name, column, int(infinite[0]), where, "every number must be finite")
    return values


def seconds(name: str, column: Column, where: Where, day_first: bool) -> np.ndarray:
    """float64 seconds since 1970, nan where nothing is. DataError for what is no date."""
    if column.kind == "date":
        return np.asarray(column.values)
    if column.kind != "text":
        _refuse(name, column, 0, where, "a date was expected")

    def moment(word: str | None) -> float:
        if is_missing(word):
            return math.nan
        found = date(str(word), day_first)
        return math.inf if found is None else found

    values = column.looked_up(moment)
    wrong = np.flatnonzero(np.isinf(values))
    if wrong.size:
        _refuse(name, column, int(wrong[0]), where, "a date was expected")
    return values


def coded(column: Column, values: tuple[str, ...]) -> np.ndarray:
    """2 + k where the text is values[k], 1 where nothing is, 0 elsewhere: int64."""
    places = {value: float(2 + k) for k, value in enumerate(values)}
    if column.kind == "number":
        return _coded_numbers(column.values, places)

    def code(word: str | None) -> float:
        return 1.0 if is_missing(word) else places.get(str(word).strip(), 0.0)

    return column.as_text().looked_up(code).astype(np.int64)


def _coded_numbers(values: np.ndarray, places: dict[str, float]) -> np.ndarray:
    different, inverse = np.unique(values, return_inverse=True)
    codes = [1.0 if np.isnan(v) else places.get(spelled(v), 0.0) for v in different.tolist()]
    return np.asarray(codes or [0.0])[inverse].astype(np.int64)


def _with_gaps(parts: np.ndarray, values: np.ndarray, one: Any, scaled: tuple[float, float]) -> np.ndarray:
    """The columns, less the mean and over the scale, and beside them the one that marks gaps."""
    mean, scale = scaled
    if (mean, scale) != (0.0, 1.0):
        parts = (parts - mean) / scale
    return np.concatenate([parts, np.isnan(values)[:, None]], axis=1) if one.gaps else parts


def _refuse(name: str, column: Column, place: int, where: Where, expected: str) -> None:
    value = column.take(slice(place, place + 1)).texts()[0] if len(column) else None
    told = repr(value if value is None or len(value) < 60 else value[:57] + "...")
    raise DataError(f"column {name!r} holds {told} in {where(place)}; {expected}")


def _checked(name: Any, **values: Any) -> None:
    if not isinstance(name, str) or not name:
        raise ValueError(f"a column's name must be a text, got {name!r}")
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{key} of column {name!r} must be a finite number, got {value!r}")


def _checked_values(values: Any) -> None:
    if not isinstance(values, tuple) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"values must be a tuple of texts, got {str(values)[:80]}")
    if len(set(values)) < len(values):
        raise ValueError(f"values must differ from each other, got {str(values)[:80]}")
