"""From a rule's one Array-API source to the source of a loop: the rule is called with symbols instead of arrays.

A symbol needs only operators and `__array_namespace__`. Augmented assignment rebinds, so `m *= beta1` makes a new
symbol. What depends on scalars alone is computed once, on the host; what is used twice is computed once. A rule that
branches on an element's value cannot be traced: a symbol's `__bool__` raises.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: the standard's elementwise functions that a rule may use, with their number of arguments
FUNCTIONS = {
    "abs": 1, "exp": 1, "expm1": 1, "floor": 1, "log": 1, "log1p": 1, "sign": 1, "sqrt": 1, "square": 1, "tanh": 1,
    "maximum": 2, "minimum": 2, "where": 3,
}  # fmt: skip
_BINARY = {"add": "+", "sub": "-", "mul": "*", "truediv": "/"}
_COMPARING = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
COMPARISONS = frozenset(_COMPARING.values())


_HOST = {symbol: getattr(operator, name) for name, symbol in _BINARY.items()}


class Symbol:
    """An operation on symbols and numbers, or, without arguments, an input of that name.

    array : whether it differs from element to element; else it is a scalar of the step.
    """

    dtype = "the dtype"  # there is one: whatever a rule asks for in terms of it is that of its arrays

    def __init__(self, op: str, *args: Any, array: bool | None = None) -> None:
        self.op, self.args = op, args
        self.array: bool = any(isinstance(a, Symbol) and a.array for a in args) if array is None else array

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return Namespace

    def __neg__(self) -> Symbol:
        return Symbol("*", -1.0, self)  # as 0 - x would lose the sign of 0

    def __abs__(self) -> Symbol:
        return Symbol("abs", self)

    def __bool__(self) -> bool:
        raise TypeError("an elementwise rule cannot branch on an element's value; use where, or branch in scalars()")

    __hash__ = object.__hash__


class Namespace:
    """The functions of the standard, on symbols."""

    @staticmethod
    def zeros_like(x: Symbol) -> float:
        return 0.0

    @staticmethod
    def ones_like(x: Symbol) -> float:
        return 1.0

    @staticmethod
    def astype(x: Any, dtype: Any, copy: bool = True) -> Any:
        return Symbol("astype", x)


for _name, _op in (_BINARY | _COMPARING).items():
    setattr(Symbol, f"__{_name}__", lambda a, b, op=_op: Symbol(op, a, b))
for _name, _op in _BINARY.items():
    setattr(Symbol, f"__r{_name}__", lambda a, b, op=_op: Symbol(op, b, a))
for _name in FUNCTIONS:
    setattr(Namespace, _name, staticmethod(lambda *args, op=_name: Symbol(op, *args)))


@dataclass(frozen=True)
class Loop:
    """A rule in straight lines. arrays : names of the inputs that are arrays; host : name -> expression over scalars;
    lines : (name, op, argument names) in order; results : output -> name."""

    arrays: tuple[str, ...]
    host: dict[str, Any]
    lines: tuple[tuple[str, str, tuple[str, ...]], ...]
    results: dict[str, str]

    def constants(self, scalars: Mapping[str, float]) -> list[float]:
        """The values of the host expressions, in Python floats, for these scalars."""
        return [_evaluate(expression, scalars) for expression in self.host.values()]


def trace(rule: Callable[..., Any], slots: tuple[str, ...], scalars: tuple[str, ...]) -> Loop:
    """The loop of rule(p, g, slots, scalars) -> p, slots. Raises TypeError where the rule is not elementwise."""
    inputs = {name: Symbol(name, array=True) for name in ("p", "g", *slots)}
    own = {name: inputs[name] for name in slots}
    p, new = rule(inputs["p"], inputs["g"], own, {name: Symbol(name, array=False) for name in scalars})
    return lower({"p": p, **new}, tuple(inputs))


def lower(outputs: Mapping[str, Any], arrays: tuple[str, ...]) -> Loop:
    """The symbols of the outputs as a Loop."""
    host: dict[str, Any] = {}
    lines: list[tuple[str, str, tuple[str, ...]]] = []
    names: dict[Any, str] = {}

    def name_of(value: Any) -> str:
        if isinstance(value, Symbol) and value.array:
            if not value.args:
                return f"{value.op}_"
            if id(value) not in names:
                parts = tuple(name_of(part) for part in value.args)
                names[id(value)] = f"t{len(lines)}"
                lines.append((names[id(value)], value.op, parts))
            return names[id(value)]
        key = id(value) if isinstance(value, Symbol) else float(value)
        if key not in names:
            names[key] = f"k{len(host)}"
            host[names[key]] = value
        return names[key]

    results = {name: name_of(value) for name, value in outputs.items()}  # fills the two lists
    return Loop(arrays, host, tuple(lines), results)


def _evaluate(value: Any, scalars: Mapping[str, float]) -> float:
    if not isinstance(value, Symbol):
        return float(value)
    if not value.args:
        return scalars[value.op]
    a, b = (_evaluate(part, scalars) for part in value.args)
    return float(_HOST[value.op](a, b))
