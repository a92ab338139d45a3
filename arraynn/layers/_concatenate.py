"""Parallel branches: several layers applied to the same input, their outputs concatenated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import tree
from .._array import namespace
from .._types import Array, Backward, LayerLike, Nest, Shape
from ..errors import Placed
from ..random import Key
from .combinator import Combinator, joined


@dataclass(frozen=True, init=False, repr=False)
class Concatenate(Combinator):
    """y = (f_0(x), f_1(x), …), joined along the last axis: each branch is a layer applied to the same x.

    branches : at least one layer; Identity() passes x itself on. Their outputs agree but for the last axis.
    Parameters are the list of the branches' parameters. Each branch gets its own key, folded from its position.
    backward(dy, need_dx=True) -> dx, grads: each branch gets its columns of dy, and dx is the sum of what they return.
    Raises ShapeError where the outputs cannot be concatenated.

    The features of DenseNet (Huang, Liu, van der Maaten and Weinberger, CVPR 2017, equation 2) and of Inception.

    >>> import numpy as np
    >>> from arraynn import Identity, ReLU
    >>> y, backward = Concatenate(Identity(), ReLU())([{}, {}], np.asarray([[-1.0, 2.0]]))
    >>> y, backward(np.asarray([[1.0, 1.0, 10.0, 10.0]]))
    (array([[-1.,  2.,  0.,  2.]]), (array([[ 1., 11.]]), [{}, {}]))
    """

    parallel: ClassVar[bool] = True

    def __init__(self, *branches: LayerLike) -> None:
        super().__init__(*branches)
        if not branches:
            raise ValueError("Concatenate takes at least one branch, such as Concatenate(Identity(), Dense(64))")

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        params, shapes = [], []
        for i in range(len(self.layers)):
            own, shape = self.initialized(i, rng, input_shape, dtype)
            params.append(own)
            shapes.append(tuple(shape))
        return params, joined(shapes)

    def __call__(self, params: Nest, x: Nest, key: Key | None = None) -> tuple[Any, Backward]:
        outputs, backwards = [], []
        for i, own in enumerate(self.of_layers(params)):
            y, backward = self.called(i, own, x, key)
            outputs.append(y)
            backwards.append(backward)
        joined([tuple(y.shape[1:]) for y in outputs])

        def concatenate_backward(dy: Array, need_dx: bool = True) -> tuple[Nest, Nest]:
            # forward concatenated the outputs, so each branch's dy is its columns; all of them used x, so
            # its gradients add
            dx, grads, start = None, [], 0
            for i, (y, backward) in enumerate(zip(outputs, backwards, strict=True)):
                end = start + y.shape[-1]
                try:
                    part, own = backward(dy[..., start:end], need_dx)
                except Placed as error:
                    raise self.placed(error, i) from error.__cause__
                dx = _sum(dx, part)
                grads.append(own)
                start = end
            return dx, grads

        return namespace(outputs[0]).concat(outputs, axis=-1), concatenate_backward


def _sum(a: Nest, b: Nest) -> Nest:
    """a + b, a new nest; None, the gradient of what is not a float array, adds nothing."""
    if a is None or b is None:
        return b if a is None else a
    return tree.map(lambda one, other: _sum(one, other) if one is None or other is None else one + other, a, b)
