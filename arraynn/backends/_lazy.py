"""A training step written down instead of computed: arrays that know their shape, their dtype and what made them.

The step's own source is called with them. Of what they remember, `_fuse` makes kernels for a GPU, and `_straight` NumPy
calls in a row. Whatever they cannot do raises, and the step then runs as it is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import array_api_compat.numpy as host
import numpy as np

from .. import tree
from ._base import Backend

OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow", "and": "bitwise_and",
    "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}  # fmt: skip
ELEMENTWISE = {
    *OPERATORS.values(), "abs", "exp", "expm1", "floor", "isfinite", "isnan", "log", "log1p", "logical_and",
    "logical_not", "logical_or", "maximum", "minimum", "negative", "sign", "sqrt", "square", "tanh", "where",
}  # fmt: skip
LIBRARY = {"all", "any", "argmax", "concat", "max", "mean", "min", "permute_dims", "std", "sum", "take"}
ABOUT = {"finfo", "iinfo", "isdtype", "result_type"}  # asked of dtypes, answered at once
_serials = count()


class Lazy:
    """op(*args, **kwargs): an elementwise function of the standard, a function of the library, or where it comes from:
    "input" (a place among the arguments), "number" (one of their Python numbers), "literal", "result" (of an update),
    "part" (of what a call returned).

    serial : tells which of two was made first. weak : a Python number, which takes the dtype of the array it meets.
    """

    backend_name = "lazy"
    device: Any = None  # creation functions are told this, and the current device is taken

    def __init__(
        self, op: str, args: Sequence[Any], shape: Any, dtype: Any, kwargs: Any = None, weak: bool = False
    ) -> None:
        self.op, self.args, self.kwargs = op, tuple(args), kwargs or {}
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.serial, self.weak = next(_serials), weak

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def elementwise(self) -> bool:
        return self.op in ELEMENTWISE or self.op == "astype"

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return NAMESPACE

    def __getitem__(self, index: Any) -> Lazy:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Lazy) for part in parts):
            raise TypeError("a traced array cannot be an index")
        return Lazy("getitem", (self, index), self.like()[index].shape, self.dtype)

    def like(self) -> np.ndarray:
        """A NumPy array of this shape and dtype, in no memory to speak of."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def __neg__(self) -> Lazy:
        return elementwise("negative", self)

    def __abs__(self) -> Lazy:
        return elementwise("abs", self)

    def __matmul__(self, other: Any) -> Lazy:
        product: Lazy = NAMESPACE.matmul(self, other)
        return product

    def __bool__(self, *args: Any, **kwargs: Any) -> bool:
        raise TypeError("a traced array has no values")

    __array__ = __float__ = __int__ = __index__ = __iter__ = __len__ = __bool__
    __hash__ = object.__hash__


for _name, _op in OPERATORS.items():
    setattr(Lazy, f"__{_name}__", lambda a, b, op=_op: elementwise(op, a, b))
    setattr(Lazy, f"__r{_name}__", lambda a, b, op=_op: elementwise(op, b, a))


def elementwise(op: str, *args: Any) -> Lazy:
    """One of ELEMENTWISE, with the standard's promotion: NumPy is asked on one element."""
    if not all(isinstance(arg, (Lazy, bool, int, float)) for arg in args):
        raise TypeError(f"{op} of {args}")
    if (known := _known(op, *args)) is not None:
        return known
    shape = np.broadcast_shapes(*(arg.shape for arg in args if isinstance(arg, Lazy)))
    with np.errstate(all="ignore"):
        one = getattr(host, op)(*(_one(arg) if isinstance(arg, Lazy) else arg for arg in args))
    return Lazy(op, args, shape, one.dtype, weak=all(arg.weak for arg in args if isinstance(arg, Lazy)))


def _known(op: str, x: Any, y: Any = None, *_: Any) -> Lazy | None:
    """What was computed before: t > 0, of a truth value as a number t, is the truth value, and where(t, x, 0) times t
    is what it was."""
    truth = _truth(x)
    if op == "greater" and truth is not None and _zero(y):
        return truth
    if op == "multiply" and isinstance(x, Lazy) and x.op == "where" and isinstance(y, Lazy):
        choice, _, other = x.args  # where(truth, …, 0) times truth
        return x if choice is _truth(y) and _zero(other) and (x.shape, x.dtype) == (y.shape, y.dtype) else None
    return None


def _truth(x: Any) -> Lazy | None:
    """The truth values that x is made of, as 0 and 1."""
    cast = isinstance(x, Lazy) and x.op == "astype" and x.args[0].dtype == bool
    return x.args[0] if cast else None


def _zero(x: Any) -> bool:
    x = x.args[0] if isinstance(x, Lazy) and x.op == "literal" else x
    return type(x) in (int, float) and x == 0


def _one(x: Lazy) -> Any:
    return 1.0 if x.weak else np.ones((), x.dtype)


def parts(value: Any) -> Iterator[Lazy]:
    """The lazy arrays in an argument."""
    if isinstance(value, Lazy):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from parts(part)


def update(rule: Callable[..., Any], leaves: Sequence[Any], scalars: Any) -> list[Any]:
    """An optimizer's `elementwise(rule)(leaves, scalars)` over (p, g, slots), which one Lazy "update" stands for."""
    whole = Lazy("update", [x for p, g, own in leaves for x in (p, g, *own.values())], (), "bool")
    whole.kwargs = {"rule": rule, "names": [tuple(own) for _, _, own in leaves], "scalars": scalars}
    results = []
    for i, (p, _, own) in enumerate(leaves):
        new = {name: Lazy("result", (whole, i, name), s.shape, s.dtype) for name, s in own.items()}
        results.append((Lazy("result", (whole, i, ""), p.shape, p.dtype), new))
    return results


def call(function: Callable[..., Any], arguments: tuple[Any, ...], like: Any) -> Any:
    """What function(*arguments) will return, when the arguments are there: a nest of the form and the shapes of `like`,
    whose arrays are new ones, and whose numbers are what they are then."""
    whole = Lazy("call", [x for x in tree.leaves(arguments) if isinstance(x, Lazy)], (), "bool")
    whole.kwargs = {"function": function, "arguments": arguments}

    def part(nest: Any, where: str) -> Any:
        if isinstance(nest, dict):
            return {key: part(value, f"{where}[{key!r}]") for key, value in nest.items()}
        if isinstance(nest, (list, tuple)):
            return type(nest)([part(value, f"{where}[{i}]") for i, value in enumerate(nest)])
        if nest is None:
            return None
        # a number, such as a count of rows, may be another one then
        like = nest if isinstance(nest, Lazy) else np.asarray(nest)
        return Lazy("part", (whole, where), like.shape, like.dtype)

    return part(like, "")


class Written(Backend):
    """The backend of arrays that are written down: what asks for it by their type gets what it asked for, later."""

    name = "lazy"
    traces_rules = True

    @classmethod
    def elementwise(cls, rule: Callable[..., Any]) -> Callable[[Sequence[tuple[Any, ...]], Any], list[Any]]:
        return lambda leaves, scalars: update(rule, leaves, scalars)

    @classmethod
    def halves(cls, words: Lazy) -> Lazy:
        if sys.byteorder == "big":
            raise TypeError("halves of words lie the other way round here")
        return Lazy("halves", (words,), (words.shape[0], 2 * words.shape[1]), "int16")


BACKEND = Written


class _Namespace:
    """The functions of the standard, written down."""

    __name__ = __name__

    def __getattr__(self, name: str) -> Any:
        if name in ELEMENTWISE:
            return lambda *args: elementwise(name, *args)
        if name in LIBRARY:
            return lambda *args, **kwargs: _library(name, args, kwargs)
        if name in ABOUT or isinstance(getattr(host, name), type):
            return getattr(host, name)
        raise AttributeError(name)

    def astype(self, x: Lazy, dtype: Any, *, copy: bool = True, device: Any = None) -> Lazy:
        return x if x.dtype == dtype else Lazy("astype", (x,), x.shape, dtype)

    def clip(self, x: Lazy, min: Any = None, max: Any = None) -> Lazy:  # noqa: A002 - the standard's names
        x = x if min is None else elementwise("maximum", x, min)
        return x if max is None else elementwise("minimum", x, max)

    def matmul(self, a: Lazy, b: Lazy) -> Lazy:
        if a.ndim not in (1, 2) or b.ndim != 2 or a.shape[-1] != b.shape[0] or a.dtype != b.dtype:
            raise TypeError(f"a product of {a.shape} and {b.shape}")
        return Lazy("matmul", (a, b), (*a.shape[:-1], b.shape[1]), a.dtype)

    def reshape(self, x: Lazy, shape: Any, *, copy: Any = None) -> Lazy:
        return x if x.shape == tuple(shape) else _library("reshape", (x, shape), {})

    def matrix_transpose(self, x: Lazy) -> Lazy:
        return Lazy("matrix_transpose", (x,), (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)

    def arange(self, *args: int, dtype: Any, device: Any = None) -> Lazy:
        return Lazy("arange", args, host.arange(*args).shape, dtype)

    def zeros(self, shape: Any, *, dtype: Any, device: Any = None) -> Lazy:
        return self._filled(0, shape, dtype)

    def zeros_like(self, x: Lazy) -> Lazy:
        return self._filled(0, x.shape, x.dtype)

    def ones_like(self, x: Lazy) -> Lazy:
        return self._filled(1, x.shape, x.dtype)

    def asarray(self, x: Any, *, dtype: Any, device: Any = None) -> Lazy:
        if not isinstance(x, (bool, int, float)):
            raise TypeError(f"asarray of {type(x)}")
        return self._filled(x, (), dtype)

    def _filled(self, value: Any, shape: Any, dtype: Any) -> Lazy:
        if tuple(shape) == ():
            return Lazy("literal", (value,), (), dtype)
        return Lazy("full", (tuple(shape), value), shape, dtype)


NAMESPACE: Any = _Namespace()


def _library(name: str, args: Any, kwargs: dict[str, Any]) -> Lazy:
    """A function of the library, whose result NumPy's has the shape and the dtype of."""

    def like(x: Any) -> Any:
        if isinstance(x, (tuple, list)):
            return type(x)(map(like, x))
        return x.like() if isinstance(x, Lazy) else x

    found = getattr(host, name)(*map(like, args), **kwargs)
    return Lazy(name, args, found.shape, found.dtype, kwargs)
