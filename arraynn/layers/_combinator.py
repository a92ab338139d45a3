"""What layers made of layers share: their list, their parameters' list, and errors that say where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._coupling import batch_coupled, coupled_in_inference, exchanges_parts, says_coupled
from .._types import Backward, LayerLike, Nest, Shape
from ..errors import ShapeError
from ._base import Layer
from ._summary import summary


@dataclass(frozen=True, init=False)
class Combinator(Layer):
    """A layer of layers, whose parameters are the list of its layers' parameters. A subclass says how they combine.

    layers : layers, combinators too. Each gets its own key, folded from its position.
    """

    layers: tuple[LayerLike, ...]

    #: whether each layer takes the combinator's input, not the output of the one before it
    parallel: ClassVar[bool] = False
    #: whether a table of the network shows the layers only, and no line for the combinator
    transparent: ClassVar[bool] = False

    def __init__(self, *layers: LayerLike) -> None:
        name = type(self).__name__
        for i, layer in enumerate(layers):
            if isinstance(layer, type) or not isinstance(layer, LayerLike):
                raise TypeError(
                    f"{name} takes layers, one by one: {name}(Dense(64), ReLU()); argument {i} is {layer!r}"
                )
        object.__setattr__(self, "layers", layers)

    @property
    def batch_coupled(self) -> bool:
        return any(map(batch_coupled, self.layers))

    @property
    def exchanges_parts(self) -> bool:
        return all(exchanges_parts(layer) for layer in self.layers if batch_coupled(layer))

    @property
    def coupled_in_inference(self) -> bool:
        return any(map(coupled_in_inference, self.layers))

    @property
    def integer_input(self) -> bool:
        """Whether what comes in is looked up in a table, so that integers must stay integers."""
        return any(getattr(layer, "integer_input", False) for layer in self._first())

    @property
    def vocabulary(self) -> int | None:
        """How many words all tables know in which what comes in is looked up; None where there is no table."""
        known = [getattr(layer, "vocabulary", None) for layer in self._first()]
        return min((words for words in known if words is not None), default=None)

    def coupling(self) -> str:
        """Kind and place of the first layer inside that says it couples rows, "" of none: "BatchNorm 'layers.1'"."""
        for i, layer in enumerate(self.layers):
            inner = layer.coupling() if isinstance(layer, Combinator) else ""
            if inner or (says_coupled(layer) and not isinstance(layer, Combinator)):
                return inner.replace("'", f"'layers.{i}.", 1) if inner else f"{type(layer).__name__} 'layers.{i}'"
        return ""

    def _first(self) -> tuple[LayerLike, ...]:
        return self.layers if self.parallel else self.layers[:1]

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        parts = [layer.penalty(own) for layer, own in zip(self.layers, params, strict=True)]

        def penalty_backward(dpenalty: Any = 1.0) -> Nest:
            return [backward(dpenalty) for _, backward in parts]

        return sum(value for value, _ in parts) if parts else 0.0, penalty_backward

    def summary(self, input_shape: Shape, dtype: str = "float32") -> str:
        """A table of the layers: output shape, parameters, bytes. input_shape : without the batch axis."""
        return summary(self, input_shape, dtype)

    def placed(self, error: ShapeError, i: int) -> ShapeError:
        """The error of layer i, told with its kind, its place, and the layer that its input came from."""
        chained = i > 0 and not self.parallel
        source = f"{type(self.layers[i - 1]).__name__} 'layers.{i - 1}'" if chained else ""
        return error.inside(type(self.layers[i]).__name__, f"layers.{i}", source)
