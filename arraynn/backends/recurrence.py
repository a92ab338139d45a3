"""Recurrence over time: the loop that each library's `scan` is equal to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import tree
from .._array import namespace


def scan(
    body: Callable[..., Any], carry: Any, xs: Any, reverse: bool = False, constants: Any = None
) -> tuple[Any, Any]:
    """Recurrence over the first axis of the arrays in xs: `carry, y = body(carry, x)`, x after x, in a Python loop.

    carry, xs, y : nests; a carry keeps its shapes and dtypes. xs has at least one step. reverse : from the last x to
    the first. Returns the last carry, and the y's, stacked in the order of xs.
    constants : a nest of arrays that all steps read. The body is then called as body(carry, x, constants), and must
    read no other arrays, so that it can be traced apart from the function around it.
    """
    step, steps, ys = with_constants(body, constants), tree.first(xs).shape[0], []
    for t in reversed(range(steps)) if reverse else range(steps):
        carry, y = step(carry, tree.map(lambda x, t=t: None if x is None else x[t, ...], xs))
        ys.append(y)
    ys = ys[::-1] if reverse else ys
    return carry, tree.map(lambda *parts: namespace(parts[0]).stack(parts, axis=0), *ys)


def with_constants(body: Callable[..., Any], constants: Any) -> Callable[..., Any]:
    """body(carry, x), with the constants given to it where there are any."""
    return body if constants is None else lambda carry, x: body(carry, x, constants)
