"""The domain of a loss's targets: the allowed numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._hyperparameters import Hyperparameters


@dataclass(frozen=True)
class Domain(Hyperparameters):
    """The finite numbers that targets may be; without arguments, any.

    low, high : the interval [low, high] that they lie in.
    sets : instead, sets of numbers; all targets together lie in one of them.
    remedy : the advice of the error for other numbers.

    >>> str(Domain(low=0)), str(Domain(0, 1)), str(Domain(sets=((0, 1), (-1, 1))))
    ('of at least 0', 'in [0, 1]', 'of 0 and 1, or of -1 and 1')
    """

    low: float = -math.inf
    high: float = math.inf
    sets: tuple[tuple[float, ...], ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        if self.sets:
            return ", or ".join("of " + " and ".join(f"{value:g}" for value in one) for one in self.sets)
        if self.high == math.inf:
            return "of any value" if self.low == -math.inf else f"of at least {self.low:g}"
        return f"in [{self.low:g}, {self.high:g}]"
