"""What most layers share."""

from __future__ import annotations

from typing import Any

from .._hyperparameters import Hyperparameters
from .._types import Array, Backward, Nest, Shape


class Layer(Hyperparameters):
    """A layer without parameters, penalty or coupling between rows. A subclass overrides what differs.

    A layer is a frozen dataclass of hyperparameters and holds no arrays:
    `init` makes its parameters, the call takes them, and the backward returns their gradients in the same nest.
    """

    @property
    def couples_rows(self) -> bool:
        """Whether a row's output depends on other rows; such a layer's batch is never split."""
        return False

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        """(params, output_shape). rng: NumPy Generator or RandomState; shapes without the batch axis; host arrays,
        drawn in float64, then rounded to dtype."""
        return {}, tuple(input_shape)

    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Nest, Backward]:
        """y and backward(dy, need_dx=True) -> dx, grads. key: randomness of a training pass; None is inference."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__")

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        """The regularization term and backward(dpenalty=1.0) -> gradients, made anew, of the leaves that have one,
        in a nest like params that may lack the others; None where no leaf has."""
        return 0.0, no_penalty_backward


class Activation(Layer):
    """A layer that applies one block, given by `function`, and has no parameters."""

    def function(self, x: Array, /) -> tuple[Array, Backward]:
        raise NotImplementedError(f"{type(self).__name__} must define function")

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Array, Backward]:
        y, function_backward = self.function(x)

        def activation_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Nest]:
            return function_backward(dy) if need_dx else None, {}

        return y, activation_backward


def no_penalty_backward(dpenalty: Any = 1.0) -> None:
    """The gradient of a penalty that is always zero."""
    return None
