"""The base class of layers made of layers: their list, their parameters, and errors that name the position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from textwrap import indent
from typing import Any, ClassVar, Self, overload

from .._contract import called, initialized, is_outside
from .._contract_of_rules import penalized
from .._coupling import batch_coupled, coupled_in_inference, exchanges_parts, says_coupled
from .._hyperparameters import brief, described
from .._names import ACTIVATIONS, nearest
from .._text import row_shape
from .._types import Backward, LayerLike, Nest, Shape
from ..errors import Placed, ShapeError
from ..random import Key, checked_key
from ._base import Layer, longest
from ._summary import summary


@dataclass(frozen=True, init=False, repr=False)
class Combinator(Layer):
    """A layer of layers, whose parameters are the list of its layers' parameters. A subclass says how they combine.

    layers : layers, combinators too. Each gets its own key, folded from its position.
    """

    layers: tuple[LayerLike, ...]

    #: whether each layer takes the combinator's input, not the output of the one before it
    parallel: ClassVar[bool] = False
    #: whether layer i takes part i of the input, a tuple
    by_part: ClassVar[bool] = False
    #: whether a summary of the network shows the layers only, and no line for the combinator
    transparent: ClassVar[bool] = False

    def __init__(self, *layers: LayerLike) -> None:
        name = type(self).__name__
        for i, layer in enumerate(layers):
            if isinstance(layer, type) or not isinstance(layer, LayerLike):
                raise TypeError(
                    f"{name} takes layers, one by one: {name}(Dense(64), ReLU()); argument {i} is {_no_layer(layer)}"
                )
        object.__setattr__(self, "layers", layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __bool__(self) -> bool:
        return True  # a network of no layers is one, too

    def __iter__(self) -> Iterator[LayerLike]:
        return iter(self.layers)

    @overload
    def __getitem__(self, place: int) -> LayerLike: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: Any) -> Any:
        """The layer at that index, or a combinator of the same kind with a slice of the layers."""
        if isinstance(place, slice):
            return type(self)(*self.layers[place])
        if not -len(self) <= place < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} layers, 0 to {len(self) - 1}; got {place}")
        return self.layers[place]

    def __repr__(self) -> str:
        """One layer per line, without hyperparameters that have their default."""
        lines = [repr(layer) if isinstance(layer, Combinator) else brief(layer) for layer in self.layers]
        inside = indent(",\n".join(lines), "    ")
        return f"{type(self).__name__}(\n{inside},\n)" if lines else f"{type(self).__name__}()"

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
    def integer_input(self) -> Any:
        """Whether the input indexes a table, so that integers must stay integers; a tuple for several inputs."""
        return self._asked("integer_input", False, any)

    @property
    def vocabulary(self) -> Any:
        """The smallest vocabulary of the embeddings that take the input; None if there is none; a tuple for several
        inputs."""
        return self._asked("vocabulary", None, _fewest)

    def longest(self, input_shape: Any) -> tuple[int | None, ...] | None:
        """The limits of lengths of the first layer that has any, among those that take the input."""
        if self.by_part:
            return None  # its parts are separate inputs, not an array and its lengths
        return next((found for layer in self._first() if (found := longest(layer, input_shape))), None)

    def _asked(self, name: str, default: Any, merged: Any) -> Any:
        """Statements about the input by the layers that take it: each about its part, or all about the same input."""
        said = [getattr(layer, name, default) for layer in self._first()]
        if self.by_part:
            return tuple(said)
        parts = max((len(one) for one in said if isinstance(one, tuple)), default=0)
        if not parts:
            return merged(said)
        wide = [one if isinstance(one, tuple) else (one,) * parts for one in said]
        return tuple(merged(own) for own in zip(*wide, strict=False))

    def walk(self, path: str = "") -> Iterator[tuple[str, LayerLike]]:
        """(path, layer) of the layers that are no combinators, in order, such as "layers.2.layers.0"."""
        for i, layer in enumerate(self.layers):
            inner = f"{path}.layers.{i}".lstrip(".")
            if isinstance(layer, Combinator):
                yield from layer.walk(inner)
            else:
                yield inner, layer

    def with_layers(self, layers: Iterable[LayerLike]) -> Self:
        """A copy with these layers, and without cached attributes."""
        made = object.__new__(type(self))
        for field in fields(self):
            object.__setattr__(made, field.name, getattr(self, field.name))
        object.__setattr__(made, "layers", tuple(layers))
        return made

    def coupling(self) -> str:
        """Kind and path of the first layer that couples rows, such as "BatchNorm 'layers.1'"; "" if none does."""
        found = (f"{type(layer).__name__} {path!r}" for path, layer in self.walk() if says_coupled(layer))
        return next(found, "")

    def _first(self) -> tuple[LayerLike, ...]:
        return self.layers if self.parallel else self.layers[:1]

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        parts = []
        for i, own in enumerate(params):
            try:
                parts.append(penalty_of(self.layers[i], own))
            except Placed as error:
                raise self.placed(error, i) from error.__cause__

        def penalty_backward(dpenalty: Any = 1.0) -> Nest:
            gradients = []
            for i, (_, backward) in enumerate(parts):
                try:
                    gradients.append(backward(dpenalty))
                except Placed as error:
                    raise self.placed(error, i) from error.__cause__
            return gradients

        return sum(value for value, _ in parts) if parts else 0.0, penalty_backward

    def summary(self, input_shape: Shape, dtype: str = "float32") -> str:
        """A table of the layers: output shape, parameters, bytes. input_shape : without the batch axis."""
        return summary(self, input_shape, dtype)

    def initialized(self, i: int, rng: Any, shape: Shape, dtype: str) -> tuple[Nest, Shape]:
        """(params, output shape) of layer i; its errors name its position."""
        try:
            return initialized(self.layers[i], rng, shape, dtype)
        except Placed as error:
            raise self.placed(error, i) from None

    def called(self, i: int, params: Nest, x: Nest, key: Key | None) -> tuple[Nest, Backward]:
        """(y, backward) of layer i, with its own key; its errors name its position."""
        try:
            return called(self.layers[i], params, x, None if key is None else checked_key(key).fold_in(i))
        except Placed as error:
            raise self.placed(error, i) from error.__cause__

    def of_layers(self, params: Nest) -> Nest:
        """params, if they are those of the layers, one for each; else ShapeError."""
        if not isinstance(params, (list, tuple)) or len(params) != len(self.layers):
            form = f"{len(params)} items" if isinstance(params, (list, tuple)) else type(params).__name__
            raise ShapeError(
                f"expected the list of the {len(self.layers)} layers' parameters, got {form}; "
                f"params, output_shape = network.init(rng, input_shape) makes it"
            )
        return params

    def placed(self, error: Placed, i: int) -> Placed:
        """The error of layer i, with its kind, its position, and the layer that its input came from."""
        chained = i > 0 and not self.parallel
        source = f"{type(self.layers[i - 1]).__name__} 'layers.{i - 1}'" if chained else ""
        return error.inside(type(self.layers[i]).__name__, f"layers.{i}", source)


def penalty_of(layer: Any, params: Nest) -> tuple[Any, Backward]:
    """(value, backward) of a layer's penalty; that of a custom layer is checked."""
    if not is_outside(type(layer)):
        found: tuple[Any, Backward] = layer.penalty(params)
        return found
    contract = (
        "a layer's penalty takes (params) and returns (value, backward), and backward(dpenalty=1.0) gives a nest like "
        "params"
    )
    return penalized("its penalty", layer.penalty, params, contract)


def _fewest(known: list[int | None]) -> int | None:
    return min((words for words in known if words is not None), default=None)


def joined(shapes: list[Shape]) -> Shape:
    """The shape of the concatenated outputs, without the batch axis."""
    if any(not shape or shape[:-1] != shapes[0][:-1] for shape in shapes):
        shown = " and ".join(map(row_shape, shapes))
        raise ShapeError(f"branches joined along the last axis must agree on the others, got outputs {shown}")
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


def check_network(network: Any) -> None:
    """Raise TypeError for a network that is not a layer; the error says how to make one of it."""
    if isinstance(network, type) or not isinstance(network, LayerLike):
        given = "a list; give nn.Sequential(*layers)" if isinstance(network, list) else _no_layer(network)
        raise TypeError(f"network must be a layer, such as nn.Sequential(nn.Dense(3)), got {given}")


def _no_layer(given: Any) -> str:
    """The object given instead of a layer, and the layer that is probably meant."""
    if isinstance(given, type):
        return f"the class {given.__name__}; give a layer of it, {given.__name__}(…)"
    if isinstance(given, (list, tuple)):
        return f"a {type(given).__name__}; unpack it with *"
    if name := nearest(given if isinstance(given, str) else getattr(given, "__name__", ""), sorted(ACTIVATIONS), 1):
        return f"{getattr(given, '__name__', repr(given))}; give the layer {name[0]}()"
    if callable(getattr(given, "forward", None)) or callable(given):
        return f"{described(given)}, which has no init(rng, input_shape) or no penalty(params); extend nn.Layer"
    return described(given)
