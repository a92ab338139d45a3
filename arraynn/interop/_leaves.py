"""Arguments of a block taken apart into arrays and the rest, for the autodiff of other libraries."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from .._types import LayerLike


class Arguments:
    """The arguments of one call. `is_array` selects what is differentiated or traced; the rest is passed on."""

    def __init__(self, arguments: tuple[Any, ...], is_array: Callable[[Any], bool]) -> None:
        self.arguments = arguments
        self.places = [is_array(leaf) for leaf in tree.leaves(arguments)]
        self.arrays = [leaf for leaf in tree.leaves(arguments) if is_array(leaf)]

    def filled(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments with these arrays in the places of their own."""
        given, places = iter(arrays), iter(self.places)
        filled: tuple[Any, ...] = tree.map(lambda leaf: next(given) if next(places) else leaf, self.arguments)
        return filled

    def gradients(self, block: Any, returned: Any) -> list[Any]:
        """What a backward returned, one gradient for each array; None where it gave none.

        A block's gradients are those of its first arguments, in order; a layer's are (dx, grads) for (params, x).
        """
        if isinstance(block, LayerLike):
            dx, grads = returned
            nests = [grads and tree.trained(grads), dx]  # new statistics are no gradients
        else:
            nests = list(returned) if isinstance(returned, tuple) and len(self.arguments) > 1 else [returned]
        found: list[Any] = []
        for i, argument in enumerate(self.arguments):
            given = dict(tree.items(nests[i])) if i < len(nests) else {}
            found += [given.get(path) for path in tree.paths(argument)]
        return [g for g, wanted in zip(found, self.places, strict=True) if wanted]


def forward(block: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Callable[..., Any]]:
    """The call itself; its backward takes dy and whether the gradient by x is wanted, where it can leave that out."""
    y, backward = block(*arguments, **options)
    choosy = "need_dx" in inspect.signature(backward).parameters

    def backward_of_both(dy: Any, need_dx: bool) -> Any:
        return backward(dy, need_dx=need_dx) if choosy else backward(dy)

    return y, backward_of_both
