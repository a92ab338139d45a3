"""The namespace of tracers: the functions of the standard that can be traced."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import tree
from . import host
from .graph import Graph
from .ops import ELEMENTWISE, LIBRARY, SHORT_POWERS
from .trace import Element, Storage, Tracer, filled, flattened, operands_of

ABOUT = {"finfo", "iinfo", "isdtype", "result_type"}  # asked of dtypes, answered at once
#: whether pow takes the functions of SHORT_POWERS as ** does: from NumPy 2.3 on
POW_IS_OPERATOR = np.lib.NumpyVersion(np.__version__) >= "2.3.0"


class Namespace:
    """The functions of the standard that can be traced. What is missing raises AttributeError, and is remembered."""

    __name__ = __name__

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __getattr__(self, name: str) -> Any:
        if not hasattr(host, name):  # what NumPy lacks, too, is no difference
            raise AttributeError(name)
        made: Any = None
        if name in ELEMENTWISE:
            made = partial(self._elementwise, name)
        elif name in LIBRARY:
            made = partial(self._library, name)
        elif name in ABOUT or isinstance(getattr(host, name, None), type):
            made = getattr(host, name)
        elif name in ("pi", "e", "inf", "nan", "newaxis"):
            return getattr(host, name)
        else:
            self._graph.refuse(f"{name} is not traced")
            raise AttributeError(name)
        setattr(self, name, made)
        return made

    def _elementwise(self, op: str, /, *values: Any) -> Tracer:
        if not any(isinstance(x, Tracer) for x in values):
            raise self._graph.refuse(f"{op} of {values}")
        lead, nodes = operands_of(*values)
        if (
            op == "pow"
            and nodes[1].op == "constant"
            and nodes[1].weak
            and nodes[1].value in SHORT_POWERS
            and not POW_IS_OPERATOR
        ):
            raise self._graph.refuse("a power of which this NumPy's pow and ** differ in the last bit")
        node = self._graph.elementwise(op, nodes)
        # NumPy's where makes an array, where its other functions make a number
        array = op == "where" and not node.shape
        return type(lead)(self._graph, node, Storage(writable=False)) if array else lead.new(node)

    def _library(self, name: str, /, *args: Any, **kwargs: Any) -> Tracer:
        """A function of the library, whose result has the shape and the dtype that NumPy's has."""
        if any(isinstance(x, Element) for x in tree.leaves([args, kwargs])):
            raise self._graph.refuse(f"the rule asks for {name}, so it is no elementwise one")
        (form, options), operands = flattened(self._graph, (args, kwargs))
        if not operands or any(x.weak for x in operands) or any(map(_not_taken, tree.leaves((form, options)))):
            raise self._graph.refuse(f"{name} of a number, or of an array that is not traced")
        try:
            found = getattr(host, name)(*filled(form, [x.like() for x in operands]), **options)
        except Exception as error:
            raise self._graph.refuse(f"{name}: {error}") from error
        node = self._graph.node(name, operands, found.shape, found.dtype, args=form, options=options)
        return Tracer(self._graph, node)

    def astype(self, x: Tracer, dtype: Any, *, copy: bool = True, device: Any = None) -> Tracer:
        if x.dtype == dtype and not copy:
            return x
        if x.node.weak:
            raise self._graph.refuse("astype of a Python number")
        node = x.read() if x.dtype == dtype else self._graph.node("astype", (x.read(),), x.node.shape, dtype)
        return type(x)(self._graph, node, Storage(writable=bool(node.shape)))  # without axes: an array, or a number

    def clip(self, x: Tracer, min: Any = None, max: Any = None) -> Tracer:  # noqa: A002 - the standard's names
        y = x.new(x.read()) if min is None else self._elementwise("maximum", x, min)
        y = y if max is None else self._elementwise("minimum", y, max)
        if y.node.dtype != x.dtype or x.dtype.kind != "f" or y.node.shape != x.node.shape:
            raise self._graph.refuse(f"clip of {x.dtype} to bounds of another dtype")
        return y

    def matmul(self, a: Any, b: Any) -> Tracer:
        if not isinstance(a, Tracer) or not isinstance(b, Tracer):
            raise self._graph.refuse("a product with what is no traced array")
        lead = a.shape[:-2]
        fits = b.ndim == max(a.ndim, 2) and b.shape[:-2] == lead and a.ndim > 0
        if not fits or a.shape[-1] != b.shape[-2] or a.dtype != b.dtype:
            raise self._graph.refuse(f"a product of {a.shape} {a.dtype} and {b.shape} {b.dtype}")
        if lead and set(lead) == {1}:  # one product, which threads may share
            product = self.matmul(*(self.reshape(x, x.shape[-2:]) for x in (a, b)))
            return self.reshape(product, (*lead, *product.shape))
        _, nodes = operands_of(a, b)
        return Tracer(self._graph, self._graph.node("matmul", nodes, (*a.shape[:-1], b.shape[-1]), a.dtype))

    def reshape(self, x: Tracer, shape: Any, *, copy: Any = None) -> Tracer:
        try:
            shape = x.node.like().reshape((shape,) if isinstance(shape, int) else tuple(shape)).shape
        except Exception as error:
            raise self._graph.refuse(f"reshape: {error}") from error
        if x.shape == shape:
            return x.new(x.read()) if copy else type(x)(self._graph, x.read(), x.storage)
        view = x.view("reshape", shape)
        return x.new(view.node) if copy else view

    def broadcast_to(self, x: Tracer, /, shape: Any) -> Tracer:
        try:
            return x.view("broadcast_to", np.broadcast_to(x.node.like(), shape).shape)
        except ValueError as error:
            raise self._graph.refuse(f"broadcast_to: {error}") from error

    def expand_dims(self, x: Tracer, /, *, axis: int = 0) -> Tracer:
        return self.reshape(x, np.expand_dims(x.node.like(), axis).shape)

    def matrix_transpose(self, x: Tracer) -> Tracer:
        if x.ndim < 2:
            raise self._graph.refuse("matrix_transpose of an array with fewer than two axes")
        return x.view("matrix_transpose", (*x.shape[:-2], x.shape[-1], x.shape[-2]))

    def permute_dims(self, x: Tracer, axes: Any) -> Tracer:
        axes = tuple(int(axis) for axis in axes)
        return x.view("permute_dims", tuple(x.shape[axis] for axis in axes), axes=axes)

    def arange(self, *args: Any, dtype: Any = None, device: Any = None, **more: Any) -> Tracer:
        if more or not all(type(x) in (int, float) for x in args):
            raise self._graph.refuse(f"arange of {args}")
        made = host.arange(*args, dtype=dtype)
        return Tracer(self._graph, self._graph.node("arange", (), made.shape, made.dtype, args=args))

    def zeros(self, shape: Any, *, dtype: Any = None, device: Any = None) -> Tracer:
        return self.full(shape, 0, dtype=host.float64 if dtype is None else dtype)

    def ones(self, shape: Any, *, dtype: Any = None, device: Any = None) -> Tracer:
        return self.full(shape, 1, dtype=host.float64 if dtype is None else dtype)

    def zeros_like(self, x: Tracer, *, dtype: Any = None, device: Any = None) -> Tracer:
        return self.full_like(x, 0, dtype=dtype)

    def ones_like(self, x: Tracer, *, dtype: Any = None, device: Any = None) -> Tracer:
        return self.full_like(x, 1, dtype=dtype)

    def full_like(self, x: Tracer, value: Any, *, dtype: Any = None, device: Any = None) -> Tracer:
        return self._filled(type(x), x.node.shape, value, x.dtype if dtype is None else dtype)

    def full(self, shape: Any, value: Any, *, dtype: Any = None, device: Any = None) -> Tracer:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        return self._filled(Tracer, shape, value, host.full((), value).dtype if dtype is None else dtype)

    def asarray(self, x: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tracer:
        if isinstance(x, Tracer):
            if x.node.weak:
                raise self._graph.refuse("asarray of a number that is known only when the step runs")
            return self.astype(x, x.dtype if dtype is None else dtype, copy=bool(copy))
        if type(x) not in (bool, int, float):
            raise self._graph.refuse(f"asarray of {type(x).__name__}")
        return self.full((), x, dtype=dtype)

    def _filled(self, kind: type[Tracer], shape: Any, value: Any, dtype: Any) -> Tracer:
        if type(value) not in (bool, int, float):
            raise self._graph.refuse(f"an array full of a {type(value).__name__}")
        dtype = np.dtype(dtype)
        try:
            one = np.full((), value, dtype)[()]  # the number as the dtype holds it
        except OverflowError as error:
            raise self._graph.refuse(str(error)) from error
        if shape == ():
            return kind(self._graph, self._graph.constant(one), Storage())
        return kind(self._graph, self._graph.node("full", (), shape, dtype, value=one.item()))


def _not_taken(x: Any) -> bool:
    """A NumPy array is taken as it is: what it holds is read at each call. A number of NumPy's, or a mask, is not."""
    return isinstance(x, (np.generic, slice)) or (isinstance(x, np.ndarray) and x.dtype.kind not in "iuf")
