"""Parallel branches: several layers, each with its own input, their outputs concatenated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace
from .._types import Array, Backward, LayerLike, Nest, Shape
from ..errors import ShapeError
from ..random import Key
from .combinator import Combinator, joined


@dataclass(frozen=True, init=False)
class Parallel(Combinator):
    """y = (f_0(x_0), f_1(x_1), …), joined along the last axis: layer i is applied to part i of x, a tuple.

    layers : at least one, as many as x has parts; Identity() passes its part on. Their outputs agree but for the last
        axis. Parts of x for an Embedding are integers, beside parts of floats.
    Parameters are the list of the layers' parameters. Each layer gets its own key, folded from its position.
    backward(dy, need_dx=True) -> dx, grads: each layer gets its columns of dy; dx is the tuple of what they return,
    None for a part of integers.
    Raises ShapeError where x has another number of parts, or outputs cannot be concatenated.

    Embeddings of categories beside numbers: Guo and Berkhahn, arXiv 1604.06737, section 3. `Concatenate` gives every
    layer the same x.

    >>> import numpy as np
    >>> from arraynn import Identity, ReLU
    >>> y, backward = Parallel(Identity(), ReLU())([{}, {}], (np.asarray([[-1.0]]), np.asarray([[-2.0, 3.0]])))
    >>> y, backward(np.asarray([[1.0, 10.0, 100.0]]))
    (array([[-1.,  0.,  3.]]), ((array([[1.]]), array([[  0., 100.]])), [{}, {}]))
    """

    by_part: ClassVar[bool] = True
    parallel: ClassVar[bool] = True

    def __init__(self, *layers: LayerLike) -> None:
        super().__init__(*layers)
        if not layers:
            raise ValueError("Parallel takes at least one layer, such as Parallel(Identity(), Embedding(10, 4))")

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        params, shapes = [], []
        for i, (layer, part) in enumerate(zip(self.layers, self.parts(input_shape), strict=True)):
            try:
                own, shape = layer.init(rng, part, dtype)
            except ShapeError as error:
                raise self.placed(error, i) from None
            params.append(own)
            shapes.append(tuple(shape))
        return params, joined(shapes)

    def __call__(self, params: Nest, x: Nest, key: Key | None = None) -> tuple[Array, Backward]:
        outputs, backwards = [], []
        for i, (layer, own, part) in enumerate(zip(self.layers, params, self.parts(x), strict=True)):
            try:
                y, backward = layer(own, part, None if key is None else key.fold_in(i))
            except ShapeError as error:
                raise self.placed(error, i) from None
            outputs.append(y)
            backwards.append(backward)
        joined([tuple(y.shape[1:]) for y in outputs])

        def parallel_backward(dy: Array, need_dx: bool = True) -> tuple[Nest, Nest]:
            # forward concatenated the outputs, so each layer's dy is its columns, and its dx that of its part
            dx, grads, start = [], [], 0
            for y, backward in zip(outputs, backwards, strict=True):
                end = start + y.shape[-1]
                part, own = backward(dy[..., start:end], need_dx)
                dx.append(part)
                grads.append(own)
                start = end
            return tuple(dx) if need_dx else None, grads

        return namespace(outputs[0]).concat(outputs, axis=-1), parallel_backward

    def parts(self, x: Any) -> tuple[Any, ...]:
        """The parts of x, or of its shape: as many as there are layers. ShapeError otherwise."""
        several = isinstance(x, tuple) and not all(isinstance(part, int) for part in x)
        found = len(x) if several else 1
        if not several or found != len(self.layers):
            raise ShapeError(f"expected a tuple of {len(self.layers)} parts, got {found if several else 'one array'}")
        return tuple(x)
