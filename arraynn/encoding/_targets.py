"""Encodings of targets, the columns that a network predicts: numbers in their own unit, or classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ._columns import Where, numbers, standardized
from ._frame import Column
from ._values import is_missing


class Places(np.ndarray):
    """Encoded targets: the index of each class instead of its label, or standardized numbers."""


@dataclass(frozen=True)
class ValueTarget:
    """A number y. The network learns (y - mean) / scale; predictions are in y's own unit.

    decimal : as in NumberColumn.
    """

    name: str
    mean: float
    scale: float
    decimal: str = "."

    def __post_init__(self) -> None:
        for value in (self.mean, self.scale):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"mean and scale must be finite numbers, got {value!r}")
        if not isinstance(self.name, str) or self.scale <= 0 or self.decimal not in (".", ","):
            raise ValueError(f"name must be a text, scale above 0, decimal '.' or ',', got {self!r}")

    def encoded(self, column: Column, where: Where) -> np.ndarray:
        """The standardized values, (N,) float64. Raises DataError for a missing, non-numeric or infinite value."""
        values = numbers(self.name, column, where, self.decimal)
        gaps = np.flatnonzero(np.isnan(values))
        if gaps.size:
            raise DataError(f"the target {self.name!r} is missing in {where(int(gaps[0]))}; drop such rows")
        return (values - self.mean) / self.scale

    def description(self) -> str:
        """The target in words."""
        return f"target: a number, learnt as {standardized('y', self.mean, self.scale)}"


@dataclass(frozen=True)
class ClassTarget:
    """One of several classes: output k is classes[k]. Classes are texts, or whole numbers, or False and True."""

    name: str
    classes: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.classes, tuple) or not self.classes:
            raise ValueError(f"a target's name must be a text, its classes a tuple, got {str(self.classes)[:80]}")
        if not all(isinstance(one, (bool, int, str)) for one in self.classes):
            raise ValueError(f"classes must be texts, whole numbers or booleans, got {str(self.classes)[:80]}")
        if len(set(map(str, self.classes))) < len(self.classes):
            raise ValueError(f"classes must differ from each other, got {str(self.classes)[:80]}")

    def encoded(self, column: Column, where: Where) -> np.ndarray:
        """The indices of the classes, (N,) int64. Raises DataError where a class is missing or unknown."""
        index_of = {str(one): float(k) for k, one in enumerate(self.classes)}
        text = column.as_text()
        found = text.map_distinct(lambda word: -1.0 if is_missing(word) else index_of.get(str(word).strip(), -2.0))
        wrong = np.flatnonzero(found < 0)
        if wrong.size:
            row = int(wrong[0])
            if found[row] == -1:
                raise DataError(f"the target {self.name!r} is missing in {where(row)}; drop such rows")
            known = ", ".join(map(repr, self.classes[:10])) + (", …" if len(self.classes) > 10 else "")
            raise DataError(
                f"the target {self.name!r} is {str(text.values[row]).strip()[:60]!r} in {where(row)}; the classes "
                f"are {known}"
            )
        return found.astype(np.int64)

    def description(self) -> str:
        """The target in words."""
        names = ", ".join(map(str, self.classes))
        return f"target: one of {len(self.classes)} classes" + (f": {names}" if len(names) <= 60 else "")


def as_classes(texts: list[str], kinds: set[str]) -> tuple[Any, ...]:
    """The classes of a target from its texts, sorted: whole numbers where all texts are, booleans of a flag column.

    >>> as_classes(["10", "9"], {"text"}), as_classes(["b", "a"], {"text"}), as_classes(["True"], {"flag"})
    ((9, 10), ('a', 'b'), (True,))
    """
    if kinds == {"flag"}:
        return tuple(sorted(text == "True" for text in texts))
    try:
        whole = [int(text) for text in texts]
    except ValueError:
        whole = []
    if [str(one) for one in whole] == texts and all(abs(one) < 2**53 for one in whole):
        return tuple(sorted(whole))
    return tuple(sorted(texts))
