"""The backend of tracers: code that asks for a backend by the type of its arrays gets one while it is traced, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..compiler import opaque, trace
from .base import Backend


class Traced(Backend):
    """The backend of tracers; an update is one opaque node."""

    name = "traced"
    traces_rules = True

    @classmethod
    def elementwise(cls, rule: Callable[..., Any]) -> Callable[[Sequence[tuple[Any, ...]], Any], list[Any]]:
        return lambda leaves, scalars: opaque.update(rule, leaves, scalars)

    @classmethod
    def halves(cls, words: Any) -> Any:
        return trace.halves(words)


BACKEND = Traced
