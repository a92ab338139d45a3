"""EMA: the exponential moving average of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._hyperparameters import held_number
from ._averaging import Averaging
from ._base import Optimizer


@dataclass(frozen=True)
class EMA(Averaging):  # type: ignore[misc]  # the base has no default, as its __init__ is written by hand
    """Another optimizer with the exponential moving average of its weights: a = decay a + (1 - decay) w.

    optimizer : trains w, as it would alone. decay : in [0, 1), how slowly a forgets, in about 1 / (1 - decay) updates.
    `averaged(params, state)` gives a, which often predicts better than w. It starts as the first weights, as in Keras
    and in PyTorch's swa_utils; Optax starts at 0 and corrects, TensorFlow has an option to forget faster at first.

    Polyak and Juditsky, SIAM Journal on Control and Optimization 30, 1992, average all; with a decay, Tarvainen and
    Valpola, NeurIPS 2017.

    >>> import numpy as np
    >>> from arraynn import SGD
    >>> optimizer = EMA(SGD(1.0), decay=0.75)
    >>> params = {"w": np.asarray([4.0])}
    >>> params, state = optimizer.update(params, {"w": np.asarray([2.0])}, optimizer.init(params))
    >>> params, optimizer.averaged(params, state)
    ({'w': array([2.])}, {'w': array([3.5])})
    """

    decay: float = 0.999

    def __init__(self, optimizer: Optimizer, decay: float = 0.999, *, learning_rate: Any = None) -> None:
        super().__init__(optimizer, learning_rate=learning_rate)
        decay = held_number(decay)
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), got {decay!r}")
        object.__setattr__(self, "decay", decay)

    def mixing(self, step: int) -> tuple[float, float]:
        return self.decay, 1 - self.decay
