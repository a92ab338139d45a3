"""Finds the first value that is not finite, by replaying the last steps with a check after each layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .. import tree
from .._array import is_float, namespace
from .._types import Backward, Nest
from ..backends import number
from ..layers import Layer
from ..layers.combinator import Combinator
from ..optimizers import Optimizer
from ..random import Key
from .clipping import clip
from .step import Batch


class NonFinite(Exception):
    """The first value that is not finite. layer : its path, such as "layers.2"; what : in words; step : its number."""

    def __init__(self, layer: str, what: str, step: int = -1) -> None:
        super().__init__(layer, what, step)
        self.layer, self.what, self.step = layer, what, step


@dataclass(frozen=True)
class CheckedLayer(Layer):
    """A layer that raises NonFinite as soon as its value or a gradient it returns is not finite."""

    layer: Any
    path: str

    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Nest, Backward]:
        name = f"{type(self.layer).__name__} {self.path!r}"
        y, backward = self.layer(params, x, key)
        check_finite(y, self.path, f"the value of {name}")

        def checked_backward(dy: Nest, need_dx: bool = True) -> tuple[Nest, Nest]:
            dx, grads = backward(dy, need_dx)
            check_finite((dx, tree.trained(grads)), self.path, f"the gradient of {name}")
            return dx, grads

        return y, checked_backward


def checked(network: Any, path: str = "") -> Any:
    """The network with every layer checked, inside combinators too."""
    if _is_combinator(network):
        inside = f"{path}.layers".lstrip(".")
        return network.with_layers(checked(layer, f"{inside}.{i}") for i, layer in enumerate(network.layers))
    return CheckedLayer(network, path or "network")


def layer_of(network: Any, path: str) -> str:
    """The path of the layer that a parameter belongs to: "layers.2" for "2.weight"."""
    first, _, rest = path.partition(".")
    if not _is_combinator(network):
        return ""
    inside = layer_of(network.layers[int(first)], rest)
    return f"layers.{first}.{inside}".rstrip(".")


def check_finite(nest: Nest, layer: str, what: str) -> None:
    """Raise Found where a float array of the nest is not finite."""
    for leaf in tree.leaves(nest):
        if leaf is not None and not isinstance(leaf, (int, float)) and is_float(leaf):
            xp = namespace(leaf)
            if not number(xp.all(xp.isfinite(leaf))):
                raise NonFinite(layer, what)


def first_non_finite(model: Any, steps: Sequence[tuple[int, Optimizer, Callable[[], Batch]]]) -> NonFinite:
    """Replay (step, optimizer, make batch) from the model's weights, on copies, by plain calls of the blocks.

    Keys make the replay exact but for rounding, where the steps themselves were split into blocks or compiled.
    """
    network = checked(model.network)
    params, state = tree.copy(model.params), {**model.state, "slots": tree.copy(model.state["slots"])}
    for step, optimizer, make in steps:
        try:
            params, state = _checked_step(model, network, optimizer, params, state, make())
        except NonFinite as found:
            return NonFinite(found.layer, found.what, step)
    return NonFinite("loss", "the loss")


def _checked_step(model: Any, network: Any, optimizer: Optimizer, params: Nest, state: Any, batch: Batch) -> Any:
    x, targets, weight = batch
    outputs, backward = network(params, x, Key(model.seed).fold_in(state["step"]))
    value, loss_backward = model.loss(outputs, targets, sample_weight=weight)
    check_finite(value, "loss", "the loss")
    doutputs = loss_backward()
    check_finite(doutputs, "loss", "the gradient of the loss")
    grads = backward(doutputs, need_dx=False)[1]
    penalty, penalty_backward = model.network.penalty(params)
    check_finite(penalty, "penalty", "the penalty")
    grads = clip(tree.add(grads, penalty_backward()), model.clip_norm, model.clip_value)
    params, state = optimizer.update(params, grads, state)
    for nest, what in ((params, "parameter"), (state["slots"], "optimizer state")):
        for path, leaf in tree.items(nest):
            check_finite(leaf, layer_of(model.network, path) or "network", f"{what} {path!r} after the update")
    return params, state


def _is_combinator(network: Any) -> bool:
    """Whether its only field is `layers`, so that it can be rebuilt of others."""
    return isinstance(network, Combinator) and [field.name for field in fields(network)] == ["layers"]
