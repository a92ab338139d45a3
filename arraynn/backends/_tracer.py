"""From a rule's one Array-API source to the source of a loop: the rule is called with symbols instead of arrays.

A symbol needs only operators and `__array_namespace__`. It is a handle on an immutable node: an in-place operator moves
it to a new node, so every alias sees `m *= beta1`. What depends on scalars alone is computed once, on the host; what is
used twice is computed once. A rule that branches on an element's value cannot be traced: a symbol's `__bool__` raises.
A rule whose loop would not be certain to have NumPy's dtypes is refused: one that calculates with truth values or NumPy
scalars, or casts to a dtype of its own.
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
LARGEST = 2**53  #: of Python's integers, up to which each is a float64

_HOST = {symbol: getattr(operator, name) for name, symbol in _BINARY.items()}


class Dtype:
    """The dtype of a rule's arrays. There is one: whatever a rule asks for in terms of it is that of its arrays."""

    def __getattr__(self, name: str) -> Any:
        raise TypeError(f"a rule reads {name} of the dtype")

    def __eq__(self, other: object) -> bool:
        raise TypeError("a rule branches on the dtype")

    __hash__ = object.__hash__


class Symbol:
    """An operation on symbols and numbers, or, without arguments, an input of that name.

    array : whether it differs from element to element; else it is a scalar of the step.
    node : what the symbol is now. truth : whether it was made as a truth value.
    """

    dtype = Dtype()

    def __init__(self, op: str, *args: Any, array: bool | None = None) -> None:
        self.node: Symbol = self
        self.op, self.args = op, tuple(a.node if isinstance(a, Symbol) else a for a in args)
        self.array: bool = any(isinstance(a, Symbol) and a.array for a in args) if array is None else array
        self.truth = op in COMPARISONS and len(args) == 2
        for i, a in enumerate(self.args):
            if isinstance(a, Symbol):
                if a.truth and op != "astype" and not (op == "where" and i == 0):
                    raise TypeError(f"{op} of truth values: NumPy's dtype would be another one")
            elif type(a) not in (int, float) or (type(a) is int and abs(a) > LARGEST):
                raise TypeError(f"{op} of {a!r}: only Python's numbers take the dtype of the arrays")
        if op == "where" and not (isinstance(args[0], Symbol) and args[0].node.truth):
            raise TypeError("where asks for truth values")
        if not self.array and args and (op not in _HOST or len(args) != 2):
            raise TypeError(f"{op} of scalars alone; compute it in scalars()")

    def assign(self, op: str, other: Any) -> Symbol:
        """The symbol after an in-place operator, which every alias of an array sees."""
        new = Symbol(op, self, other)
        if not self.array:
            return new  # Python's numbers cannot be written to
        if self.op == "g" and not self.args:
            raise TypeError("a rule leaves the gradient as it is")
        self.node = new
        return self

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return Namespace

    def __neg__(self) -> Symbol:
        return Symbol("*", -1.0, self)  # as 0 - x would lose the sign of 0

    def __abs__(self) -> Symbol:
        return Symbol("abs", self)

    def __getattr__(self, name: str) -> Any:
        kind = AttributeError if name.startswith("__") else TypeError  # which `hasattr` does not swallow
        raise kind(f"a rule reads {name}; one that is not elementwise says so")

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
        if dtype is not Symbol.dtype or not copy:
            raise TypeError("a cast to another dtype than the arrays'")
        return Symbol("astype", x)


for _name, _op in (_BINARY | _COMPARING).items():
    setattr(Symbol, f"__{_name}__", lambda a, b, op=_op: Symbol(op, a, b))
for _name, _op in _BINARY.items():
    setattr(Symbol, f"__r{_name}__", lambda a, b, op=_op: Symbol(op, b, a))
    setattr(Symbol, f"__i{_name}__", lambda a, b, op=_op: a.assign(op, b))
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
    if {"p", "g", ""} & {*slots}:
        raise TypeError("slots by the names of the parameter and its gradient")
    inputs = {name: Symbol(name, array=True) for name in ("p", "g", *slots)}
    own = {name: inputs[name] for name in slots}
    p, new = rule(inputs["p"], inputs["g"], own, {name: Symbol(name, array=False) for name in scalars})
    if new.keys() != {*slots}:
        raise TypeError(f"a rule returns the slots {[*new]} for {[*slots]}")
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
        key = id(value) if isinstance(value, Symbol) else float(value).hex()  # 0.0 is not -0.0
        if key not in names:
            names[key] = f"k{len(host)}"
            host[names[key]] = value
        return names[key]

    outputs = {name: value.node if isinstance(value, Symbol) else value for name, value in outputs.items()}
    for name, value in outputs.items():
        if isinstance(value, Symbol) and value.truth:
            raise TypeError(f"the new {name} is a truth value")
    results = {name: name_of(value) for name, value in outputs.items()}  # fills the two lists
    return Loop(arrays, host, tuple(lines), results)


def _evaluate(value: Any, scalars: Mapping[str, float]) -> float:
    if not isinstance(value, Symbol):
        return float(value)
    if not value.args:
        return scalars[value.op]
    a, b = (_evaluate(part, scalars) for part in value.args)
    return float(_HOST[value.op](a, b))
