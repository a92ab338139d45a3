"""Builds a network from hyperparameters, and converts its parameters to coefs_ and intercepts_."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from operator import index
from typing import Any

import numpy as np

from .. import tree
from .._types import LayerLike, Nest
from ..layers import Dense, Dropout, Identity, ReLU, Sequential, Sigmoid, Softmax, Tanh
from ..losses import BinaryCrossEntropy, CrossEntropy, Loss
from ._conventions import MLPDense

ACTIVATIONS = {"identity": Identity(), "logistic": Sigmoid(), "tanh": Tanh(), "relu": ReLU()}


def layer_sizes(hidden_layer_sizes: Any) -> list[int]:
    """The hidden layers' units as a list. Raises scikit-learn's ValueError unless all are above 0."""
    sizes = list(hidden_layer_sizes) if hasattr(hidden_layer_sizes, "__iter__") else [hidden_layer_sizes]
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [index(size) for size in sizes]


def per_layer(name: str, value: Any, count: int) -> list[Any]:
    """A list of one value for each of `count` hidden layers, from a single value or from such a list."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} must be one value, or one for each of the {count} hidden layers, got {len(value)}")
    return list(value)


def activation_layer(activation: Any) -> LayerLike:
    """The activation layer for scikit-learn's name of it; a layer is returned unchanged."""
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    if isinstance(activation, LayerLike) and not isinstance(activation, type):
        return activation
    raise ValueError(
        f"activation must be one of {sorted(ACTIVATIONS)} or a layer such as nn.GELU(), got {activation!r}"
    )


def make_network(
    hidden: Sequence[int], n_outputs: int, loss: Loss, *, activation: Any = "relu", dropout: Any = 0.0
) -> Sequential:
    """Dense, activation and dropout for each hidden layer, then Dense for the outputs.

    A loss over probabilities gets a Softmax or Sigmoid after them; other losses apply their link themselves.
    """
    count = len(hidden)
    activations = [activation_layer(one) for one in per_layer("activation", activation, count)]
    rates = per_layer("dropout", dropout, count)
    last = activations[-1] if activations else activation_layer(activation) if isinstance(activation, str) else ReLU()
    layers: list[LayerLike] = []
    for units, one, rate in zip(hidden, activations, rates, strict=True):
        layers.append(MLPDense(units, factor=_factor(one)))
        if not isinstance(one, Identity):
            layers.append(one)
        if not isinstance(rate, Real) or not 0 <= float(rate) < 1:
            raise ValueError(f"dropout is a probability of dropping and must lie in [0, 1), got {rate!r}")
        if rate:
            layers.append(Dropout(float(rate)))
    layers.append(MLPDense(n_outputs, factor=_factor(last)))
    if isinstance(loss, CrossEntropy):
        layers.append(Softmax())
    if isinstance(loss, BinaryCrossEntropy):
        layers.append(Sigmoid())
    return Sequential(*layers)


def _factor(activation: LayerLike) -> float:
    # Glorot and Bengio's bound is for a slope of 1 at 0; scikit-learn has a narrower one for the logistic function
    return 2.0 if isinstance(activation, Sigmoid) else 6.0


def to_attributes(network: Sequential, params: Nest) -> dict[str, list[Any]]:
    """The attributes coefs_, intercepts_, and layer_params_, the parameters of other layers ({} for most)."""
    dense = [own for layer, own in zip(network.layers, params, strict=True) if isinstance(layer, Dense)]
    return {
        "coefs_": [own["weight"] for own in dense],
        "intercepts_": [own["bias"] for own in dense],
        "layer_params_": [
            own for layer, own in zip(network.layers, params, strict=True) if not isinstance(layer, Dense)
        ],
    }


def to_params(network: Sequential, coefs: Iterable[Any], intercepts: Iterable[Any], others: Iterable[Nest]) -> Nest:
    """The inverse of `to_attributes`."""
    dense = ({"weight": w, "bias": b} for w, b in zip(coefs, intercepts, strict=True))
    rest = iter(others)
    return [next(dense) if isinstance(layer, Dense) else next(rest) for layer in network.layers]


def nest_converter(params: Nest, new: Sequential, features: int) -> Callable[[Nest], Nest]:
    """A function that converts nests of one network (parameters, slots; one item per layer) to nests of another.

    The networks may differ in layers without parameters, such as dropout and most activations. params : of the first
    network. features : columns of X. Raises ValueError where the shapes of the parameters differ.
    """
    fresh, _ = new.init(np.random.RandomState(0), (features,), "float32")
    have, want = ([i for i, own in enumerate(nest) if tree.leaves(own)] for nest in (params, fresh))
    shapes, wanted = [_shapes(params[i]) for i in have], [_shapes(fresh[i]) for i in want]
    if shapes != wanted:
        raise ValueError(
            f"the fitted network has parameters of the shapes {_shapes_text(shapes)}, the hyperparameters now give "
            f"{_shapes_text(wanted)}; partial_fit and warm_start need the same shapes, only dropout, activations and "
            f"rates may change. Reset the hyperparameters, or fit a clone of the estimator"
        )
    places = dict(zip(want, have, strict=True))
    return lambda nest: [nest[places[i]] if i in places else own for i, own in enumerate(fresh)]


def _shapes(own: Nest) -> dict[str, tuple[int, ...]]:
    return {path: tuple(leaf.shape) for path, leaf in tree.items(own)}


def _shapes_text(layers: list[dict[str, tuple[int, ...]]]) -> str:
    return "; ".join(", ".join(f"{path} {shape}" for path, shape in own.items()) for own in layers)
