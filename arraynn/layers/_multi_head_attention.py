"""Attention of several heads, with its projections."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from .. import initializers
from .._array import device, namespace
from .._ranges import at_least_one, dropping
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ..random import Key
from ..regularizers import penalty_of
from ._base import Layer
from ._dense import dense
from ._scaled_dot_product_attention import scaled_dot_product_attention
from ._shapes import check_flags, check_rules

PROJECTIONS = "query", "key", "value", "output"


@dataclass(frozen=True)
class MultiHeadAttention(Layer):
    """Multi-head attention: y = [head_1, …, head_h] w_o + b_o, each head the attention of x's own projections.

    x : (N, T, D) attends to itself; or a tuple of float arrays
        (x, mask), to itself where the mask allows; (query, memory), from each query (N, T, D) to a memory (N, S, M);
        (query, memory, mask). mask : (N, S), which keys there are, or (N,), how many; with a memory also (N, T, S),
        which keys a query may attend to. True, or 1, means yes, as in Keras; PyTorch's key_padding_mask marks those
        left out. `Model` refuses lengths outside [0, S]; a layer called directly uses all S keys for a larger length.
    heads : h, at least 1. key_units : of a head's queries and keys; None takes D / h, which must be whole.
    value_units : of a head's values; None takes key_units. (Keras's key_dim and value_dim.)
    causal : query t attends to keys 0 to t only. dropout : probability of dropping a weight, in training.
    weight_initializer, bias_initializer, weight_regularizer, bias_regularizer : as in `Dense`, for all projections.
    Parameters {"query_weight": (D, h key_units), "query_bias", "key_weight": (M, h key_units), "key_bias",
    "value_weight": (M, h value_units), "value_bias", "output_weight": (h value_units, D), "output_bias"}; D and M are
    inferred. A head's columns are adjacent, as in PyTorch, which stores the transposes, the first three in one array.
    backward(dy, need_dx=True) -> dx, grads: dx is shaped as x; masks have None.
    Raises ShapeError where the shapes do not fit. A fully masked query gives b_o.

    Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, NeurIPS 2017, section 3.2.2.
    """

    heads: int
    key_units: int | None = None
    value_units: int | None = None
    causal: bool = False
    dropout: float = 0.0
    _: KW_ONLY
    weight_initializer: initializers.Initializer = initializers.glorot_uniform
    bias_initializer: initializers.Initializer = initializers.zeros
    weight_regularizer: Any = None
    bias_regularizer: Any = None

    def __post_init__(self) -> None:
        check_rules(self)
        check_flags(self, "causal")
        for name in ("heads", "key_units", "value_units"):
            if name == "heads" or getattr(self, name) is not None:
                at_least_one(name, getattr(self, name))
        dropping("dropout", self.dropout)

    def shapes(self, input_shape: Any) -> tuple[dict[str, Shape], Shape]:
        """The shapes of the weights, by their names, and of an output row, for rows of this shape, or these."""
        several = bool(input_shape) and isinstance(input_shape[0], tuple)
        query, *others = input_shape if several else (input_shape,)
        memory = next((shape for shape in others[:1] if len(shape) == 2), query)
        if len(query) != 2 or len(memory) != 2 or len(others) > 2:
            given = " and ".join(map(row_shape, (query, *others)))
            remedy = "; rows of numbers become sequences by Reshape((T, D)) before it" if len(query) == 1 else ""
            raise ShapeError(
                f"expected input (N, T, D), alone or in a tuple with a mask, a memory (N, S, M), or both, got "
                f"{given}{remedy}"
            )
        if self.key_units is None and query[1] % self.heads:
            raise ShapeError(
                f"{self.heads} heads do not divide the {query[1]} numbers of each place of the input "
                f"{row_shape(query)}; take a number of heads that does, or say key_units"
            )
        units = self.key_units or query[1] // self.heads
        wide = {"query": self.heads * units, "key": self.heads * units}
        wide["value"] = self.heads * (self.value_units or units)
        wide["output"] = query[1]
        narrow = {"query": query[1], "key": memory[1], "value": memory[1], "output": wide["value"]}
        found: dict[str, Shape] = {}
        for name in PROJECTIONS:
            found |= {f"{name}_weight": (narrow[name], wide[name]), f"{name}_bias": (wide[name],)}
        return found, tuple(query)

    def init(self, rng: Any, input_shape: Any, dtype: str = "float32") -> tuple[Nest, Shape]:
        shapes, output_shape = self.shapes(input_shape)
        makes = {True: self.weight_initializer, False: self.bias_initializer}
        params = {name: makes[len(shape) == 2](rng, shape).astype(dtype) for name, shape in shapes.items()}
        return params, output_shape

    def __call__(self, params: Nest, x: Nest, key: Key | None = None) -> tuple[Array, Backward]:
        query, *others = x if isinstance(x, tuple) else (x,)
        self.shapes(tuple(tuple(part.shape[1:]) for part in (query, *others)))
        crossed = bool(others) and len(others[0].shape) == 3
        memory = others.pop(0) if crossed else query
        self._check(params, query, memory)
        mask = _mask(others[0], memory) if others else None

        def project(name: str, a: Array) -> tuple[Array, Backward]:
            return dense(a, params[f"{name}_weight"], params[f"{name}_bias"])

        q, query_backward = project("query", query)
        k, key_backward = project("key", memory)
        v, value_backward = project("value", memory)
        attended, attention_backward = scaled_dot_product_attention(
            *(self._split(a) for a in (q, k, v)), mask=mask, causal=self.causal, dropout=self.dropout, key=key
        )
        y, output_backward = project("output", _joined(attended))

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Nest, Nest]:
            # the blocks of the forward, last first; the memory has two uses, and where x is the memory x has three
            grads: dict[str, Array] = {}
            dattended, grads["output_weight"], grads["output_bias"] = output_backward(dy)
            dq, dk, dv = attention_backward(self._split(dattended))
            dquery, grads["query_weight"], grads["query_bias"] = query_backward(_joined(dq), need_dx)
            dmemory, grads["key_weight"], grads["key_bias"] = key_backward(_joined(dk), need_dx)
            dvalue, grads["value_weight"], grads["value_bias"] = value_backward(_joined(dv), need_dx)
            grads = {name: grads[name] for name in params}
            if not need_dx:
                return None, grads
            dmemory += dvalue
            if crossed:
                return (dquery, dmemory, *([None] * len(others))), grads
            dquery += dmemory
            return (dquery, *([None] * len(others))) if isinstance(x, tuple) else dquery, grads

        return y, layer_backward

    def longest(self, input_shape: Any) -> tuple[int | None, ...] | None:
        if len(input_shape) < 2 or input_shape[-1] != ():
            return None
        return (*[None] * (len(input_shape) - 1), input_shape[-2][0])

    def _check(self, params: Nest, query: Array, memory: Array) -> None:
        """ShapeError if the weights are for other numbers of features, or the memory has another number of rows."""
        width, wide = params["query_weight"].shape[0], params["key_weight"].shape[0]
        if query.shape[2] != width:
            raise ShapeError(f"expected input (N, T, {width}), got {row_shape(query.shape[1:])}")
        if memory.shape[2] != wide:
            raise ShapeError(
                f"expected a memory (N, S, {wide}), got {row_shape(memory.shape[1:])}; a mask (N, T, S) stands "
                f"behind a memory, as in (x, x, mask)"
            )
        if memory.shape[0] != query.shape[0]:
            raise ShapeError(f"query and memory must have the same rows, got {query.shape[0]} and {memory.shape[0]}")

    def _split(self, a: Array) -> Array:
        """(N, T, heads · units) as (N, heads, T, units)."""
        xp, (rows, steps, width) = namespace(a), a.shape
        return xp.permute_dims(xp.reshape(a, (rows, steps, self.heads, width // self.heads)), (0, 2, 1, 3))

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        rules = {"weight": self.weight_regularizer, "bias": self.bias_regularizer}
        return penalty_of(params, {name: rules[name.partition("_")[2]] for name in params})


def _joined(a: Array) -> Array:
    """(N, heads, T, units) as (N, T, heads · units): the inverse of `_split`, and its adjoint."""
    xp, (rows, heads, steps, units) = namespace(a), a.shape
    return xp.reshape(xp.permute_dims(a, (0, 2, 1, 3)), (rows, steps, heads * units))


def _mask(mask: Array, memory: Array) -> Array:
    """What `scaled_dot_product_attention` takes, (N, 1, T or 1, S), of lengths (N,), (N, S) or (N, T, S)."""
    xp, (rows, steps, _) = namespace(memory), memory.shape
    if tuple(mask.shape) == (rows,):
        places = xp.arange(steps, dtype=xp.int32, device=device(memory))
        mask = places[None, :] < xp.astype(mask, xp.int32)[:, None]
    if mask.shape[0] != rows or mask.shape[-1] != steps or len(mask.shape) not in (2, 3):
        raise ShapeError(
            f"a mask of {steps} keys must be ({rows},), the lengths, ({rows}, {steps}) or ({rows}, T, {steps}), got "
            f"{tuple(mask.shape)}; keys and values are both made of the memory: give (query, memory, mask)"
        )
    shape = (rows, 1, 1, steps) if len(mask.shape) == 2 else (rows, 1, *mask.shape[1:])
    return xp.reshape(mask, shape)
