"""A training step written down instead of computed: arrays that know their shape, their dtype and what made them.

The step's own source is called with them. Of what they remember, `_fuse` makes kernels for a GPU, and `_straight` NumPy
calls in a row. Whatever is not certain to be traced right raises `TraceError`, and the step then runs as it is.
An array that a user holds is a handle on a node, which is immutable. An in-place operator moves the handle to a new
node, so every alias of the array sees it. An array whose memory was written to through another array cannot be read.
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
from ._operations import (
    ABOUT,
    COMPARISONS,
    ELEMENTWISE,
    IN_PLACE,
    LIBRARY,
    OPERATORS,
    VIEWS,
    TraceError,
    known,
    of_numbers,
)

_serials = count()


class Lazy:
    """op(*args, **kwargs): an elementwise function of the standard, a function of the library, or where it comes from:
    "input" (a place among the arguments), "number" (one of their Python numbers), "literal", "result" (of an update),
    "part" (of what a call returned).

    serial : tells which of two was made first. weak : a Python number, which takes the dtype of the array it meets.
    scalar : NumPy has a scalar here, or Python a number; an in-place operator then makes a new one.
    owned : whether in-place operators may write here. base : the array whose memory this one is a view of; version :
    how often that memory had been written to when this array was last right; lost : it was written to through a view.
    """

    backend_name = "lazy"
    device: Any = None  # creation functions are told this, and the current device is taken

    def __init__(
        self,
        op: str,
        args: Sequence[Any],
        shape: Any,
        dtype: Any,
        kwargs: Any = None,
        weak: bool = False,
        scalar: bool = False,
        base: Lazy | None = None,
    ) -> None:
        self.op, self.args, self.kwargs = op, tuple(args), kwargs or {}
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.serial, self.weak, self.scalar = next(_serials), weak, weak or scalar
        self.owned = op not in ("input", "joined")
        self.base: Lazy | None = None if self.scalar or base is None else base if base.base is None else base.base
        self.version: int = 0 if self.base is None else self.base.version
        self.lost = False
        self._node: Lazy | None = None

    def value(self) -> Lazy:
        """The node that the array is now. TraceError where its memory was written to through another array."""
        if self.lost or (self.base is not None and self.base.version != self.version):
            raise TraceError("an array is read whose memory was written to through a view, or as the base of a view")
        return self if self._node is None else self._node

    def copy_handle(self) -> Lazy:
        """Another array of the same numbers: in-place operators on one leave the other."""
        node = self.value()
        copied = Lazy(node.op, node.args, node.shape, node.dtype, node.kwargs, node.weak, self.scalar)
        copied.owned, copied._node = True, node
        return copied

    def assign(self, op: str, other: Any) -> Lazy:
        """The array after an in-place operator, which every alias sees."""
        new = elementwise(op, self, other, operator=True)
        if self.scalar:
            return new
        root = self if self.base is None else self.base
        if not root.owned:
            raise TraceError(f"{op} in place: it would write to an argument, or to a gradient")
        if (new.shape, new.dtype) != (self.shape, self.dtype):
            raise TraceError(f"{op} in place: a result of {new.shape} {new.dtype} in {self.shape} {self.dtype}")
        root.version += 1
        if root is not self:
            self.version, root.lost = root.version, True
        self._node = new.value()
        return self

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
        for part in index if isinstance(index, tuple) else (index,):
            if type(part) not in (int, slice) and part is not None and part is not Ellipsis:
                raise TraceError(f"an index of type {type(part).__name__} copies; slices, integers, None and ... view")
        found = self.like()[index]
        return Lazy("getitem", (self.value(), index), found.shape, self.dtype, scalar=_scalar(found), base=self)

    def like(self) -> np.ndarray:
        """A NumPy array of this shape and dtype, in no memory to speak of."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def __neg__(self) -> Lazy:
        return elementwise("negative", self, operator=True)

    def __abs__(self) -> Lazy:
        return elementwise("abs", self, operator=True)

    def __matmul__(self, other: Any) -> Lazy:
        product: Lazy = NAMESPACE.matmul(self, other)
        return product

    def __imatmul__(self, other: Any) -> Lazy:
        raise TraceError("a product in place")

    def __bool__(self, *args: Any, **kwargs: Any) -> bool:
        raise TraceError("a traced array has no values")

    __array__ = __float__ = __int__ = __index__ = __iter__ = __len__ = __bool__
    __hash__ = object.__hash__


for _name, _op in OPERATORS.items():
    setattr(Lazy, f"__{_name}__", lambda a, b, op=_op: elementwise(op, a, b, operator=True))
    setattr(Lazy, f"__r{_name}__", lambda a, b, op=_op: elementwise(op, b, a, operator=True))
for _name in IN_PLACE:
    setattr(Lazy, f"__i{_name}__", lambda a, b, op=OPERATORS[_name]: a.assign(op, b))


def elementwise(op: str, *args: Any, operator: bool = False) -> Lazy:
    """One of ELEMENTWISE, with the standard's promotion: NumPy is asked on one element.

    operator : it is Python's. Of its numbers Python makes a number, and NumPy computes x ** y in other ways than `pow`
    for some exponents.
    """
    if not all(isinstance(arg, Lazy) or type(arg) in (bool, int, float) for arg in args):
        raise TraceError(f"{op} of {', '.join(type(arg).__name__ for arg in args)}")
    args = tuple(arg.value() if isinstance(arg, Lazy) else arg for arg in args)
    arrays = [arg for arg in args if isinstance(arg, Lazy)]
    if not arrays:
        raise TraceError(f"{op} of numbers alone, which gives a NumPy scalar")
    if all(arg.weak for arg in arrays):
        return Lazy(op, args, (), of_numbers(op if operator else f"the function {op}", args), weak=True)
    if (found := known(op, *args)) is not None:
        again: Lazy = found.copy_handle()
        return again
    if op == "where" and not (isinstance(args[0], Lazy) and args[0].dtype.kind == "b"):
        raise TraceError("where asks for truth values")
    if op in ("floor", "sign") and arrays[0].dtype.kind != "f":
        raise TraceError(f"{op} of {arrays[0].dtype}")
    if op in COMPARISONS and any(arg.weak for arg in arrays) and any(arg.dtype.kind in "iu" for arg in arrays):
        raise TraceError(f"{op} of integers and a number that they may not hold")
    shape = np.broadcast_shapes(*(arg.shape for arg in arrays))
    if op == "pow" and {arg.weak or arg.dtype.kind for arg in arrays} == {True, "b"}:
        raise TraceError("a power of truth values and a number, whose dtype depends on it")
    power = operator and op == "pow"  # of an array without axes, its dtype may be another one
    ones = [
        (_one(arg) if not power else _one(arg, (1,) * min(arg.ndim, 1))) if isinstance(arg, Lazy) else arg
        for arg in args
    ]
    with np.errstate(all="ignore"):
        one = ones[0] ** ones[1] if power else getattr(host, op)(*ones)
    return Lazy(
        op,
        args,
        shape,
        one.dtype,
        {"operator": True} if power else None,
        scalar=not shape and _scalar(one),
    )


def _scalar(found: Any) -> bool:
    """Whether NumPy gave a scalar, not an array without axes."""
    return isinstance(found, np.generic)


def _one(x: Lazy, shape: tuple[int, ...] = ()) -> Any:
    if x.weak:
        return 1.0 if x.dtype.kind == "f" else 1
    one = np.ones(shape, x.dtype)
    return one[()] if x.scalar else one


def parts(value: Any) -> Iterator[Lazy]:
    """The lazy arrays in an argument."""
    if isinstance(value, Lazy):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from parts(part)


def values(nest: Any) -> Any:
    """The nest with the nodes that its arrays are now."""
    return tree.map(lambda x: x.value() if isinstance(x, Lazy) else x, nest)


def update(rule: Callable[..., Any], leaves: Sequence[Any], scalars: Any) -> list[Any]:
    """An optimizer's `elementwise(rule)(leaves, scalars)` over (p, g, slots), which one Lazy "update" stands for."""
    consumed = [x for p, _, own in leaves for x in (p, *own.values())]
    leaves = [(p.value(), g.value(), values(own)) for p, g, own in leaves]
    if any(x.op != "input" for p, _, own in leaves for x in (p, *own.values())):
        raise TraceError("an update of what the step computes: it would be written to")
    if not all(type(name) is str and name for _, _, own in leaves for name in own):
        raise TraceError("slots without a name")
    whole = Lazy("update", [x for p, g, own in leaves for x in (p, g, *own.values())], (), "bool")
    whole.kwargs = {"rule": rule, "names": [tuple(own) for _, _, own in leaves], "scalars": scalars}
    results = []
    for i, (p, _, own) in enumerate(leaves):
        new = {name: Lazy("result", (whole, i, name), s.shape, s.dtype) for name, s in own.items()}
        results.append((Lazy("result", (whole, i, ""), p.shape, p.dtype), new))
    for x in consumed:
        x.lost = True
    return results


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
            raise TraceError("halves of words lie the other way round here")
        return Lazy("halves", (words.value(),), (words.shape[0], 2 * words.shape[1]), "int16", base=words)


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
        if not isinstance(x, Lazy) or x.weak:
            raise TraceError("astype of a number")
        if x.dtype == dtype:
            return x.copy_handle() if copy else x
        return Lazy("astype", (x.value(),), x.shape, dtype, scalar=x.scalar)

    def clip(self, x: Lazy, min: Any = None, max: Any = None) -> Lazy:  # noqa: A002 - the standard's names
        clipped = x.copy_handle() if min is None else elementwise("maximum", x, min)
        clipped = clipped if max is None else elementwise("minimum", clipped, max)
        if (clipped.shape, clipped.dtype) != (x.shape, x.dtype):
            raise TraceError(f"clip of {x.shape} {x.dtype} to {clipped.shape} {clipped.dtype}")
        return clipped

    def matmul(self, a: Lazy, b: Lazy) -> Lazy:
        if not isinstance(a, Lazy) or not isinstance(b, Lazy):
            raise TraceError("a product with a constant")
        if a.ndim not in (1, 2) or b.ndim != 2 or a.shape[-1] != b.shape[0] or a.dtype != b.dtype:
            raise TraceError(f"a product of {a.shape} and {b.shape}")
        return Lazy("matmul", (a.value(), b.value()), (*a.shape[:-1], b.shape[1]), a.dtype)

    def reshape(self, x: Lazy, shape: Any, *, copy: Any = None) -> Lazy:
        if copy is not None:
            raise TraceError("reshape that is told whether to copy")
        return x if x.shape == tuple(shape) else _library("reshape", (x, shape), {})

    def matrix_transpose(self, x: Lazy) -> Lazy:
        if x.ndim < 2:
            raise TraceError(f"matrix_transpose of {x.shape}")
        return Lazy("matrix_transpose", (x.value(),), (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype, base=x)

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
            raise TraceError(f"asarray of {type(x).__name__}")
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

    def value(x: Any) -> Any:
        if isinstance(x, (tuple, list)):
            return type(x)(map(value, x))
        return x.value() if isinstance(x, Lazy) else x

    if any(x.weak for x in parts(args)):
        raise TraceError(f"{name} of a number")
    found = getattr(host, name)(*map(like, args), **kwargs)
    base = args[0] if name in VIEWS else None
    return Lazy(name, value(tuple(args)), found.shape, found.dtype, kwargs, scalar=_scalar(found), base=base)
