"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._ranges import dropping
from .._types import Array, Backward, Nest
from ..random import Key, checked_key, quantized
from ._base import Layer


def dropout(x: Array, rate: float, key: Key | None, /) -> tuple[Any, Backward]:
    """Inverted dropout, y = x m / (1 - rate), where each m is 0 with probability `rate` and else 1.

    x : float array (N, …).
    rate : probability of dropping (the book's and Keras's; some papers give that of keeping), in [0, 1), realized in
        steps of 2**-16 with the scale that matches, so that E[y] = x exactly.
    key : `Key` of this step and layer; it fixes the mask bit for bit, on every backend. None is inference: y = x.
    Returns y, shaped as x, and backward(dy) -> dx = dy m / (1 - rate), the same mask.
    Raises ValueError for a rate out of range, in inference too.

    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, JMLR 15, 2014, scaled in training, not in inference.

    >>> import numpy as np
    >>> from arraynn import Key
    >>> y, backward = dropout(np.ones((2, 4)), 0.5, Key(0))
    >>> y
    array([[0., 0., 0., 0.],
           [0., 2., 2., 2.]])
    """
    rate = dropping("rate", rate)
    if key is None or rate == 0:
        return x, lambda dy: dy
    xp = namespace(x)
    keep = checked_key(key).keep(tuple(x.shape), rate, like=x)  # a byte a number: a quarter of a float mask

    def masked(a: Array) -> Any:
        product = xp.astype(keep, a.dtype)
        product *= quantized(rate)[1]
        product *= a
        return product

    def dropout_backward(dy: Array) -> Any:
        # forward was a product with the mask, so backward is the same product
        return masked(dy)

    return masked(x), dropout_backward


@dataclass(frozen=True)
class Dropout(Layer):
    """The layer of `dropout`: active in training only. rate : probability of dropping, in [0, 1)."""

    rate: float

    def __post_init__(self) -> None:
        dropping("rate", self.rate)

    def __call__(self, params: Nest, x: Array, key: Key | None = None) -> tuple[Any, Backward]:
        y, dropout_backward = dropout(x, self.rate, key)

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Any, Nest]:
            return dropout_backward(dy) if need_dx else None, {}

        return y, layer_backward
