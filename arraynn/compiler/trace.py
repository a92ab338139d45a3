"""Tracers: mutable handles on immutable nodes, which a function is called with instead of arrays.

An in-place operator moves the handle to another node, so every alias of the handle sees it. Writing to memory that
another live handle looks at, or that belongs to the caller, raises TraceError, as do values, which a tracer has not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import numpy as np

from .. import tree
from . import host
from .graph import Graph, Node, Operand
from .ops import OPERATORS


class Storage:
    """Memory as the traced function sees it. handles : the live tracers that look at it. writable : it is the
    function's own, or given away to it. consumed : an update has written to it, in a way that is not known."""

    __slots__ = ("consumed", "handles", "writable")

    def __init__(self, writable: bool = True) -> None:
        self.handles: WeakSet[Tracer] = WeakSet()
        self.writable, self.consumed = writable, False


class Tracer:
    """Stands for an array while a function is traced.

    storage : None where NumPy would return a number, which cannot be written to.
    """

    __slots__ = ("__weakref__", "graph", "node", "storage")
    backend_name = "traced"
    __array_ufunc__ = None  # NumPy's arrays and numbers leave their operators to this class
    device: Any = None  # passed to creation functions, which take the current device

    def __init__(self, graph: Graph, node: Node, storage: Storage | None = None) -> None:
        self.graph, self.node, self.storage = graph, node, storage
        if storage is None and node.shape:
            self.storage = Storage()
        if self.storage is not None:
            self.storage.handles.add(self)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return host.prod(np.asarray(self.shape, "int64")).item() if self.shape else 1

    @property
    def dtype(self) -> np.dtype:
        return self.node.dtype

    @property
    def T(self) -> Tracer:  # noqa: N802 - the standard's name
        if self.ndim != 2:
            raise self.graph.refuse(f"T of an array with {self.ndim} axes")
        return self.view("matrix_transpose", self.shape[::-1])

    @property
    def mT(self) -> Tracer:  # noqa: N802
        found: Tracer = self.graph.namespace.matrix_transpose(self)
        return found

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return self.graph.namespace

    def read(self) -> Node:
        """The node, for an operation that reads it."""
        if self.storage is not None and self.storage.consumed:
            raise self.graph.refuse("an array is read after an update consumed it")
        return self.node

    def new(self, node: Node) -> Tracer:
        """A tracer of a node that was computed from this one."""
        return type(self)(self.graph, node)

    def view(self, op: str, shape: Any, dtype: Any = None, **attributes: Any) -> Tracer:
        node = self.graph.node(op, (self.read(),), shape, self.dtype if dtype is None else dtype, **attributes)
        storage = self.storage if self.storage is not None or node.shape else Storage(writable=False)
        return type(self)(self.graph, node, storage)

    def assign(self, result: Tracer) -> Tracer:
        """What an in-place operator returns: this handle, moved on to the result."""
        if self.storage is None:
            return result  # of a number, which is not written to
        if not self.storage.writable:
            raise self.graph.refuse("an array of the caller's is written to")
        if len(self.storage.handles) > 1:
            raise self.graph.refuse("an array is written to of which there is a view")
        if self.node.op == "broadcast_to":
            raise self.graph.refuse("an array is written to of which several elements are one")
        if (result.node.shape, result.node.dtype) != (self.node.shape, self.node.dtype):
            raise self.graph.refuse(f"{result.node.dtype} {result.node.shape} is written to {self.dtype} {self.shape}")
        self.node = result.node
        return self

    def __getitem__(self, index: Any) -> Tracer:
        parts = index if isinstance(index, tuple) else (index,)
        fancy = any(isinstance(part, (list, np.ndarray)) for part in parts)
        for part in parts:
            known = part is None or part is Ellipsis or type(part) in (int, slice)
            if isinstance(part, np.ndarray):
                known = part.dtype.kind in "iu"  # a mask may count otherwise at the next call
            if not known and type(part) is not list:
                raise self.graph.refuse(f"an index of type {type(part).__name__}")
            if type(part) is slice and not all(x is None or type(x) is int for x in (part.start, part.stop, part.step)):
                raise self.graph.refuse("a slice whose ends are no Python integers")
        parts = tuple(_copied(part) for part in parts)
        try:
            found = self.node.like()[parts]
        except IndexError as error:
            raise self.graph.refuse(str(error)) from error
        if fancy and len(parts) > 1:
            raise self.graph.refuse("an index of integers behind others, which leaves an array in an order of its own")
        if fancy:
            return self.new(self.graph.node("gather", (self.read(),), found.shape, self.dtype, index=parts))
        if not found.shape:  # NumPy would return a number; with an ellipsis it is a view
            if any(part is Ellipsis for part in parts):
                return self.view("getitem", (), index=parts)
            parts = (*parts, ...)
            return self.new(self.graph.node("getitem", (self.read(),), (), self.dtype, index=parts))
        return self.view("getitem", found.shape, index=parts)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise self.graph.refuse("an array is written to by an index")

    def __pos__(self) -> Tracer:
        return self.new(self.read())

    def __bool__(self, *args: Any, **kwargs: Any) -> bool:
        raise self.graph.refuse("a traced array has no values: the function branches on them, or takes them away")

    __array__ = __float__ = __int__ = __index__ = __iter__ = __len__ = __complex__ = __contains__ = __bool__
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        if hasattr(np.ndarray, name):  # what NumPy's arrays lack, too, is no difference
            self.graph.refuse(f"{name} of a traced array")
        raise AttributeError(name)


class Element(Tracer):
    """Stands for every parameter that an elementwise rule may be given: it has a dtype, and no shape."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        raise self.graph.refuse("the rule reads a parameter's shape, so it is no elementwise one")

    def view(self, op: str, shape: Any, dtype: Any = None, **attributes: Any) -> Tracer:
        raise self.graph.refuse(f"the rule asks for {op}, so it is no elementwise one")

    def __getitem__(self, index: Any) -> Tracer:
        raise self.graph.refuse("the rule indexes a parameter, so it is no elementwise one")


def _copied(part: Any) -> Any:
    """A part of an index that the caller cannot change any more."""
    if isinstance(part, (list, np.ndarray)):
        part = np.array(part)
        if part.dtype.kind not in "iu":
            raise TypeError("an index that is no integers")
        part.flags.writeable = False
    return part


def operands_of(*values: Any) -> tuple[Tracer, tuple[Node, ...]]:
    """The first tracer among the values (of an element, if there is one), and the nodes of all."""
    tracers = [x for x in values if isinstance(x, Tracer)]
    lead = next((x for x in tracers if isinstance(x, Element)), tracers[0])
    nodes = []
    for x in values:
        if isinstance(x, Tracer):
            if x.graph is not lead.graph:
                raise lead.graph.refuse("an array of another trace")
            nodes.append(x.read())
        elif type(x) in (bool, int, float):
            nodes.append(lead.graph.constant(x))
        else:
            raise lead.graph.refuse(f"a traced array with a {type(x).__name__}")
    return lead, tuple(nodes)


def apply(op: str, *values: Any) -> Tracer:
    """An operator of Python's."""
    lead, nodes = operands_of(*values)
    if all(x.host or (x.op == "constant" and x.weak) for x in nodes):
        return lead.new(lead.graph.on_host(op, nodes))
    if op == "matmul":
        product: Tracer = lead.graph.namespace.matmul(*values)
        return product
    return lead.new(lead.graph.elementwise(op, nodes))


def _binary(op: str, swapped: bool = False, inplace: bool = False) -> Any:
    def method(a: Tracer, b: Any) -> Any:
        result = apply(op, b, a) if swapped else apply(op, a, b)
        return a.assign(result) if inplace else result

    return method


def _refused(name: str) -> Any:
    def method(a: Tracer, *more: Any) -> Any:
        raise a.graph.refuse(f"{name} is not traced")

    return method


for _name, _op in OPERATORS.items():
    if _name in ("neg", "abs"):
        setattr(Tracer, f"__{_name}__", lambda a, op=_op: apply(op, a))
        continue
    setattr(Tracer, f"__{_name}__", _binary(_op))
    if _name not in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Tracer, f"__r{_name}__", _binary(_op, swapped=True))
        setattr(Tracer, f"__i{_name}__", _binary(_op, inplace=True))
for _name in ("floordiv", "mod", "divmod"):
    for _prefix in ("", "r", "i"):
        setattr(Tracer, f"__{_prefix}{_name}__", _refused(_name))
for _name in ("invert", "round", "floor", "ceil", "trunc"):
    setattr(Tracer, f"__{_name}__", _refused(_name))


def flattened(graph: Graph, nest: Any) -> tuple[Any, list[Node]]:
    """A nest of tracers and other values, as the nest with an Operand for each tracer, and the tracers' nodes."""
    nodes: list[Node] = []

    def form(x: Any) -> Any:
        if type(x) is dict:
            return {key: form(value) for key, value in x.items()}
        if type(x) in (list, tuple):
            return type(x)(map(form, x))
        if isinstance(x, Tracer):
            if x.graph is not graph:
                raise graph.refuse("an array of another trace")
            nodes.append(x.read())
        elif id(x) in graph.keys:
            nodes.append(graph.keys[id(x)])
        elif x is None or isinstance(x, (bool, int, float, str, np.ndarray, np.generic, np.dtype, type, slice)):
            return x
        else:
            raise graph.refuse(f"a nest that holds a {type(x).__name__}")
        return Operand(len(nodes) - 1)

    return form(nest), nodes


def filled(form: Any, values: Sequence[Any]) -> Any:
    """The nest that `flattened` took apart, with these values in the tracers' places."""
    return tree.map(lambda x: values[x.place] if isinstance(x, Operand) else x, form)


def view_int16(words: Tracer) -> Tracer:
    """int32 words as int16 ones, twice as many in a row."""
    if sys.byteorder == "big":
        raise words.graph.refuse("halves of words lie the other way round here")
    return words.view("view_int16", (words.shape[0], 2 * words.shape[1]), "int16")
