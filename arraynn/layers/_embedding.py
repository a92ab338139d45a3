"""Embedding: a trained vector for each word of a vocabulary."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from .. import initializers
from .._array import device, namespace
from .._contract_of_rules import drawn
from .._ranges import at_least_one
from .._types import Array, Backward, Nest, Shape
from ..errors import DataError
from ..regularizers import penalty_of
from ._base import Layer
from ._shapes import check_rules

STANDARD_NORMAL = initializers.normal(1.0)
BLOCK = 2**24  # elements of the one-hot matrix that are made at a time: 64 MiB of float32


def embedding(x: Array, table: Array, /) -> tuple[Any, Backward]:
    """Rows of a table, y_i = table[x_i].

    x : integer array, any shape, such as (N,) or (N, T), each in [0, V). `Model` refuses others; here the library
        decides (NumPy raises, or counts from the end below 0, PyTorch raises, CuPy wraps, JAX gives nan).
    table : (V, units), float.
    Returns y, (…x's shape, units), and backward(dy, need_dx=True) -> None, as integers have no gradient, and
    dtable_v = Σ_i dy_i over all i with x_i = v.
    Raises DataError where x is not of integers.

    dtable adds up the dy of equal words. The array API standard has no scatter, so it is a product with the words'
    one-hot matrix, made in blocks: M V units multiplications for M words, at the speed of a matrix product, instead of
    M units additions. It is slow for vocabularies of more than some ten thousand words. dtable is dense.

    Bengio, Ducharme, Vincent and Janvin, JMLR 3, 2003, section 2, the table C.

    >>> import numpy as np
    >>> y, backward = embedding(np.asarray([2, 0, 2]), np.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    >>> y
    array([[5., 6.],
           [1., 2.],
           [5., 6.]])
    >>> backward(np.ones((3, 2)))
    (None, array([[1., 1.],
           [0., 0.],
           [2., 2.]]))
    """
    xp = namespace(table)
    if not xp.isdtype(x.dtype, "integral"):
        raise DataError(f"an embedding takes integers in [0, {table.shape[0]}), got {x.dtype}")
    vocabulary, units = table.shape
    shape, count = tuple(x.shape), math.prod(x.shape)
    words = xp.reshape(x, (count,))
    if xp.iinfo(words.dtype).bits < 32:
        words = xp.astype(words, xp.int32)  # PyTorch takes no shorter indices

    def embedding_backward(dy: Array, need_dx: bool = True) -> tuple[None, Array]:
        # forward was y = H table with H the one-hot rows of the words, so dtable = Hᵀ dy
        dy = xp.reshape(dy, (count, units))
        numbers = xp.arange(vocabulary, dtype=words.dtype, device=device(words))
        dtable = xp.zeros_like(table)
        rows = max(BLOCK // max(vocabulary, 1), 1)
        for start in range(0, count, rows):
            part = slice(start, min(start + rows, count))
            hot = xp.astype(numbers[:, None] == words[None, part], dy.dtype)
            dtable += hot @ dy[part, :]
        return None, dtable

    return xp.reshape(xp.take(table, words, axis=0), (*shape, units)), embedding_backward


@dataclass(frozen=True)
class Embedding(Layer):
    """The layer of `embedding`: input (N,) or (N, T) of integers, output (N, units) or (N, T, units).

    vocabulary : V, how many words there are, at least 1. units : numbers for each, at least 1.
    Parameters {"weight": (V, units)}. weight_initializer : normal with standard deviation 1, as in PyTorch; Keras
    draws uniformly from ±0.05. weight_regularizer : L1, L2, L1L2 or None, on the whole table.
    """

    vocabulary: int
    units: int
    _: KW_ONLY
    weight_initializer: initializers.Initializer = STANDARD_NORMAL
    weight_regularizer: Any = None

    #: whether the input is an index into a table, so that integers must stay integers
    integer_input: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rules(self)
        for name in ("vocabulary", "units"):
            at_least_one(name, getattr(self, name))

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        weight = drawn("weight_initializer", self.weight_initializer, rng, (self.vocabulary, self.units))
        return {"weight": weight.astype(dtype)}, (*input_shape, self.units)

    def __call__(self, params: Nest, x: Array, key: Any = None) -> tuple[Any, Backward]:
        y, embedding_backward = embedding(x, params["weight"])

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[None, Nest]:
            return None, {"weight": embedding_backward(dy)[1]}

        return y, layer_backward

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        return penalty_of(params, {"weight": self.weight_regularizer})
