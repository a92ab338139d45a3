"""A recurrent layer in both directions of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .._array import namespace
from .._hyperparameters import described
from .._types import Array, Backward, Nest, Shape
from ._base import Layer
from ._recurrent import Recurrent


@dataclass(frozen=True)
class Bidirectional(Layer):
    """y = [f(x), b(x)], a recurrent layer from the first step to the last and a second one back, concatenated.

    layer : an RNN, a GRU or an LSTM of H units. Each direction has weights of its own: parameters {"forward": …,
    "backward": …}. The input is that of the layer, also (x, mask).
    Output (N, T, 2 H) if the layer returns sequences, else (N, 2 H), the last state of each direction; the backward
    one reaches it at the first step. (The last step of PyTorch's output has the *first* state of that direction.)
    backward(dy, need_dx=True) -> dx, grads: dx is the sum of both directions'.

    Schuster and Paliwal, IEEE Transactions on Signal Processing 45, 1997.

    >>> import numpy as np
    >>> from arraynn import LSTM
    >>> Bidirectional(LSTM(8, return_sequences=True)).init(np.random.default_rng(0), (5, 3))[1]
    (5, 16)
    """

    layer: Recurrent

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Recurrent):
            raise TypeError(f"Bidirectional takes a recurrent layer, such as LSTM(64), got {described(self.layer)}")

    @property
    def directions(self) -> tuple[tuple[str, Recurrent], ...]:
        """The two layers, by the names of their parameters."""
        turned = replace(self.layer, reverse=not self.layer.reverse)
        return ("forward", self.layer), ("backward", turned)

    def shapes(self, input_shape: Any) -> tuple[dict[str, Shape], Shape]:
        """The shapes of the weights, by their paths, and of an output row, for rows of this shape, or these."""
        own, (*places, units) = self.layer.shapes(input_shape)
        found = {f"{name}.{path}": shape for name, _ in self.directions for path, shape in own.items()}
        return found, (*places, 2 * units)

    def init(self, rng: Any, input_shape: Any, dtype: str = "float32") -> tuple[Nest, Shape]:
        made = {name: layer.init(rng, input_shape, dtype) for name, layer in self.directions}
        *places, units = made["forward"][1]
        return {name: params for name, (params, _) in made.items()}, (*places, 2 * units)

    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Array, Backward]:
        (first, first_backward), (second, second_backward) = (
            layer(params[name], x, key) for name, layer in self.directions
        )
        units = self.layer.units

        def bidirectional_backward(dy: Array, need_dx: bool = True) -> tuple[Nest, Nest]:
            # forward concatenated two outputs of x, so each has its columns of dy, and their gradients of x add
            dx, forward_grads = first_backward(dy[..., :units], need_dx)
            more, backward_grads = second_backward(dy[..., units:], need_dx)
            grads = {"forward": forward_grads, "backward": backward_grads}
            if not need_dx:
                return None, grads
            return (dx[0] + more[0], None) if isinstance(x, tuple) else dx + more, grads

        return namespace(first).concat((first, second), axis=-1), bidirectional_backward

    def longest(self, input_shape: Any) -> tuple[int | None, ...] | None:
        return self.layer.longest(input_shape)

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        parts = {name: layer.penalty(params[name]) for name, layer in self.directions}

        def penalty_backward(dpenalty: Any = 1.0) -> Nest:
            return {name: backward(dpenalty) for name, (_, backward) in parts.items()}

        return sum(value for value, _ in parts.values()), penalty_backward
