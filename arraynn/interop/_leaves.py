"""Splits a block's arguments into arrays and other values, for the autodiff of other libraries."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from .._types import LayerLike


class SplitArguments:
    """The arguments of one call, split into arrays (by `is_array`), which are differentiated, and other values."""

    def __init__(self, arguments: tuple[Any, ...], is_array: Callable[[Any], bool]) -> None:
        self.arguments = arguments
        self.array_flags = [is_array(leaf) for leaf in tree.leaves(arguments)]
        self.arrays = [leaf for leaf in tree.leaves(arguments) if is_array(leaf)]

    def filled(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments with their arrays replaced by these."""
        given, flags = iter(arrays), iter(self.array_flags)
        filled: tuple[Any, ...] = tree.map(lambda leaf: next(given) if next(flags) else leaf, self.arguments)
        return filled

    def gradients(self, block: Any, returned: Any) -> list[Any]:
        """The gradients that a backward returned, one for each array, None where it returned none.

        A block returns gradients of its first arguments, in order; a layer returns (dx, grads) for (params, x).
        """
        if isinstance(block, LayerLike):
            dx, grads = returned
            nests = [grads and tree.trained(grads), dx]  # new values of statistics are not gradients
        else:
            nests = list(returned) if isinstance(returned, tuple) and len(self.arguments) > 1 else [returned]
        found: list[Any] = []
        for i, argument in enumerate(self.arguments):
            given = dict(tree.items(nests[i])) if i < len(nests) else {}
            found += [given.get(path) for path in tree.paths(argument)]
        return [g for g, is_array in zip(found, self.array_flags, strict=True) if is_array]


def forward(block: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Callable[..., Any]]:
    """Call the block. The returned backward takes dy and need_dx, which it passes on if the block's backward has it."""
    y, backward = block(*arguments, **options)
    has_need_dx = "need_dx" in inspect.signature(backward).parameters

    def backward_with_need_dx(dy: Any, need_dx: bool) -> Any:
        return backward(dy, need_dx=need_dx) if has_need_dx else backward(dy)

    return y, backward_with_need_dx
