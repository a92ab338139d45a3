"""Whether an optimizer's rule looks at each element by itself: it is called with arrays that can do nothing else.

A backend may then join parameters end to end, cut them into slices, and fuse the rule into one loop.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import array_api_compat.numpy as host
import numpy as np

_OPERATORS = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift"),
    *("lt", "le", "gt", "ge", "eq", "ne"),
)
_FUNCTIONS = {
    *("abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert"),
    *("bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clip", "copysign", "cos"),
    *("cosh", "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal", "hypot"),
    *("isfinite", "isinf", "isnan", "less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp"),
    *("logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative"),
    *("nextafter", "not_equal", "ones_like", "positive", "pow", "reciprocal", "remainder", "round", "sign"),
    *("signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "trunc", "where", "zeros_like"),
}
_ABOUT = frozenset(("finfo", "iinfo", "isdtype", "result_type"))  # asked of dtypes


class NotElementwise(Exception):
    """A rule asked for something that is not a matter of one element."""


class Probe:
    """An array of which nothing is known but its dtype, or, `scalar`, a number of the step. Shapes, reductions, indices
    and values are refused, whoever asks: `getattr(p, "ndim", 1)` raises, too."""

    __array_ufunc__ = None  # NumPy leaves its operators to this class, and refuses its functions

    def __init__(self, value: Any, scalar: bool = False) -> None:
        self._value, self._scalar = value, scalar

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return _NAMESPACE

    @property
    def dtype(self) -> Any:
        return self._value.dtype

    @property
    def device(self) -> str:
        return "cpu"

    def __getattr__(self, name: str) -> Any:
        raise NotElementwise(name)

    def _refused(self, *args: Any, **kwargs: Any) -> Any:
        raise NotElementwise("a value, a length or a part of an array")

    __bool__ = __int__ = __float__ = __complex__ = __index__ = __len__ = __iter__ = _refused
    __getitem__ = __setitem__ = __contains__ = __array__ = __dlpack__ = __matmul__ = __rmatmul__ = _refused
    __hash__ = object.__hash__

    def __neg__(self) -> Probe:
        return _apply(operator.neg, self)

    def __pos__(self) -> Probe:
        return _apply(operator.pos, self)

    def __abs__(self) -> Probe:
        return _apply(operator.abs, self)

    def __invert__(self) -> Probe:
        return _apply(operator.invert, self)


for _op in _OPERATORS:
    _function = getattr(operator, f"__{_op}__")
    setattr(Probe, f"__{_op}__", lambda a, b, f=_function: _apply(f, a, b))
    setattr(Probe, f"__r{_op}__", lambda a, b, f=_function: _apply(f, b, a))


def _apply(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Probe:
    if not all(isinstance(x, (Probe, bool, int, float)) or x is None for x in (*args, *kwargs.values())):
        raise NotElementwise("an array that is not the rule's")
    probes = [x for x in (*args, *kwargs.values()) if isinstance(x, Probe)]
    values = [x._value if isinstance(x, Probe) else x for x in args]
    named = {name: x._value if isinstance(x, Probe) else x for name, x in kwargs.items()}
    with np.errstate(all="ignore"):
        return Probe(function(*values, **named), scalar=all(x._scalar for x in probes))


class _Namespace:
    """The standard's functions of single elements."""

    __name__ = __name__

    def __getattr__(self, name: str) -> Any:
        if name in _FUNCTIONS:
            return lambda *args, **kwargs: _apply(getattr(host, name), *args, **kwargs)
        if name in _ABOUT or isinstance(getattr(host, name, None), type):
            return getattr(host, name)
        raise NotElementwise(name)

    def astype(self, x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Probe:
        return _apply(lambda value: host.astype(value, dtype), x)

    def asarray(self, x: Any, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Probe:
        return _apply(lambda value: host.asarray(value, dtype=dtype), x)

    def zeros(self, shape: Any, *, dtype: Any, device: Any = None) -> Probe:
        if tuple(shape) != ():
            raise NotElementwise("an array of a shape")
        return Probe(host.zeros((), dtype=dtype))


_NAMESPACE = _Namespace()


def is_elementwise(rule: Callable[..., Any], p: Any, slots: Mapping[str, Any], scalars: Mapping[str, Any]) -> bool:
    """Whether rule(p, g, slots, scalars) -> p, slots computes each element of what it returns from the same element of
    the arrays, and from the numbers, by one formula. False where that is not seen.

    rule : hashable, such as a method of a frozen dataclass; it is asked once for equal rules and dtypes.
    """
    if any(value is None or isinstance(value, (bool, str, dict, list, tuple)) for value in scalars.values()):
        return False  # not numbers, or what stands for numbers: a rule may branch on them
    return _asked(rule, _name(p), tuple((name, _name(s)) for name, s in slots.items()), tuple(scalars))


@lru_cache(maxsize=256)
def _asked(rule: Callable[..., Any], dtype: str, slots: tuple[tuple[str, str], ...], scalars: tuple[str, ...]) -> bool:
    try:
        p, g = (Probe(np.ones(1, dtype)) for _ in range(2))
        own = {name: Probe(np.ones(1, kind)) for name, kind in slots}
        q, after = rule(p, g, dict(own), {name: Probe(0.5, scalar=True) for name in scalars})
        pairs = [(p, q), *((own[name], after[name]) for name in own)]
    except Exception:  # whatever a rule says of arrays that it does not know
        return False
    return after.keys() == own.keys() and all(_alike(before, new) for before, new in pairs)


def _alike(before: Probe, new: Any) -> bool:
    if not isinstance(new, Probe) or new._scalar:
        return False
    return getattr(new._value, "shape", None) == (1,) and new.dtype == before.dtype


def _name(x: Any) -> str:
    return str(x.dtype).rpartition(".")[2]
