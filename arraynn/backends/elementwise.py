"""Whether an optimizer's rule looks at each element by itself: it is traced with stand-ins that can do nothing else.

A backend may then join parameters end to end, cut them into slices, and fuse the rule into one loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..compiler.rules import rule_of
from ..compiler.trace import Tracer


def is_elementwise(rule: Callable[..., Any], p: Any, slots: Mapping[str, Any], scalars: Mapping[str, Any]) -> bool:
    """Whether rule(p, g, slots, scalars) -> p, slots computes each element of what it returns from the same element of
    the arrays, and from the numbers, by one formula. False where that is not seen, and where a slot is of another dtype
    than its parameter.

    rule : a method of a hashable object, such as a frozen dataclass; it is traced once for equal ones.
    """
    numbers = {name: _example(value) for name, value in scalars.items()}
    if not all(type(value) in (int, float) for value in numbers.values()):
        return False  # a rule may branch on what is no number
    if any(x.dtype != p.dtype for x in slots.values()):
        return False
    return rule_of(rule, tuple(slots), numbers, str(p.dtype).rpartition(".")[2]) is not None


def _example(value: Any) -> Any:
    """A number of the kind of what stands for one in a trace."""
    if isinstance(value, Tracer) and value.node.weak:
        return 1 if value.dtype.kind == "i" else 1.0
    return value
