"""scikit-learn's objective, (Σ_i w_i loss_i + α/2 ‖W‖² + l1 ‖W‖₁) / Σ_i w_i, for steps and for L-BFGS.

The penalty is divided by the total sample weight of the batch. A layer's penalty does not know that weight, and a loss
knows it but does not get the layers' parameters. So the network returns its weights beside its outputs, and the loss
takes both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .._array import namespace
from .._coupling import batch_coupled, coupled_in_inference
from .._types import Array, Backward, Nest, Shape
from ..layers import Dense, Layer, Sequential
from ..losses import Loss
from ..regularizers import L1L2


@dataclass(frozen=True)
class WithWeights(Layer):
    """A layer that returns (network(x), the weights of the network's dense layers)."""

    network: Sequential

    @property
    def batch_coupled(self) -> bool:
        return batch_coupled(self.network)

    @property
    def coupled_in_inference(self) -> bool:
        return coupled_in_inference(self.network)

    @cached_property
    def dense(self) -> tuple[int, ...]:
        """The indices of the dense layers."""
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
    """The loss of (outputs, weights): the data loss, plus the penalty on the weights over the batch's total weight.

    loss : of the outputs. penalty : of one weight array. A row block adds a share of the penalty: its total weight over
    that of the batch.
    """

    loss: Loss
    penalty: L1L2

    @property
    def batch_coupled(self) -> bool:
        return batch_coupled(self.loss)

    def total(self, targets: Array, sample_weight: Array | None = None) -> Any:
        return self.loss.total(targets, sample_weight)

    def __call__(self, outputs: Nest, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        y, weights = outputs
        value, loss_backward = self.loss(y, targets, sample_weight=sample_weight, total=total)
        own = self.total(targets, sample_weight)
        total = own if total is None else total
        # own / total² is 1 / total for an unsplit batch; a batch of total weight 0 has no loss and no penalty
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
