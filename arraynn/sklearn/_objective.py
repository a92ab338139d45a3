"""scikit-learn's objective, (Σ_i w_i loss_i + α/2 ‖W‖² + l1 ‖W‖₁) / Σ_i w_i, for steps and for L-BFGS.

The penalty is divided by the weight of the batch, which a layer's penalty does not know, and the loss, which does,
does not see the weights. So the network hands its weights out beside its outputs, and the loss takes both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from .. import tree
from .._array import namespace
from .._types import Array, Backward, Nest, Shape
from ..layers import Dense, Layer, Sequential
from ..losses import Loss
from ..regularizers import L1L2


@dataclass(frozen=True)
class WithWeights(Layer):
    """y = (network(x), the weights of its dense layers), with the network's parameters."""

    network: Sequential

    @property
    def couples_rows(self) -> bool:
        return self.network.couples_rows

    @cached_property
    def dense(self) -> tuple[int, ...]:
        """The places of the dense layers."""
        return tuple(i for i, layer in enumerate(self.network.layers) if isinstance(layer, Dense))

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        return self.network.init(rng, input_shape, dtype)

    def __call__(self, params: Nest, x: Any, key: Any = None) -> tuple[Nest, Backward]:
        y, network_backward = self.network(params, x, key)

        def with_weights_backward(dy: Nest, need_dx: bool = True) -> tuple[Any, Nest]:
            dy, dweights = dy
            dx, grads = network_backward(dy, need_dx)
            for i, dw in zip(self.dense, dweights, strict=True):
                grads[i] = {**grads[i], "weight": grads[i]["weight"] + dw}
            return dx, grads

        return (y, tuple(params[i]["weight"] for i in self.dense)), with_weights_backward

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        return self.network.penalty(params)


@dataclass(frozen=True)
class PerSample(Loss):
    """The loss of (outputs, weights): the data's, plus the penalty on the weights over the batch's total weight.

    loss : of the outputs. penalty : of one weight array. A row block adds its share of the penalty: its weight over
    the batch's.
    """

    loss: Loss
    penalty: L1L2

    def total(self, targets: Array, sample_weight: Array | None = None) -> Any:
        return self.loss.total(targets, sample_weight)

    def __call__(self, outputs: Nest, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        y, weights = outputs
        value, loss_backward = self.loss(y, targets, sample_weight=sample_weight, total=total)
        own = self.total(targets, sample_weight)
        total = own if total is None else total
        # own / total² is 1 / total for a batch taken whole; without any weight there is no loss and no penalty
        divisor = (
            (total or 1)
            if isinstance(total, (int, float))
            else total + namespace(total).astype(total == 0, total.dtype)
        )
        share = own / divisor / divisor
        parts = [self.penalty(w) for w in weights]
        value = value + sum(part for part, _ in parts) * share

        def per_sample_backward(dloss: Any = 1.0) -> Nest:
            return loss_backward(dloss), tuple(backward(share * dloss) for _, backward in parts)

        return value, per_sample_backward


@dataclass(frozen=True)
class Packed(Layer):
    """The same with all parameters in one array, {"packed": weights, then biases}: y = (network(x), (the weights,)).

    Small layers cost an optimizer a dozen calls each; one array costs them once. shapes : of the weights, then of the
    biases. Only for networks with no other parameters.
    """

    network: Sequential
    shapes: tuple[Shape, ...]

    @property
    def couples_rows(self) -> bool:
        return self.network.couples_rows

    @cached_property
    def parts(self) -> tuple[tuple[int, int, Shape], ...]:
        """(start, end, shape) of each array in the packed one."""
        ends = list(accumulate(math.prod(shape) for shape in self.shapes))
        return tuple(zip([0, *ends[:-1]], ends, self.shapes, strict=True))

    def arrays(self, flat: Array) -> list[Array]:
        """The weights and biases that are packed: views, where the library has views."""
        xp = namespace(flat)
        return [xp.reshape(flat[start:end], shape) for start, end, shape in self.parts]

    def pack(self, nest: Nest) -> Nest:
        """The parameters of the network's nest, one after another, in a new array."""
        dense = [own for own in nest if own]
        leaves = [own[name] for name in ("weight", "bias") for own in dense]
        xp = namespace(leaves[0])
        return {"packed": xp.concat([xp.reshape(leaf, (-1,)) for leaf in leaves])}

    def unpack(self, params: Nest) -> Nest:
        """The network's nest."""
        arrays = self.arrays(params["packed"])
        half = len(arrays) // 2
        dense = zip(arrays[:half], arrays[half:], strict=True)
        return [_named(next(dense)) if isinstance(layer, Dense) else {} for layer in self.network.layers]

    def __call__(self, params: Nest, x: Any, key: Any = None) -> tuple[Nest, Backward]:
        flat, half = params["packed"], len(self.shapes) // 2
        y, network_backward = self.network(self.unpack(params), x, key)

        def packed_backward(dy: Nest, need_dx: bool = True) -> tuple[Any, Nest]:
            dy, (dweights,) = dy
            dx, grads = network_backward(dy, need_dx)
            xp, dense = namespace(flat), [own for own in grads if own]
            pieces = []
            for (start, end, shape), own in zip(self.parts, dense, strict=False):
                piece = xp.reshape(dweights[start:end], shape)
                piece += own["weight"]  # into what the loss made for this, where there are views
                pieces.append(xp.reshape(piece, (-1,)))
            return dx, {"packed": xp.concat(pieces + [own["bias"] for own in dense])}

        return (y, (flat[: self.parts[half - 1][1]],)), packed_backward


def _named(pair: tuple[Array, Array]) -> dict[str, Array]:
    return {"weight": pair[0], "bias": pair[1]}


def packed(network: Sequential, params: Nest) -> Packed | None:
    """The network on one array, where all its parameters are its dense layers'."""
    dense = [own for layer, own in zip(network.layers, params, strict=True) if isinstance(layer, Dense)]
    if not dense or len(tree.leaves(params)) != 2 * len(dense):
        return None
    return Packed(network, tuple(tuple(own[name].shape) for name in ("weight", "bias") for own in dense))
