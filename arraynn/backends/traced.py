"""The backend of tracers: code that asks for a backend by the type of its arrays gets one while it is traced, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from .._array import namespace
from ..compiler import opaque, trace, tuning
from . import recurrence
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
    def scan(
        cls, body: Callable[..., Any], carry: Any, xs: Any, reverse: bool = False, constants: Any = None
    ) -> tuple[Any, Any]:
        """A short recurrence is traced step by step. A long one is a call at run time, whose body is traced once for
        some steps together, where it reads no arrays but its arguments."""
        graph = next(x.graph for x in tree.leaves((xs, carry)) if isinstance(x, trace.Tracer))
        steps = tree.first(xs).shape[0]
        if constants is None or steps <= graph.unrolled:
            return recurrence.scan(body, carry, xs, reverse, constants)
        last, y = body(carry, _part(xs, (0, ...)), constants)  # for their shapes and dtypes; nothing reads them
        ys = tree.map(lambda part: namespace(part).broadcast_to(part, (steps, *part.shape)), y)
        return opaque.call(Recurrence(body, reverse), (carry, xs, constants), (last, ys))

    @classmethod
    def view_int16(cls, words: Any) -> Any:
        return trace.view_int16(words)


class Recurrence:
    """A scan at run time: (carry, xs, constants) -> (last carry, the y's stacked), `tuning.TOGETHER` steps at a time by
    one program of the arrays' own backend. The bits are those of the loop."""

    def __init__(self, body: Callable[..., Any], reverse: bool) -> None:
        self.body, self.reverse = body, reverse
        self.run: Callable[..., Any] | None = None

    def __call__(self, carry: Any, xs: Any, constants: Any) -> tuple[Any, Any]:
        first = tree.first(xs)
        if self.run is None:
            self.run = for_type(type(first)).compile(self.steps)
        starts, parts = range(0, first.shape[0], tuning.TOGETHER), []
        for start in reversed(starts) if self.reverse else starts:
            carry, ys = self.run(carry, _part(xs, (slice(start, start + tuning.TOGETHER), ...)), constants)
            parts.append(ys)
        parts = parts[::-1] if self.reverse else parts
        return carry, tree.map(lambda *ys: namespace(ys[0]).concat(ys, axis=0), *parts)

    def steps(self, carry: Any, xs: Any, constants: Any) -> tuple[Any, Any]:
        return recurrence.scan(self.body, carry, xs, self.reverse, constants)


def _part(xs: Any, index: Any) -> Any:
    return tree.map(lambda x: None if x is None else x[index], xs)


def _later(name: str, *more: Any) -> Callable[[Any], Any]:
    """The function of that name of the backend of the arrays that come."""
    return lambda x: getattr(for_type(type(x)), name)(x, *more)


BACKEND = Traced
