"""SWA: the plain average of the weights late in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import tree
from .._array import namespace
from .._hyperparameters import held_number, is_integer
from .._types import Nest
from ._averaging import Averaging
from ._base import Optimizer


@dataclass(frozen=True)
class SWA(Averaging):  # type: ignore[misc]  # the base has no default, as its __init__ is written by hand
    """Another optimizer with stochastic weight averaging: a = a + (w - a) / n at the n-th of the updates start,
    start + every, ….

    optimizer : trains w, as it would alone; the paper has a high constant or cyclic learning rate from `start` on.
    start : the first update whose weights count, from 0. every : updates between two that count, at least 1, such as
        those of an epoch, or of a cycle at its lowest rate.
    So a is the mean of the weights that count. `averaged(params, state)` gives it; before `start`, w.

    Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, UAI 2018, Algorithm 1.

    >>> import numpy as np
    >>> from arraynn import SGD
    >>> optimizer = SWA(SGD(1.0), start=1)
    >>> params = {"w": np.asarray([9.0])}
    >>> state = optimizer.init(params)
    >>> for gradient in (3.0, 2.0, 2.0):  # w is 6, 4, 2
    ...     params, state = optimizer.update(params, {"w": np.asarray([gradient])}, state)
    >>> optimizer.averaged(params, state)
    {'w': array([3.])}
    """

    start: int = 0
    every: int = 1

    def __init__(self, optimizer: Optimizer, start: int = 0, every: int = 1, *, learning_rate: Any = None) -> None:
        super().__init__(optimizer, learning_rate=learning_rate)
        for name, value, low in (("start", start, 0), ("every", every, 1)):
            value = held_number(value)
            if not is_integer(value, low):
                raise ValueError(f"{name} counts updates and must be an integer of at least {low}, got {value!r}")
            object.__setattr__(self, name, value)

    def mixing(self, step: int) -> tuple[float, float]:
        past = step - self.start
        if past < 0 or past % self.every:
            return 1.0, 0.0
        n = past // self.every + 1
        return (n - 1) / n, 1 / n  # at n = 1, exactly w

    def averaged(self, params: Nest, state: Mapping[str, Any]) -> Nest:
        if state["step"] <= self.start:
            return tree.map(lambda p: namespace(p).asarray(p, copy=True), params)
        return super().averaged(params, state)
