"""The backend of tracers: code that asks for a backend by the type of its arrays gets one while it is traced, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..compiler import opaque, trace
from .base import Backend, for_type
from .windows import Windows


class Traced(Backend):
    """The backend of tracers: an update is one opaque node, and so is each of the windows' functions, which the arrays'
    own backend computes."""

    name = "traced"
    traces_rules = True

    @classmethod
    def elementwise(cls, rule: Callable[..., Any]) -> Callable[[Sequence[tuple[Any, ...]], Any], list[Any]]:
        return lambda leaves, scalars: opaque.update(rule, leaves, scalars)

    @classmethod
    def pad(cls, x: Any, windows: Windows, value: float = 0.0) -> Any:
        if not windows.padding:
            return x
        run = _later("pad", windows, value)
        return opaque.kernel(run, x, (x.shape[0], *windows.padded, x.shape[-1]))

    @classmethod
    def patches(cls, x: Any, windows: Windows) -> Any:
        rows, columns = x.shape[0] * math.prod(windows.out), windows.count * x.shape[-1]
        return opaque.kernel(_later("patches", windows), x, (rows, columns))

    @classmethod
    def fold(cls, dp: Any, windows: Windows) -> Any:
        return opaque.kernel(_later("fold", windows), dp, (dp.shape[0], *windows.shape, dp.shape[-1]))

    @classmethod
    def view_int16(cls, words: Any) -> Any:
        return trace.view_int16(words)


def _later(name: str, *more: Any) -> Callable[[Any], Any]:
    """The function of that name of the backend of the arrays that come."""
    return lambda x: getattr(for_type(type(x)), name)(x, *more)


BACKEND = Traced
