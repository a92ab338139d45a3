"""Blocks that round as the book's code does, where the library rounds otherwise, written as a user's own blocks.

The book's runs are chaotic: a difference in one last bit makes two runs disagree after some thousand steps. So these
blocks keep the order of the book's operations, which is neither better nor worse than the library's. They run on NumPy
only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..._array import namespace
from ..._types import Array, Backward, Nest
from ...layers import Dense, Layer
from ...losses import SoftmaxCrossEntropy
from ...metrics import Accuracy
from ...optimizers import Adam, RMSProp
from ...regularizers import L1L2
from ...schedules import rate_at


class Stream(np.random.RandomState):
    """NumPy's legacy generator with normal draws rounded to float32, as the book's own package draws them."""

    def randn(self, *shape: Any) -> Any:  # Any: the stubs of NumPy 2.5 accept any index type here
        return np.asarray(super().randn(*shape), dtype="float32")


@dataclass(frozen=True)
class rounded_normal:  # noqa: N801 - used as a function
    """Weight initializer std · e with e from N(0, 1), rounded to float32 before and after the product."""

    std: float = 0.01

    def __call__(self, rng: Any, shape: tuple[int, ...]) -> Any:
        return self.std * np.asarray(rng.standard_normal(shape), dtype="float32")


@dataclass(frozen=True)
class Decay:
    """Inverse-time decay, learning_rate · (1 / (1 + decay · step)); differs from InverseTimeDecay in the last bit."""

    learning_rate: float
    decay: float

    def __call__(self, step: int) -> float:
        return self.learning_rate * (1.0 / (1.0 + self.decay * step))


@dataclass(frozen=True)
class BookDense(Dense):
    """Dense layer y = x w + b whose products are computed in float64 and rounded to float32, forward and backward."""

    batch_coupled = True  # a batch is never split: sums over parts of its rows would be rounded differently
    coupled_in_inference = False

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Array, Backward]:
        xp = namespace(x)
        wide = {name: xp.astype(values, xp.float64) for name, values in (("x", x), ("w", params["weight"]))}
        y = xp.astype(wide["x"] @ wide["w"], x.dtype)
        y += params["bias"]

        def book_dense_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Nest]:
            wide_dy = xp.astype(dy, xp.float64)
            dx = xp.astype(wide_dy @ xp.matrix_transpose(wide["w"]), x.dtype) if need_dx else None
            dw = xp.astype(xp.matrix_transpose(wide["x"]) @ wide_dy, x.dtype)
            return dx, {"weight": dw, "bias": xp.sum(dy, axis=0)}

        return y, book_dense_backward


@dataclass(frozen=True)
class BookDropout(Layer):
    """Dropout y = x m / (1 - rate), whose masks m are drawn from the stream that the weights were drawn from.

    rate : in [0, 1/2). stream : a `Stream`, whose state advances with each training pass. So two passes with the same
    key differ, and no step can be repeated. The library's Dropout has neither fault.
    """

    rate: float
    stream: np.random.RandomState = field(repr=False)

    batch_coupled = True  # the parts of a split batch would draw in the order in which they happen to run
    coupled_in_inference = False

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Array, Backward]:
        if key is None:
            return x, lambda dy, need_dx=True: (dy, {})
        if not isinstance(x, np.ndarray):  # checked before anything is drawn, so that tracing a step draws nothing
            raise TypeError(f"the book's stream draws for NumPy's arrays, got {type(x).__name__}")
        keep = 1 - self.rate
        mask = np.asarray(drawn(self.stream, keep, x.shape), dtype=x.dtype)
        mask *= 1 / keep

        def book_dropout_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Nest]:
            return dy * mask if need_dx else None, {}

        return x * mask, book_dropout_backward


def drawn(stream: np.random.RandomState, keep: float, shape: tuple[int, ...]) -> Any:
    """stream.binomial(1, keep, shape) as booleans, in half the time.

    For keep > 1/2, the legacy generator draws one uniform number for each element and compares it with exp(log(keep)).
    """
    return stream.random_sample(shape) <= math.exp(math.log(keep))


@dataclass(frozen=True)
class BookL1L2(L1L2):
    """The penalty l1 Σ |w| + l2 Σ w², where the slope of |w| at 0 is +1 (in the library it is 0)."""

    def __call__(self, w: Array, /) -> tuple[Array, Backward]:
        xp = namespace(w)
        value, penalty_backward = super().__call__(w)

        def book_penalty_backward(dpenalty: Any = 1.0) -> Array:
            dw = penalty_backward(dpenalty)
            if self.l1:
                dw += xp.astype(w == 0, w.dtype) * (self.l1 * dpenalty)
            return dw

        return value, book_penalty_backward


def probabilities(z: Array) -> Array:
    """softmax(z) of each row."""
    xp = namespace(z)
    p = xp.exp(z - xp.max(z, axis=1, keepdims=True))
    p /= xp.sum(p, axis=1, keepdims=True)
    return p


@dataclass(frozen=True)
class BookAccuracy(Accuracy):
    """Accuracy by the largest *probability* of each row: logits that differ in the last bit may give a tie."""

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        return super().sums(probabilities(outputs), targets, sample_weight)


@dataclass(frozen=True)
class BookSoftmaxCrossEntropy(SoftmaxCrossEntropy):
    """Cross-entropy -Σ_i log softmax(z_i)[t_i] / N of logits z, with probabilities clipped to [1e-7, 1 - 1e-7].

    dz = (p - onehot) / N is a division; the library multiplies by 1 / N. Takes integer labels and no weights.
    """

    metric: ClassVar[Any] = BookAccuracy()

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        if sample_weight is not None:
            raise ValueError("the book's loss takes no sample_weight; use SoftmaxCrossEntropy")
        xp = namespace(outputs)
        rows = outputs.shape[0] if total is None else total
        classes = xp.arange(outputs.shape[1], dtype=targets.dtype)
        onehot = xp.astype(targets[:, None] == classes[None, :], outputs.dtype)
        p = probabilities(outputs)
        hit = xp.clip(xp.sum(p * onehot, axis=1), 1e-7, 1 - 1e-7)

        def book_softmax_cross_entropy_backward(dloss: Any = 1.0) -> Array:
            return (p - onehot) / rows * dloss

        return xp.sum(-xp.log(hit)) / rows, book_softmax_cross_entropy_backward


@dataclass(frozen=True)
class BookAdam(Adam):
    """Adam that divides m and v by their bias corrections before any other operation; ε is 1e-7."""

    epsilon: float = 1e-7

    def scalars(self, step: int) -> dict[str, float]:
        t = step + 1
        return {"lr": rate_at(self.learning_rate, step), "c1": 1 - self.beta1**t, "c2": 1 - self.beta2**t}

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Array, Any]:
        m = self.beta1 * slots["m"] + (1 - self.beta1) * g
        v = self.beta2 * slots["v"] + (1 - self.beta2) * g**2
        p += -c["lr"] * (m / c["c1"]) / (namespace(v).sqrt(v / c["c2"]) + self.epsilon)
        return p, {"m": m, "v": v}


@dataclass(frozen=True)
class BookRMSProp(RMSProp):
    """RMSProp that squares g before it multiplies by 1 - ρ."""

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Array, Any]:
        s = self.rho * slots["s"] + (1 - self.rho) * g**2
        p += -c["lr"] * g / (namespace(s).sqrt(s) + self.epsilon)
        return p, {"s": s}
