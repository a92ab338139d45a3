"""Where training left the finite numbers: the last steps once more, with a look after each layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .. import tree
from .._array import is_float, namespace
from .._types import Backward, Nest
from ..backends import number
from ..layers import Layer
from ..layers._combinator import Combinator
from ..optimizers import Optimizer
from ..random import Key
from .step import Batch, clip


class Found(Exception):
    """The first thing that is not finite. layer : where, such as "layers.2"; what : in words; step : which."""

    def __init__(self, layer: str, what: str, step: int = -1) -> None:
        super().__init__(layer, what, step)
        self.layer, self.what, self.step = layer, what, step


@dataclass(frozen=True)
class Watched(Layer):
    """A layer that raises Found as soon as its value or a gradient it returns is not finite."""

    layer: Any
    path: str

    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Nest, Backward]:
        name = f"{type(self.layer).__name__} {self.path!r}"
        y, backward = self.layer(params, x, key)
        look(y, self.path, f"the value of {name}")

        def watched_backward(dy: Nest, need_dx: bool = True) -> tuple[Nest, Nest]:
            dx, grads = backward(dy, need_dx)
            look((dx, tree.trained(grads)), self.path, f"the gradient of {name}")
            return dx, grads

        return y, watched_backward


def watched(network: Any, path: str = "") -> Any:
    """The network with every layer watched, inside combinators too."""
    if _is_combinator(network):
        inner = [watched(layer, f"{path}.layers.{i}".lstrip(".")) for i, layer in enumerate(network.layers)]
        return type(network)(*inner)
    return Watched(network, path or "network")


def layer_of(network: Any, path: str) -> str:
    """The path of the layer that a parameter belongs to: "layers.2" for "2.weight"."""
    first, _, rest = path.partition(".")
    if not _is_combinator(network):
        return ""
    inside = layer_of(network.layers[int(first)], rest)
    return f"layers.{first}.{inside}".rstrip(".")


def look(nest: Nest, layer: str, what: str) -> None:
    """Raise Found where a float array of the nest is not finite."""
    for leaf in tree.leaves(nest):
        if leaf is not None and not isinstance(leaf, (int, float)) and is_float(leaf):
            xp = namespace(leaf)
            if not number(xp.all(xp.isfinite(leaf))):
                raise Found(layer, what)


def first_not_finite(model: Any, steps: Sequence[tuple[int, Optimizer, Callable[[], Batch]]]) -> Found:
    """Replay (step, optimizer, make batch) from the model's weights, on copies, by plain calls of the blocks.

    Keys make the replay exact but for rounding, where the steps themselves were split into blocks or compiled.
    """
    network = watched(model.network)
    params, state = tree.copy(model.params), {**model.state, "slots": tree.copy(model.state["slots"])}
    for step, optimizer, make in steps:
        try:
            params, state = _watched_step(model, network, optimizer, params, state, make())
        except Found as found:
            return Found(found.layer, found.what, step)
    return Found("loss", "the loss")


def _watched_step(model: Any, network: Any, optimizer: Optimizer, params: Nest, state: Any, batch: Batch) -> Any:
    x, targets, weight = batch
    outputs, backward = network(params, x, Key(model.seed).fold_in(state["step"]))
    value, loss_backward = model.loss(outputs, targets, sample_weight=weight)
    look(value, "loss", "the loss")
    doutputs = loss_backward()
    look(doutputs, "loss", "the gradient of the loss")
    grads = backward(doutputs, need_dx=False)[1]
    penalty, penalty_backward = model.network.penalty(params)
    look(penalty, "penalty", "the penalty")
    grads = clip(tree.add(grads, penalty_backward()), model.clip_norm, model.clip_value)
    params, state = optimizer.update(params, grads, state)
    for nest, what in ((params, "parameter"), (state["slots"], "optimizer state")):
        for path, leaf in tree.items(nest):
            look(leaf, layer_of(model.network, path) or "network", f"{what} {path!r} after the update")
    return params, state


def _is_combinator(network: Any) -> bool:
    """Whether it is made of layers and nothing else, so that it can be made again of others."""
    return isinstance(network, Combinator) and [field.name for field in fields(network)] == ["layers"]
