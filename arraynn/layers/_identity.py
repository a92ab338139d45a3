"""The identity function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._types import Array, Backward
from ._base import Activation


def identity(x: Array, /) -> tuple[Any, Backward]:
    """y = x, the linear activation: a shortcut in a residual network, or the output of a regression.

    x : any array or nest. Returns y = x and backward(dy) -> dx = dy. Neither is a copy.

    By convention, Keras's activation "linear" and PyTorch's Identity; as a shortcut, He, Zhang, Ren and Sun, ECCV 2016.
    """

    def identity_backward(dy: Array) -> Any:
        return dy

    return x, identity_backward


@dataclass(frozen=True)
class Identity(Activation):
    """The layer of `identity`."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return identity(x)
