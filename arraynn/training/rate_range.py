"""The learning rates at which a network learns: Smith's range test, on a copy of the model."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import tree
from .._array import namespace
from .._hyperparameters import is_integer, python_number
from .._types import Nest
from ..backends import of
from ..encoding import rows_of_table
from ..errors import DataError, DivergedError
from .labels import as_numbers
from .validation import as_array, as_inputs, count_rows

SMOOTHING = 0.9  #: the share of the smoothed loss that a step keeps
BLOWN_UP = 4.0  #: the loss, smoothed, at which the test ends, in multiples of its least


@dataclass(frozen=True)
class RateRange:
    """What a range test found. rates, losses : of each step taken; smoothed : the losses' moving average, corrected for
    its start. suggestion : a tenth of the rate of the least smoothed loss; a peak for OneCycle, or a rate to begin
    with."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float


def learning_rate_range(
    model: Any,
    x: Nest,
    y: Any = None,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    sample_weight: Any = None,
) -> RateRange:
    """Learning-rate range test: steps at rates that rise evenly in their logarithm, from low to high.

    model : is left as it is; a copy of it is trained, with its optimizer and another learning rate. x, y,
        sample_weight : as for `fit`, arrays or a table, not an iterable.
    low, high : finite, 0 < low < high. steps : at least 2. batch_size : at least 1; batches are drawn without
        replacement, epoch after epoch, by the model's seed.
    Returns a `RateRange`; it ends early where the loss, smoothed, is more than four times its least, or is not finite.
    Raises DataError for arguments out of range, and where the first step's loss is not finite.
    `nn.plot.learning_rate_range` draws it.

    Smith, WACV 2017, section 3.3, with rates that rise by a factor instead of a difference, as in fastai.
    """
    low, high, steps, batch_size = (python_number(v) for v in (low, high, steps, batch_size))
    if not 0 < low < high < math.inf:
        raise DataError(f"rates must be finite and rise from above 0, got low={low!r} and high={high!r}")
    for name, value, least in (("steps", steps, 2), ("batch_size", batch_size, 1)):
        if not is_integer(value, least):
            raise DataError(f"{name} must be an integer of at least {least}, got {value!r}")
    x, y = rows_of_table(model.encoding, x, y)
    if y is None:
        raise DataError("y is missing: give learning_rate_range(model, x, y), or a table to a model with an encoding")
    x, y = as_inputs(x), as_numbers(model.classes, model.loss, y)
    weight = None if sample_weight is None else as_array("sample_weight", sample_weight)
    rows, trial = count_rows(x), copy.deepcopy(model)
    trial.history = {}
    order = _batches(rows, min(batch_size, rows), trial.seed or 0)
    rates, losses, smoothed, average = [], [], [], 0.0
    for step in range(steps):
        rate = low * (high / low) ** (step / (steps - 1))
        part = next(order)
        trial.optimizer = replace(trial.optimizer, learning_rate=rate)
        try:
            trial.fit(
                tree.map(lambda leaf, part=part: _take(leaf, part), x),
                _take(y, part),
                batch_size=None,
                sample_weight=None if weight is None else _take(weight, part),
                verbose=0,
            )
        except DivergedError:
            break
        rates.append(rate)
        losses.append(trial.history["loss"][-1])
        average = SMOOTHING * average + (1 - SMOOTHING) * losses[-1]
        smoothed.append(average / (1 - SMOOTHING ** (step + 1)))
        if smoothed[-1] > BLOWN_UP * min(smoothed):
            break
    if not losses:
        raise DataError(f"the loss is not finite at the first step, of rate {low:g}; look at the data, or lower low")
    best = rates[min(range(len(smoothed)), key=smoothed.__getitem__)]
    return RateRange(tuple(rates), tuple(losses), tuple(smoothed), best / 10)


def _batches(rows: int, size: int, seed: int) -> Any:
    """Row numbers of one batch after another, all of one size, of one permutation after another."""
    rng = np.random.default_rng([seed, 2**33])  # no epoch of a fit has this number
    while True:
        order = rng.permutation(rows)
        for start in range(0, rows - size + 1, size):
            yield order[start : start + size]


def _take(leaf: Any, rows: Any) -> Any:
    if isinstance(leaf, np.ndarray):
        return leaf[rows]
    return namespace(leaf).take(leaf, of(leaf).asarray(rows, of(leaf).index_dtype), axis=0)
