"""A layer that is not trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import tree
from .._hyperparameters import described
from .._types import Backward, LayerLike, Nest, Shape
from ._base import Layer, longest


@dataclass(frozen=True)
class Freeze(Layer):
    """y = layer(x), as in inference, with parameters that are not trained: for fine-tuning the layers after it.

    layer : any layer, a Sequential too. Its parameters are stored under {"statistics": …}, which optimizer, penalty and
        clipping skip; it has no penalty. Assign pretrained weights as params[0] = {"statistics": pretrained}.
    It runs as in inference also while other layers are trained: Dropout drops nothing, and BatchNorm uses its running
    statistics and keeps them (as Keras's BatchNorm with trainable=False; PyTorch's requires_grad=False leaves both as
    in training). So its rows may be split.
    backward(dy, need_dx=True) -> dx, grads: grads are the parameters, unchanged. With need_dx=False, as in the first
    layers of a Sequential, nothing is computed, not even in the layers inside.

    Yosinski, Clune, Bengio and Lipson, NeurIPS 2014, on which layers are worth keeping.

    >>> import numpy as np
    >>> from arraynn import Dense, tree
    >>> params, shape = Freeze(Dense(3)).init(np.random.default_rng(0), (2,))
    >>> tree.paths(params), tree.leaves(tree.trained(params)), shape
    (['statistics.weight', 'statistics.bias'], [], (3,))
    """

    layer: LayerLike

    def __post_init__(self) -> None:
        if isinstance(self.layer, type) or not isinstance(self.layer, LayerLike):
            raise TypeError(f"Freeze takes a layer, such as Freeze(Dense(64)), got {described(self.layer)}")

    @property
    def integer_input(self) -> bool:
        """As the layer says."""
        return bool(getattr(self.layer, "integer_input", False))

    @property
    def vocabulary(self) -> int | None:
        """As the layer says."""
        return getattr(self.layer, "vocabulary", None)

    def longest(self, input_shape: Any) -> tuple[int | None, ...] | None:
        return longest(self.layer, input_shape)

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]:
        params, output_shape = self.layer.init(rng, input_shape, dtype)
        return {tree.STATISTICS: params}, output_shape

    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Nest, Backward]:
        y, inner_backward = self.layer(params[tree.STATISTICS], x, None)

        def freeze_backward(dy: Nest, need_dx: bool = True) -> tuple[Nest, Nest]:
            # the parameters do not change, so their gradients are not needed; dx is that of the layer
            return inner_backward(dy, True)[0] if need_dx else None, params

        return y, freeze_backward
