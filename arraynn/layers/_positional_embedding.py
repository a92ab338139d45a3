"""Positional embedding: a vector for each position of a sequence."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from .. import initializers
from .._array import device, namespace
from .._ranges import at_least_one
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ..regularizers import penalty_of
from ._base import Layer
from ._shapes import check_rules

SMALL_NORMAL = initializers.normal(0.02)
KINDS = "learned", "sinusoidal"


def positional_embedding(x: Array, table: Array, /) -> tuple[Array, Backward]:
    """A vector for each position is added, y_t = x_t + table_t.

    x : (N, T, D), with T <= L. table : (L, D).
    Returns y, shaped as x, and backward(dy) -> dx = dy, dtable_t = Σ dy_t over the rows, 0 from T on.
    Raises ShapeError where the shapes do not fit.

    Gehring, Auli, Grangier, Yarats and Dauphin, ICML 2017, section 3.1; Vaswani et al., NeurIPS 2017, section 3.5.

    >>> import numpy as np
    >>> y, backward = positional_embedding(np.ones((1, 2, 1)), np.asarray([[10.0], [20.0], [30.0]]))
    >>> y[0, :, 0], backward(y)[1][:, 0]
    (array([11., 21.]), array([11., 21.,  0.]))
    """
    length, units = table.shape
    _check(tuple(x.shape[1:]), length, units)
    xp, steps = namespace(x), x.shape[1]

    def positional_embedding_backward(dy: Array) -> tuple[Array, Array]:
        # forward added the first T rows of the table to each row of x; the others are not used
        dtable = xp.sum(dy, axis=0)
        if steps < length:
            unread = xp.zeros((length - steps, units), dtype=dy.dtype, device=device(dy))
            dtable = xp.concat((dtable, unread), axis=0)
        return dy, dtable

    return x + table[:steps, :], positional_embedding_backward


def _check(shape: Shape, length: int, units: int | None = None) -> None:
    if len(shape) != 2 or units not in (None, shape[1]):
        raise ShapeError(f"expected input (N, T, {'D' if units is None else units}), got {row_shape(shape)}")
    if shape[0] > length:
        raise ShapeError(
            f"sequences of {shape[0]} places, input {row_shape(shape)}, are longer than the {length} that there are "
            f"vectors for; take a length of at least {shape[0]}, or shorter sequences"
        )


@dataclass(frozen=True)
class PositionalEmbedding(Layer):
    """The layer of `positional_embedding`: a vector for each position is added to x (N, T, D).

    length : L, the greatest length of a sequence, at least 1. D is inferred.
    kind : "learned", parameters {"weight": (L, D)} from weight_initializer, normal with standard deviation 0.02 as in
        BERT and GPT-2; or "sinusoidal", sines and cosines of `initializers.sinusoidal`, which are not trained and
        lie under {"statistics": {"weight": (L, D)}}.
    weight_regularizer : L1, L2, L1L2 or None, on a learned table.
    """

    length: int
    kind: str = "learned"
    _: KW_ONLY
    weight_initializer: initializers.Initializer = SMALL_NORMAL
    weight_regularizer: Any = None

    def __post_init__(self) -> None:
        check_rules(self)
        at_least_one("length", self.length)
        if self.kind not in KINDS:
            raise ValueError(f"kind must be 'learned' or 'sinusoidal', got {self.kind!r}")

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        _check(tuple(input_shape), self.length)
        make = self.weight_initializer if self.kind == "learned" else initializers.sinusoidal()
        own = {"weight": make(rng, (self.length, input_shape[1])).astype(dtype)}
        return own if self.kind == "learned" else {"statistics": own}, tuple(input_shape)

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Array, Backward]:
        learned = self.kind == "learned"
        y, embedding_backward = positional_embedding(x, (params if learned else params["statistics"])["weight"])

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Array | None, Nest]:
            if not learned:
                return dy if need_dx else None, params
            dx, dtable = embedding_backward(dy)
            return dx if need_dx else None, {"weight": dtable}

        return y, layer_backward

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        if self.kind != "learned":
            return super().penalty(params)
        return penalty_of(params, {"weight": self.weight_regularizer})
