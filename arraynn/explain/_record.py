"""Wraps a network's layers so that each records its inputs and outputs, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from .._coupling import batch_coupled
from .._types import Backward, Nest
from ..errors import Placed
from ..layers import Layer
from ..layers.combinator import Combinator
from ._formula import backward_formula, formula
from ._plain import by_path, gradients, plain, settings


@dataclass(frozen=True, eq=False)
class Recorded(Layer):
    """A layer that appends its inputs and outputs to a log, forward and backward."""

    layer: Any
    path: str
    log: list[dict[str, Any]]
    inner: Any  # the same layer with its child layers recorded, or `layer` itself if it has none

    @property
    def batch_coupled(self) -> bool:
        return batch_coupled(self.layer)

    def stage(self, name: str) -> dict[str, Any]:
        formula_of = backward_formula if name == "backward" else formula
        return {"stage": name, "what": f"{type(self.layer).__name__} '{self.path}'", "formula": formula_of(self.layer)}

    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Nest, Backward]:
        try:
            y, backward = self.inner(params, x, key)
        except Placed as error:
            raise error.inside(type(self.layer).__name__, "") from None  # name the layer, not this wrapper
        values = {} if self.inner is not self.layer else by_path(params)
        self.log.append(
            self.stage("forward") | {"settings": settings(self.layer), "x": plain(x), **values, "y": plain(y)}
        )

        def recorded_backward(dy: Nest, need_dx: bool = True) -> tuple[Nest, Nest]:
            dx, grads = backward(dy, need_dx)
            values = {} if self.inner is not self.layer else gradients(grads)
            x_gradient = "none: the input is integers, which have no gradient" if dx is None else plain(dx)
            self.log.append(self.stage("backward") | {"y gradient": plain(dy), **values, "x gradient": x_gradient})
            return dx, grads

        return y, recorded_backward

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        value, backward = self.inner.penalty(params)
        if self.inner is not self.layer:
            return value, backward

        def recorded_penalty_backward(dpenalty: Any = 1.0) -> Nest:
            grads = backward(dpenalty)
            if grads is not None:
                stage = self.stage("penalty") | {"formula": _penalties(self.layer)}
                self.log.append(stage | {"penalty": plain(value), **gradients(grads)})
            return grads

        return value, recorded_penalty_backward


def recorded(network: Any, path: str, log: list[dict[str, Any]]) -> Any:
    """The network with each layer wrapped in `Recorded`, the layers inside combinators too."""
    if not isinstance(network, Combinator):
        return Recorded(network, path or "network", log, network)
    rebuilt = network.with_layers(recorded(layer, child_path(path, i), log) for i, layer in enumerate(network.layers))
    return rebuilt if network.transparent else Recorded(network, path or "network", log, rebuilt)


def child_path(path: str, i: int) -> str:
    return f"{path}.layers.{i}".lstrip(".")


def _penalties(layer: Any) -> str:
    """The formulas of a layer's regularizers, each after the name of the parameter that it penalizes."""
    found = {
        field.name.removesuffix("_regularizer"): getattr(layer, field.name)
        for field in fields(layer)
        if field.name.endswith("_regularizer") and getattr(layer, field.name) is not None
    }
    return "; ".join(
        f"{name}: {formula(one).rstrip('.')}, {backward_formula(one)}, of {one!r}" for name, one in found.items()
    )


def layers_of(network: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(class name and path, layer) of each layer that is not a combinator, in order."""
    walked = network.walk(path) if isinstance(network, Combinator) else [(path or "network", network)]
    yield from ((f"{type(layer).__name__} {own!r}", layer) for own, layer in walked)
