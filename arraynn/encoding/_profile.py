"""Statistics of a column's training rows, gathered chunk by chunk in memory that does not grow with the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ._columns import Where
from ._frame import Column
from ._rules import RULES
from ._values import FLAGS, date, is_missing, is_padded


@dataclass
class Moments:
    """Count, mean, sum of squared deviations, least and largest of numbers, merged chunk by chunk.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    whole: bool = True

    def add(self, values: np.ndarray) -> None:
        values = values.astype(np.float64, copy=False)
        total = float(values.sum())
        if math.isnan(total):  # only if a value is missing, copy the others
            values = values[~np.isnan(values)]
            total = float(values.sum())
        if not values.size:
            return
        count, mean = values.size, total / values.size
        deviations = values - mean
        deviations *= deviations  # not a BLAS product, whose threads would wait for each other on a busy machine
        away, total = mean - self.mean, self.count + count
        self.squares += float(deviations.sum()) + away * away * self.count * count / total
        self.mean += away * count / total
        self.count = total
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        self.whole = self.whole and bool((values[:99] == np.rint(values[:99])).all())
        self.whole = self.whole and bool((values == np.rint(values)).all())

    @property
    def scale(self) -> float:
        """The standard deviation (divided by N, not N - 1); 1 if all numbers are equal."""
        if not self.low < self.high:  # by rounding, the deviation of equal numbers may be 1e-17, not 0
            return 1.0
        return math.sqrt(self.squares / self.count) or 1.0


class Profile:
    """Statistics of one column.

    rows, missing : counts so far. failed : whether a row has shown that the column is not of this kind. sampled : the
    values of evenly spaced rows, in order, chunk by chunk.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = self.missing = 0
        self.failed = False
        self.sampled: list[np.ndarray] = []

    def add(self, column: Column, sampled: np.ndarray, where: Where) -> None:
        """Add some more rows. sampled : the indices of those that are sampled."""
        raise NotImplementedError(f"{type(self).__name__} must define add")

    @property
    def given(self) -> int:
        """The number of rows with a value."""
        return self.rows - self.missing

    @property
    def sample(self) -> np.ndarray:
        """The sampled values: float64, or an object array of texts and None."""
        return np.concatenate(self.sampled) if self.sampled else np.empty(0)


class NumberProfile(Profile):
    """A column of numbers or flags, or of texts most of which are numbers.

    stray : the number of texts that are not numbers. first_stray : the first of them and its row. forced : whether the
    column is treated as numbers even if most texts are not.
    """

    def __init__(self, name: str, decimal: str, forced: bool = False) -> None:
        super().__init__(name)
        self.decimal, self.forced = decimal, forced
        self.moments, self.kinds = Moments(), set[str]()
        self.stray, self.first_stray = 0, ""

    def add(self, column: Column, sampled: np.ndarray, where: Where) -> None:
        self.kinds.add(column.kind)
        if column.kind == "date":
            self.failed = True
            return
        values, bad = column.numbers(self.decimal)
        infinite = np.flatnonzero(np.isinf(values))
        if infinite.size and bad.size <= RULES.strays * len(column):
            raise DataError(
                f"column {self.name!r} holds {values[infinite[0]]} in {where(int(infinite[0]))}; every number must be "
                f"finite: drop the row, or empty the cell"
            )
        self.rows += len(column)
        self.missing += len(column) - int(np.count_nonzero(values == values)) - bad.size
        self.stray += bad.size
        if bad.size and not self.first_stray:
            row = int(bad[0])
            self.first_stray = f"{str(column.values[row]).strip()[:60]!r} in {where(row)}"
        if not self.forced:
            self.failed = self.stray > RULES.strays * self.given or _any_padded(column)
        if not self.failed:
            self.moments.add(values)
            self.sampled.append(values[sampled])


class DateProfile(Profile):
    """A column of dates, or of texts that are dates. clock : whether some have a time of day other than midnight."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.orders = {True: Moments(), False: Moments()}
        self.possible = {True: True, False: True}
        self.clock = False

    def add(self, column: Column, sampled: np.ndarray, where: Where) -> None:
        self.rows += len(column)
        if column.kind not in ("date", "text"):
            self.failed = True
            return
        found = {order: _times(column, order) for order, possible in self.possible.items() if possible}
        for order, times in found.items():
            self.possible[order] = not np.isinf(times).any()
        self.failed = not any(self.possible.values())
        for order, times in found.items():
            if self.possible[order]:
                self.orders[order].add(times)
        if not self.failed:
            times = found[self.day_first]
            self.missing += int(np.isnan(times).sum())
            self.clock = self.clock or bool((times[~np.isnan(times)] % 86400 != 0).any())
            self.sampled.append(times[sampled])

    @property
    def day_first(self) -> bool:
        """Whether 1/2/2024 is 1 February: true unless a row cannot be read that way."""
        return self.possible[True]

    @property
    def moments(self) -> Moments:
        return self.orders[self.day_first]


class TextProfile(Profile):
    """A column of texts, or of anything else as text.

    counts : the number of rows of each text, for the first RULES.embedded distinct texts. more : whether there are
    others. flags : whether all texts mean true or false.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.counts: dict[str, int] = {}
        self.more, self.kinds = False, set[str]()

    def add(self, column: Column, sampled: np.ndarray, where: Where) -> None:
        self.rows += len(column)
        self.kinds.add(column.kind)
        column = column.as_text()
        words, inverse = column.factorized()
        for word, count in zip(words, np.bincount(inverse, minlength=len(words)).tolist(), strict=True):
            text = "" if word is None else word.strip()
            if is_missing(word):
                self.missing += count
            elif text in self.counts or len(self.counts) < RULES.embedded:
                self.counts[text] = self.counts.get(text, 0) + count
            else:
                self.more = True
        self.sampled.append(np.asarray([*words, None], object)[:-1][inverse[sampled]])  # equal texts share one object

    @property
    def flags(self) -> bool:
        return not self.more and all(text.lower() in FLAGS for text in self.counts)


def _times(column: Column, day_first: bool) -> np.ndarray:
    """Seconds since 1970, nan where missing, infinite for a cell that is not a date."""
    if column.kind == "date":
        return np.asarray(column.values)

    def time(word: str | None) -> float:
        if is_missing(word):
            return math.nan
        found = date(str(word), day_first)
        return math.inf if found is None else found

    return column.map_distinct(time)


def _any_padded(column: Column) -> bool:
    """Whether a text of digits has a leading zero, which a number would lose."""
    return column.kind == "text" and any(is_padded(word) for word in column.beginning_with_zero())


def initial_profile(name: str, column: Column, decimal: str, where: Where) -> Profile:
    """An empty profile of the kind that the first rows of a column suggest: numbers, else dates, else texts."""
    nothing = np.empty(0, np.int64)
    tries = [NumberProfile(name, decimal), DateProfile(name)]
    for profile in tries if column.kind != "date" else reversed(tries):
        profile.add(column, nothing, where)
        if not profile.failed and profile.given:
            return NumberProfile(name, decimal) if isinstance(profile, NumberProfile) else DateProfile(name)
    return TextProfile(name)
