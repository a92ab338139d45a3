"""Learning-rate schedules: frozen callables, step -> learning rate, on the host. step counts updates from 0."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

from ._contract_of_rules import rate_of
from ._hyperparameters import Hyperparameters, described, held_number

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LinearWarmup",
    "OneCycle",
    "PiecewiseConstant",
    "PolynomialDecay",
    "StepDecay",
]

Schedule = Callable[[int], float]


def rate_at(learning_rate: float | Schedule, step: int) -> float:
    """The learning rate at `step`; learning_rate may be a number or a schedule."""
    return rate_of(learning_rate, step) if callable(learning_rate) else float(learning_rate)


def checked_rate(learning_rate: float | Schedule) -> None:
    """Raise ValueError unless learning_rate is a schedule or a finite number of at least 0."""
    if callable(learning_rate) and not isinstance(learning_rate, type):
        return
    if not isinstance(learning_rate, (int, float)) or not 0 <= learning_rate < math.inf:
        raise ValueError(
            f"learning_rate must be a finite number of at least 0, or a schedule, got {described(learning_rate)}"
        )


@dataclass(frozen=True)
class _Schedule(Hyperparameters):
    learning_rate: float
    ends: ClassVar[bool] = False  #: whether it ends at step `steps`

    def __post_init__(self) -> None:
        checked_rate(self.learning_rate)
        for name, low in (("decay", 0.0), ("rate", 0.0), ("factor", 0.0), ("steps", 1), ("every", 1), ("final", 0.0)):
            value = getattr(self, name, low)
            if not low <= value < math.inf:
                raise ValueError(f"{name} must be a finite number of at least {low}, got {value!r}")


@dataclass(frozen=True)
class InverseTimeDecay(_Schedule):
    """learning_rate / (1 + decay · step).

    Kinsley and Kukieła, Neural Networks from Scratch in Python, 2020, chapter 10, and the `decay` of early Keras.

    >>> InverseTimeDecay(1.0, decay=0.5)(2)
    0.5
    """

    decay: float = 0.0

    def __call__(self, step: int) -> float:
        return self.learning_rate / (1 + self.decay * step)


@dataclass(frozen=True)
class ExponentialDecay(_Schedule):
    """learning_rate · rate^(step / steps): times `rate` every `steps` steps, smoothly.

    Senior, Heigold, Ranzato and Yang, ICASSP 2013, compare it with others; named as in Keras.

    >>> ExponentialDecay(1.0, rate=0.25, steps=10)(5)
    0.5
    """

    rate: float = 0.96
    steps: int = 1000

    def __call__(self, step: int) -> float:
        return float(self.learning_rate * self.rate ** (step / self.steps))


@dataclass(frozen=True)
class StepDecay(_Schedule):
    """learning_rate · factor^⌊step / every⌋: a staircase.

    Szegedy et al., CVPR 2015, section 6: 4 % less every 8 epochs; PyTorch's StepLR.

    >>> [StepDecay(1.0, factor=0.5, every=2)(step) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    factor: float = 0.1
    every: int = 1000

    def __call__(self, step: int) -> float:
        return float(self.learning_rate * self.factor ** (step // self.every))


@dataclass(frozen=True)
class CosineDecay(_Schedule):
    """final + (learning_rate - final) (1 + cos(π step / steps)) / 2, and `final` from step `steps` on.

    Loshchilov and Hutter, ICLR 2017, equation 5, without restarts.

    >>> CosineDecay(1.0, steps=10)(0), round(CosineDecay(1.0, steps=10)(5), 9), CosineDecay(1.0, steps=10)(99)
    (1.0, 0.5, 0.0)
    """

    ends = True

    steps: int = 1000
    final: float = 0.0

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return self.final
        return self.final + (self.learning_rate - self.final) * (1 + math.cos(math.pi * step / self.steps)) / 2


@dataclass(frozen=True)
class PolynomialDecay(_Schedule):
    """final + (learning_rate - final) (1 - step / steps)^power, and `final` from step `steps` on.

    power : above 0; 1 is a straight line.

    Chen et al., arXiv 1606.00915, section 4.1, call a power of 0.9 "poly".

    >>> [PolynomialDecay(1.0, steps=4, power=2.0)(step) for step in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    ends = True

    steps: int = 1000
    final: float = 0.0
    power: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.power < math.inf:
            raise ValueError(f"power must be a finite number above 0, got {self.power!r}")

    def __call__(self, step: int) -> float:
        remaining = 1 - min(step, self.steps) / self.steps
        return float(self.final + (self.learning_rate - self.final) * remaining**self.power)


@dataclass(frozen=True)
class PiecewiseConstant(Hyperparameters):
    """values[0] before step boundaries[0], values[1] from there to before boundaries[1], and so on.

    boundaries : increasing steps. values : learning rates, one more than boundaries. Both become tuples. (Keras keeps
    the old value at the boundary itself; Optax takes factors instead of rates.)

    He, Zhang, Ren and Sun, CVPR 2016, section 4.2, divide by 10 at two steps.

    >>> [PiecewiseConstant((2, 3), (0.1, 0.01, 0.001))(step) for step in range(5)]
    [0.1, 0.1, 0.01, 0.001, 0.001]
    """

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("boundaries", "values"):
            object.__setattr__(self, name, held_number(tuple(getattr(self, name))))  # lists would not be hashable
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"{len(self.boundaries)} boundaries need {len(self.boundaries) + 1} values, got {len(self.values)}"
            )
        if any(a >= b for a, b in pairwise((0, *self.boundaries))):
            raise ValueError(f"boundaries must be increasing steps above 0, got {self.boundaries!r}")
        for value in self.values:
            if callable(value):
                raise ValueError("values are numbers; LinearWarmup and Scaled take schedules")
            checked_rate(value)

    def __call__(self, step: int) -> float:
        return float(self.values[bisect_right(self.boundaries, step)])


@dataclass(frozen=True)
class OneCycle(_Schedule):
    """Rises from learning_rate / start to learning_rate while step < warmup · steps, then falls to learning_rate / end.

    It reaches that at step `steps` and stays there; both parts are half a cosine.
    learning_rate : the peak, such as `learning_rate_range` suggests. steps : of the whole run. warmup : in [0, 1), the
    share of rising steps. start, end : at least 1. Defaults are those of PyTorch, whose `final_div_factor` of 1e4 is
    relative to the start, so 25 · 1e4 to the peak, and which reaches the end one step earlier, at its last step.

    Smith and Topin, arXiv 1708.07120; Smith, arXiv 1803.09820, who also lowers and raises the momentum, which this does
    not.

    >>> cycle = OneCycle(1.0, steps=10, warmup=0.5, start=10.0, end=100.0)
    >>> [round(cycle(step), 3) for step in (0, 2, 5, 8, 10, 11)]
    [0.1, 0.411, 1.0, 0.352, 0.01, 0.01]
    """

    ends = True

    steps: int = 1000
    warmup: float = 0.3
    start: float = 25.0
    end: float = 250_000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of the steps and must lie in [0, 1), got {self.warmup!r}")
        for name in ("start", "end"):
            if not 1 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} divides the peak and must be a finite number of at least 1")

    def __call__(self, step: int) -> float:
        rising = self.warmup * self.steps
        if step < rising:
            low, progress = self.learning_rate / self.start, step / rising
        else:
            low, progress = self.learning_rate / self.end, 1 - (min(step, self.steps) - rising) / (self.steps - rising)
        # progress goes from 0 to 1 and back; half a cosine makes the rate flat at both ends
        return low + (self.learning_rate - low) * (1 - math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class LinearWarmup(Hyperparameters):
    """Linear warmup: (step + 1) / steps of `then`'s first rate while step < steps, then `then`, from its own step 0.

    then : a schedule or a number. steps : at least 1.

    Goyal et al., arXiv 1706.02677, section 2.2.

    >>> [LinearWarmup(0.4, steps=4)(step) for step in range(6)]
    [0.1, 0.2, 0.30000000000000004, 0.4, 0.4, 0.4]
    """

    then: float | Schedule
    steps: int = 100

    def __post_init__(self) -> None:
        checked_rate(self.then)
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps!r}")

    def __call__(self, step: int) -> float:
        if step < self.steps:
            return rate_at(self.then, 0) * (step + 1) / self.steps
        return rate_at(self.then, step - self.steps)


@dataclass(frozen=True)
class Scaled(Hyperparameters):
    """factor · learning_rate, of a schedule or a number, as `ReduceLROnPlateau` sets it.

    >>> Scaled(InverseTimeDecay(1.0, decay=1.0), 0.5)(1)
    0.25
    """

    learning_rate: float | Schedule
    factor: float

    def __call__(self, step: int) -> float:
        return self.factor * rate_at(self.learning_rate, step)


def stretched(thing: Any, before: int, after: int) -> Any:
    """A copy of a schedule, or of an object with schedules, in which each that ends at step `before` ends at `after`.

    >>> stretched(LinearWarmup(CosineDecay(0.1, steps=80), steps=20), 100, 200).then.steps
    180
    """
    if isinstance(thing, tuple):
        parts = tuple(stretched(part, before, after) for part in thing)
        return parts if any(new is not old for new, old in zip(parts, thing, strict=True)) else thing
    if not is_dataclass(thing) or isinstance(thing, type):
        return thing
    if getattr(thing, "ends", False) and getattr(thing, "steps", None) == before:
        return replace(thing, steps=max(after, 1))
    warmup_steps = thing.steps if isinstance(thing, LinearWarmup) else 0  # its inner schedule counts from its end
    held = {field.name: getattr(thing, field.name) for field in fields(thing) if field.init}
    found = {name: stretched(value, before - warmup_steps, after - warmup_steps) for name, value in held.items()}
    changed = {name: value for name, value in found.items() if value is not held[name]}
    return replace(thing, **changed) if changed else thing
