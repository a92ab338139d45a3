"""The base classes of layers."""

from __future__ import annotations

from typing import Any, ClassVar

from .._coupling import Splittable
from .._habits import OF_LAYER
from .._hyperparameters import Hyperparameters
from .._names import ACTIVATIONS
from .._types import Array, Backward, Nest, Shape
from ._answered import answered_call, answered_init


class Layer(Splittable, Hyperparameters):
    """A layer without parameters or penalty. A subclass overrides what differs.

    A layer is a frozen dataclass of hyperparameters and holds no arrays:
    `init` makes its parameters, the call takes them, and the backward returns their gradients in the same nest.

    batch_coupled : whether a row's output, or its gradient, depends on other rows; such a layer's batch is never split.
        A layer of your own counts as coupled unless its class says `batch_coupled = False`. Say so where its rows are
        independent: large batches and predictions are then split among the cores. couples_rows is the older name.
        coupled_in_inference : the same without a key; by default equal to batch_coupled.

    A compiled step calls the layer once, with placeholder arrays. A value that is read from the host (a global,
    `random.random()`) keeps the value of that call: take values that change from step to step from x, params or key.
    """

    _habits = OF_LAYER

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "init" in vars(cls):
            cls.init = answered_init(cls.init)  # type: ignore[method-assign]
        if "__call__" in vars(cls):
            cls.__call__ = answered_call(cls.__call__)  # type: ignore[method-assign]

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        """(params, output_shape). rng: NumPy Generator or RandomState; shapes without the batch axis; host arrays,
        drawn in float64, then rounded to dtype."""
        return {}, tuple(input_shape)

    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Nest, Backward]:
        """y and backward(dy, need_dx=True) -> dx, grads. key: randomness of a training pass; None is inference."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__")

    def longest(self, input_shape: Any) -> tuple[int | None, ...] | None:
        """The largest length that each part of the input may hold, None for a part without lengths; None for an
        input without lengths. Lengths are checked when data are given, as a step reads no values on the host."""
        return None

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        """The regularization term and backward(dpenalty=1.0) -> gradients: new arrays, in a nest like params that may
        lack the leaves without a penalty; None if no leaf has one."""
        return 0.0, no_penalty_backward


class Activation(Layer):
    """A layer that applies one block, given by `function`, and has no parameters.

    elementwise : whether each number of the output depends on the same number of the input alone, as in `ReLU`; such a
        layer of the library may stand between dense ones wherever an activation is chosen by its name.
    """

    elementwise: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.elementwise and cls.__module__.startswith(__package__):
            ACTIVATIONS.add(cls.__name__)

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        raise NotImplementedError(f"{type(self).__name__} must define function")

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Any, Backward]:
        y, function_backward = self.function(x)

        def activation_backward(dy: Array, need_dx: bool = True) -> tuple[Any, Nest]:
            return function_backward(dy) if need_dx else None, {}

        return y, activation_backward


def longest(layer: Any, input_shape: Any) -> tuple[int | None, ...] | None:
    """The layer's limits of the lengths in its input; None for a custom layer that states none."""
    found: tuple[int | None, ...] | None = layer.longest(input_shape) if hasattr(layer, "longest") else None
    return found


def no_penalty_backward(dpenalty: Any = 1.0) -> None:
    """The gradient of a penalty that is always zero."""
    return None
