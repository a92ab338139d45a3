"""The words that signatures use. An array is any object of any array-API library, so types stop at its door."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

Array = Any  #: an array of any array-API library
Nest = Any  #: dicts, lists and tuples with arrays at the leaves
Backward = Callable[..., Any]  #: dy -> gradients, in the order of the forward's arguments
Shape = tuple[int, ...]  #: without the batch axis, unless said


@runtime_checkable
class LayerLike(Protocol):
    """What a combinator asks of a layer; `arraynn.layers.Layer` gives the parts that most layers share."""

    def init(self, rng: Any, input_shape: Shape, dtype: str = "float32") -> tuple[Nest, Shape]: ...
    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Nest, Backward]: ...
    def penalty(self, params: Nest) -> tuple[Any, Backward]: ...
