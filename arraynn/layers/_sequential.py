"""Layers one after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import tree
from .._types import Backward, Nest, Shape
from ..errors import Placed
from ..random import Key
from .combinator import Combinator


@dataclass(frozen=True, init=False, repr=False)
class Sequential(Combinator):
    """y = layer_n(… layer_1(layer_0(x))): itself a layer, whose parameters are the list of its layers' parameters.

    layers : layers, nested Sequentials too. Each gets its own key, folded from its position.
    The backward is a loop over the layers' backwards, last first. With need_dx=False it stops at the first layer
    that has parameters to train, as the gradients below it are not used.
    Raises ShapeError with the layer's name and position where shapes do not fit.

    Rumelhart, Hinton and Williams, Nature 323, 1986: the chain rule, layer by layer.
    """

    transparent: ClassVar[bool] = True

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        params, shape = [], tuple(input_shape)
        for i in range(len(self.layers)):
            own, shape = self.initialized(i, rng, shape, dtype)
            params.append(own)
        return params, shape

    def __call__(self, params: Nest, x: Nest, key: Key | None = None) -> tuple[Nest, Backward]:
        backwards = []
        for i, own in enumerate(self.of_layers(params)):
            x, backward = self.called(i, own, x, key)
            backwards.append(backward)

        def sequential_backward(dy: Nest, need_dx: bool = True) -> tuple[Nest, Nest]:
            # forward was y = f_n(… f_0(x)), so dL/dx is each layer's backward in turn, last first
            grads = list(params)  # layers not reached below have nothing to train: empty nests, or statistics that stay
            trains = (i for i, own in enumerate(params) if tree.leaves(tree.trained(own)))
            last = 0 if need_dx else next(trains, len(params))
            for i in reversed(range(last, len(backwards))):
                try:
                    dy, grads[i] = backwards[i](dy, need_dx or i > last)
                except Placed as error:
                    raise self.placed(error, i) from error.__cause__
            return dy if need_dx else None, grads

        return x, sequential_backward
