"""Regularizers: penalties on parameters, added to the loss once per step and not divided by the batch size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._array import namespace
from ._contract_of_rules import penalized
from ._hyperparameters import Hyperparameters, python_number
from ._types import Array, Backward, Nest

__all__ = ["L1", "L1L2", "L2"]


@dataclass(frozen=True)
class L1L2(Hyperparameters):
    """l1 Σ |w| + l2 Σ w².

    l1, l2 : at least 0.
    The slope of |w| at 0 is 0 (the book's code takes +1). Σ w² is not halved; many papers write l2/2 Σ w².
    Returns the value, 0-d, and backward(dpenalty=1.0) -> dw = (l1 sign(w) + 2 l2 w) dpenalty. That is a new array.

    Zou and Hastie, Journal of the Royal Statistical Society B 67, 2005, the elastic net.

    >>> import numpy as np
    >>> value, backward = L1L2(l1=1.0, l2=0.5)(np.asarray([-2.0, 0.0, 4.0]))
    >>> float(value), backward()
    (16.0, array([-3.,  0.,  5.]))
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name in ("l1", "l2"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)!r}")

    def __call__(self, w: Array, /) -> tuple[Any, Backward]:
        xp = namespace(w)
        value = 0.0
        if self.l1:
            value += self.l1 * xp.sum(xp.abs(w))
        if self.l2:
            value += self.l2 * xp.sum(w * w)

        def penalty_backward(dpenalty: Any = 1.0) -> Any:
            dpenalty = python_number(dpenalty)
            # d|w|/dw = sign(w), dw²/dw = 2 w
            dw = w * (2 * self.l2 * dpenalty)
            if self.l1:
                dw += xp.sign(w) * (self.l1 * dpenalty)
            return dw

        return value, penalty_backward


def L1(l1: float = 0.01) -> L1L2:  # noqa: N802 - named as the field names it
    """l1 Σ |w|, the lasso's penalty: drives weights to exactly 0. See `L1L2`.

    l1 : at least 0. Returns an `L1L2`.

    Tibshirani, Journal of the Royal Statistical Society B 58, 1996.
    """
    return L1L2(l1=l1)


def L2(l2: float = 0.01) -> L1L2:  # noqa: N802
    """l2 Σ w², the ridge's penalty: keeps weights small. Not halved. See `L1L2`.

    l2 : at least 0. Returns an `L1L2`.

    Hoerl and Kennard, Technometrics 12, 1970.
    """
    return L1L2(l2=l2)


def checked(what: str, regularizer: Any) -> None:
    """Raise TypeError unless it is None or a callable of an array; classes and nn.L1, nn.L2 themselves are refused."""
    if regularizer is not None and (
        not callable(regularizer) or isinstance(regularizer, type) or regularizer in (L1, L2)
    ):
        shown = getattr(regularizer, "__name__", repr(regularizer))
        raise TypeError(f"{what} must be nn.L1, nn.L2 or nn.L1L2 with a factor, as nn.L2(5e-4), or None, got {shown}")


def penalty_of(params: Mapping[str, Array], regularizers: Mapping[str, Any]) -> tuple[Any, Backward]:
    """The sum of the penalties on the named parameters, and backward(dpenalty=1.0) -> their gradients by name."""
    parts = {
        name: penalize(params[name])
        if type(penalize) is L1L2
        else penalized(f"its {name}_regularizer", penalize, params[name])
        for name, penalize in regularizers.items()
        if penalize is not None
    }

    def penalty_backward(dpenalty: Any = 1.0) -> Nest:
        return {name: backward(dpenalty) for name, (_, backward) in parts.items()} or None

    return sum(value for value, _ in parts.values()) if parts else 0.0, penalty_backward
