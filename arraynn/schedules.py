"""Learning rates that change: frozen callables, step -> learning rate, on the host. step counts updates, from 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]


def rate_at(learning_rate: float | Schedule, step: int) -> float:
    """The learning rate at `step`, of a number or a schedule."""
    return learning_rate(step) if callable(learning_rate) else learning_rate


def checked_rate(learning_rate: float | Schedule) -> None:
    """Raise ValueError unless learning_rate is a schedule or a finite number of at least 0."""
    if not callable(learning_rate) and not 0 <= learning_rate < math.inf:
        raise ValueError(f"learning_rate must be a finite number of at least 0, or a schedule, got {learning_rate!r}")


@dataclass(frozen=True)
class _Schedule:
    learning_rate: float

    def __post_init__(self) -> None:
        checked_rate(self.learning_rate)
        for name, low in (("decay", 0.0), ("rate", 0.0), ("factor", 0.0), ("steps", 1), ("every", 1), ("final", 0.0)):
            value = getattr(self, name, low)
            if not low <= value < math.inf:
                raise ValueError(f"{name} must be a finite number of at least {low}, got {value!r}")


@dataclass(frozen=True)
class InverseTimeDecay(_Schedule):
    """learning_rate / (1 + decay · step), the book's decay.

    >>> InverseTimeDecay(1.0, decay=0.5)(2)
    0.5
    """

    decay: float = 0.0

    def __call__(self, step: int) -> float:
        return self.learning_rate / (1 + self.decay * step)


@dataclass(frozen=True)
class ExponentialDecay(_Schedule):
    """learning_rate · rate^(step / steps): times `rate` every `steps` steps, smoothly.

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

    steps: int = 1000
    final: float = 0.0

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return self.final
        return self.final + (self.learning_rate - self.final) * (1 + math.cos(math.pi * step / self.steps)) / 2


@dataclass(frozen=True)
class LinearWarmup:
    """(step + 1) / steps of `then`'s first rate while step < steps, then `then`, from its own step 0.

    then : a schedule or a number. steps : at least 1. Goyal et al., arXiv 1706.02677, section 2.2.

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
class Scaled:
    """factor · learning_rate, of a schedule or a number: what `ReduceLROnPlateau` makes of it.

    >>> Scaled(InverseTimeDecay(1.0, decay=1.0), 0.5)(1)
    0.25
    """

    learning_rate: float | Schedule
    factor: float

    def __call__(self, step: int) -> float:
        return self.factor * rate_at(self.learning_rate, step)
