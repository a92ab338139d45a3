"""Errors for calls of layers with a missing or wrong argument; each shows a call that works."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from .._types import Backward, Nest, Shape


def answered_call(call: Callable[..., tuple[Nest, Backward]]) -> Callable[..., tuple[Nest, Backward]]:
    """Wrap a layer's call, so that a call without parameters raises an error which shows a call that works."""

    @wraps(call)
    def answered(self: Any, *args: Any, **kwargs: Any) -> tuple[Nest, Backward]:
        if len(args) + len(kwargs) < 2:
            raise TypeError(
                f"{type(self).__name__} is called with its parameters, y, backward = layer(params, x); "
                f"params, output_shape = layer.init(rng, input_shape) makes them"
            )
        return call(self, *args, **kwargs)

    return answered


def answered_init(init: Callable[..., tuple[Nest, Shape]]) -> Callable[..., tuple[Nest, Shape]]:
    """Wrap a layer's init, so that a missing or invalid shape raises an error which shows a call that works."""

    @wraps(init)
    def answered(self: Any, *args: Any, **kwargs: Any) -> tuple[Nest, Shape]:
        form = f"{type(self).__name__}(…).init(np.random.default_rng(0), (2,))"
        if len(args) + len(kwargs) == 1:
            raise TypeError(f"init takes rng and input_shape, as {form}; one of them is missing")
        if len(args) > 1:
            args = (args[0], _checked_shape(args[1], form), *args[2:])
        elif "input_shape" in kwargs:
            kwargs["input_shape"] = _checked_shape(kwargs["input_shape"], form)
        return init(self, *args, **kwargs)

    return answered


def _checked_shape(shape: Any, form: str) -> Any:
    """The shape of a row, or of several inputs' rows, as a tuple; TypeError for an invalid one.

    form : a call with a valid shape, which the error shows.
    """
    if isinstance(shape, (tuple, list)):
        if all(isinstance(size, (tuple, list)) for size in shape):
            return tuple(_checked_shape(part, form) for part in shape)
        if all(hasattr(size, "__index__") and not isinstance(size, bool) for size in shape):
            return tuple(shape)
    raise TypeError(f"input_shape must be a tuple of integers without the batch axis, as {form}, got {shape!r:.80}")
