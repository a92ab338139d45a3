"""Initial weights: functions of (rng, shape) that draw float64 host arrays; `Dense` rounds them to its dtype.

rng : NumPy Generator or legacy RandomState. shape : (n_in, n_out) for weights. One seed, the same start everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._hyperparameters import Hyperparameters
from ._names import nearest
from ._types import Shape

Initializer = Callable[[Any, Shape], np.ndarray]


def checked(what: str, initializer: Any) -> None:
    """Raise TypeError unless it is a function of (rng, shape); for a name, suggest the function of that name."""
    if callable(initializer) and not isinstance(initializer, type):
        return
    names = [name for name, value in globals().items() if isinstance(value, (constant, variance_scaling))]
    if isinstance(initializer, type):
        raise TypeError(f"{what} is the class {initializer.__name__}; give its call, as nn.initializers.normal(0.01)")
    near = (nearest(initializer, names, 1) if isinstance(initializer, str) else []) or ["he_normal"]
    raise TypeError(
        f"{what} must be a function of (rng, shape), such as nn.initializers.{near[0]}, got {initializer!r}"
    )


def generator(rng: Any) -> Any:
    """Return rng if it is a NumPy Generator or RandomState; raise TypeError otherwise."""
    if not hasattr(rng, "standard_normal"):
        raise TypeError(
            f"rng must be a NumPy Generator or RandomState, got {rng!r}; give np.random.default_rng({rng})"
            if isinstance(rng, int)
            else f"rng must be a NumPy Generator or RandomState, such as np.random.default_rng(0), got {rng!r:.80}"
        )
    return rng


def _at_least_zero(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name} must be at least 0, got {value!r}")


@dataclass(frozen=True)
class constant(Hyperparameters):  # noqa: N801 - used as a function: constant(0.1)
    """Constant initial values: every element is `value`.

    By convention, as in Keras and PyTorch.
    """

    value: float

    def __call__(self, rng: Any, shape: Shape) -> np.ndarray:
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class normal(Hyperparameters):  # noqa: N801
    """Normal initial weights with mean 0 and standard deviation `std`, at least 0. The book uses normal(0.01).

    Krizhevsky, Sutskever and Hinton, NeurIPS 2012, section 5, with 0.01.
    """

    std: float = 0.01

    def __post_init__(self) -> None:
        _at_least_zero("std", self.std)

    def __call__(self, rng: Any, shape: Shape) -> np.ndarray:
        drawn: np.ndarray = self.std * generator(rng).standard_normal(shape)
        return drawn


@dataclass(frozen=True)
class variance_scaling(Hyperparameters):  # noqa: N801
    """Random weights of variance `scale` / fan, which keeps the variance of signals from layer to layer.

    scale : at least 0. fan : "in" (n_in), "out" (n_out) or "average" of the two. For a convolution's weight (kh, kw, C,
    filters), n_in is kh kw C and n_out is kh kw filters, as in Keras and PyTorch.
    distribution : "normal", or "uniform" on ±sqrt(3 scale / fan), which has the same variance. Keras truncates its
    normal distribution at two standard deviations; this one is not truncated.

    LeCun, Bottou, Orr and Müller, 1998, section 4.6; Glorot and Bengio, AISTATS 2010; He, Zhang, Ren and Sun, ICCV
    2015.
    """

    scale: float
    fan: str
    distribution: str

    def __post_init__(self) -> None:
        _at_least_zero("scale", self.scale)
        if self.fan not in ("in", "out", "average") or self.distribution not in ("normal", "uniform"):
            raise ValueError(
                f"fan must be 'in', 'out' or 'average' and distribution 'normal' or 'uniform', "
                f"got {self.fan!r} and {self.distribution!r}"
            )

    def __call__(self, rng: Any, shape: Shape) -> np.ndarray:
        rng, n_in, n_out = generator(rng), math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
        fan = {"in": n_in, "out": n_out, "average": (n_in + n_out) / 2}[self.fan]
        variance = self.scale / max(fan, 1)
        normal = self.distribution == "normal"
        drawn: np.ndarray = rng.standard_normal(shape) if normal else rng.uniform(-1.0, 1.0, shape)
        drawn *= math.sqrt(variance if normal else 3 * variance)  # in place, as these are the largest arrays of a build
        return drawn


@dataclass(frozen=True)
class orthogonal(Hyperparameters):  # noqa: N801
    """Orthonormal columns (rows, if there are more columns than rows), times `gain`, so that lengths are preserved.

    gain : finite; PyTorch suggests √2 before ReLU. More than two axes are treated as (all but the last, the last).
    Q of the QR decomposition of a normal matrix, with R's diagonal made positive, is uniform over all such matrices.

    Saxe, McClelland and Ganguli, ICLR 2014.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.gain):
            raise ValueError(f"gain must be finite, got {self.gain!r}")

    def __call__(self, rng: Any, shape: Shape) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"orthogonal weights have at least two axes, got the shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(generator(rng).standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)  # QR's signs differ between libraries; this makes them equal
        drawn: np.ndarray = self.gain * (q if rows >= columns else q.T).reshape(shape)
        return drawn


@dataclass(frozen=True)
class sinusoidal(Hyperparameters):  # noqa: N801
    """A table (L, D) of positional encodings: w[t, 2i] = sin(t / base^(2i / D)), w[t, 2i + 1] = cos(the same).

    base : above 0; the longest wavelength is 2π base positions. Sines and cosines alternate, as in the paper; the
    paper's code and Keras's examples put all sines first. It draws no random numbers.

    Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, NeurIPS 2017, section 3.5.
    """

    base: float = 10_000.0

    def __post_init__(self) -> None:
        if not 0 < self.base < math.inf:
            raise ValueError(f"base must be a finite number above 0, got {self.base!r}")

    def __call__(self, rng: Any, shape: Shape) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"a table of positions has two axes, (L, D), got the shape {shape}")
        column = np.arange(shape[1])
        angle = np.arange(shape[0])[:, None] / self.base ** ((column - column % 2) / max(shape[1], 1))
        drawn: np.ndarray = np.where(column % 2 == 0, np.sin(angle), np.cos(angle))
        return drawn


zeros = constant(0.0)  #: every element is 0; the convention for biases
glorot_uniform = variance_scaling(
    1.0, "average", "uniform"
)  #: uniform on ±sqrt(6 / (n_in + n_out)); Glorot and Bengio, AISTATS 2010, equation 16
glorot_normal = variance_scaling(
    1.0, "average", "normal"
)  #: normal, variance 2 / (n_in + n_out); Glorot and Bengio, AISTATS 2010, equation 12
he_uniform = variance_scaling(
    2.0, "in", "uniform"
)  #: uniform on ±sqrt(6 / n_in), for ReLU; He, Zhang, Ren and Sun, ICCV 2015, equation 10
he_normal = variance_scaling(
    2.0, "in", "normal"
)  #: normal, variance 2 / n_in, for ReLU; He, Zhang, Ren and Sun, ICCV 2015, equation 10
lecun_uniform = variance_scaling(
    1.0, "in", "uniform"
)  #: uniform on ±sqrt(3 / n_in); LeCun, Bottou, Orr and Müller, 1998, section 4.6
lecun_normal = variance_scaling(
    1.0, "in", "normal"
)  #: normal, variance 1 / n_in, for SELU; LeCun, Bottou, Orr and Müller, 1998, section 4.6
