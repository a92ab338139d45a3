"""Layers, losses and optimizers with scikit-learn's conventions, where they differ from arraynn's.

weights and biases    both are drawn uniformly from ±sqrt(6 / (n_in + n_out)), sqrt(2 / …) before a logistic: `MLPDense`
Adam                  adds ε to √v, the paper's ε̂, not to √v̂: `EpsilonHatAdam`
momentum              may be 1: `HeavySGD`
outputs of a row      are summed, where arraynn takes their mean; squared errors are halved: `Summed`
cross-entropies       have the value of clipped probabilities and the gradient of the others: in `_clipped`
Poisson               is the deviance, with the terms that do not depend on the outputs: `HalfPoissonDeviance`
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, sum_of_rows
from .._coupling import batch_coupled
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ..io.scikit_learn import EpsilonHatAdam, HeavySGD
from ..layers import Dense
from ..losses import Domain, Loss, Poisson

__all__ = ["EpsilonHatAdam", "HalfPoissonDeviance", "HeavySGD", "MLPDense", "Summed"]


@dataclass(frozen=True)
class MLPDense(Dense):
    """Dense layer with scikit-learn's initial weights, whose input may be a SciPy sparse matrix.

    factor : weights, then biases, are drawn from the uniform distribution on ±sqrt(factor / (n_in + units)).
    """

    factor: float = 6.0

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        if len(input_shape) != 1:
            raise ShapeError(f"expected input (N, n_in), got {('N', *input_shape)}")
        bound = math.sqrt(self.factor / (input_shape[0] + self.units))
        weight = rng.uniform(-bound, bound, (input_shape[0], self.units))
        bias = rng.uniform(-bound, bound, self.units)
        return {"weight": weight.astype(dtype), "bias": bias.astype(dtype)}, (self.units,)

    def __call__(self, params: Nest, x: Any, key: Any = None) -> tuple[Any, Backward]:
        if not hasattr(x, "tocsr"):
            return super().__call__(params, x, key)
        # only on NumPy and only as first layer: the products are SciPy's, and dx is not needed
        y = x @ params["weight"]
        y += params["bias"]

        def sparse_dense_backward(dy: Array, need_dx: bool = True) -> tuple[None, Nest]:
            # forward was y = x w + b, as in `dense`
            return None, {"weight": x.T @ dy, "bias": sum_of_rows(dy)}

        return y, sparse_dense_backward


@dataclass(frozen=True)
class Summed(Loss):
    """scale · Σ_j over the outputs of a row, from a loss that takes their mean.

    loss : a loss over (N, D) outputs. scale : such as ½ for squared errors.
    mean : scikit-learn takes the gradient of the sum of squared errors over the D outputs and reports their mean. True
        does the same: the gradient is then D times the derivative of the value. (L-BFGS needs a value that fits its
        gradient, so False.)
    """

    loss: Loss
    scale: float = 1.0
    mean: bool = False
    targets: ClassVar[str] = "any"

    @property
    def batch_coupled(self) -> bool:
        return batch_coupled(self.loss)

    @property
    def domain(self) -> Domain:  # type: ignore[override]
        return self.loss.domain

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        value, loss_backward = self.loss(outputs, targets, sample_weight=sample_weight, total=total)
        factor = self.scale * outputs.shape[1]

        def summed_backward(dloss: Any = 1.0) -> Any:
            return loss_backward(factor * dloss)

        return value * (self.scale if self.mean else factor), summed_backward

    def probabilities(self, outputs: Array) -> Any:
        return self.loss.probabilities(outputs)

    def prediction(self, outputs: Array) -> Any:
        return self.loss.prediction(outputs)


@dataclass(frozen=True)
class HalfPoissonDeviance(Poisson):
    """Σ_i w_i Σ_j (y log(y / exp(z)) - y + exp(z)) / total, z the log rates, 0 log 0 = 0: half of the deviance."""

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        value, poisson_backward = super().__call__(outputs, targets, sample_weight=sample_weight, total=total)
        xp, columns = namespace(outputs), outputs.shape[1]
        # y log y - y does not depend on the outputs; where y is 0, log(y + 1) is 0
        constant = targets * xp.log(targets + xp.astype(targets == 0, targets.dtype)) - targets
        rows = xp.sum(constant, axis=1)
        if sample_weight is not None:
            rows = rows * sample_weight
        total = self.total(targets, sample_weight) if total is None else total

        def deviance_backward(dloss: Any = 1.0) -> Any:
            return poisson_backward(columns * dloss)

        return columns * value + xp.sum(rows) / total, deviance_backward
