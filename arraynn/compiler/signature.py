"""The arguments that a program is made for: tracers that stand for them, and the source that takes them apart again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from .graph import Graph, Node, TraceError
from .namespace import Namespace
from .opaque import Exchange
from .trace import Storage, Tracer


class GuardFailed(Exception):
    """The arguments are not of the form that the program was made for. Nothing has been written."""


def is_numpy(x: Any) -> bool:
    """Whether x is a NumPy array, and none of a subclass of theirs."""
    return type(x) is np.ndarray


class Signature:
    """Nests of arrays, numbers, keys and None. tracers : the same nests, of tracers.

    guards : the source that binds them to names, and raises GuardFailed where the form differs; checks : by name, what
    must hold of an array; names : of inputs, by serial; hashed : by serial, the source that asks a key for its words.
    donated : places of the arguments that the function may write to; paths : of their trained leaves, by serial, each
    within its argument. is_array : tells the library's arrays.
    """

    def __init__(
        self,
        graph: Graph,
        arguments: Sequence[Any],
        donated: tuple[int, ...] = (),
        is_array: Callable[[Any], bool] = is_numpy,
    ) -> None:
        self.graph, self.is_array = graph, is_array
        graph.namespace = Namespace(graph)
        self.guards: list[str] = []
        self.checks: dict[str, str] = {}
        self.hashed: dict[int, str] = {}
        self.names: dict[int, str] = {}
        self.donated: set[int] = set()
        self.scope: dict[str, Any] = {"GuardFailed": GuardFailed}
        self.parameters = [f"x{i}" for i in range(len(arguments))]
        self.tracers = [
            self._take(nest, name, i in donated)
            for i, (nest, name) in enumerate(zip(arguments, self.parameters, strict=True))
        ]

        leaves = [pair for i in donated for pair in tree.items(tree.trained(self.tracers[i]))]
        self.paths = {x.node.serial: path for path, x in leaves if isinstance(x, Tracer) and x.node.op == "input"}

    def _take(self, nest: Any, name: str, donated: bool) -> Any:
        kind = type(nest)
        if kind is dict:
            if not all(type(key) in (str, int) for key in nest):
                raise TraceError("a nest whose keys are neither strings nor integers")
            self._guard(f"type({name}) is not dict or len({name}) != {len(nest)}")
            # where a key is missing, 0 is not None
            texts = {key: f"{name}.get({key!r}{', 0' if x is None else ''})" for key, x in nest.items()}
            return {key: self._take(x, self._bind(texts[key]), donated) for key, x in nest.items()}
        if kind in (list, tuple):
            self._guard(f"type({name}) is not {kind.__name__} or len({name}) != {len(nest)}")
            return kind([self._take(x, self._bind(f"{name}[{i}]"), donated) for i, x in enumerate(nest)])
        if nest is None or kind is bool:
            self._guard(f"{name} is not {nest}")
            return nest
        if kind is str:
            self._guard(f"{name} != {nest!r}")
            return nest
        if hasattr(nest, "words"):
            return self._key(nest, name)
        if kind in (int, float):
            self._guard(f"type({name}) is not {kind.__name__}")
            return Tracer(self.graph, self._scalar(name, kind))
        if not self.is_array(nest) or not nest.dtype.isnative:
            raise TraceError(f"an argument of type {kind.__name__}, or in another machine's bytes")
        array, dtype = f"{kind.__name__}_type", f"{nest.dtype.name}_dtype"
        self.scope |= {array: kind, dtype: nest.dtype}
        same = f"{name}.shape == {tuple(nest.shape)} and ({name}.dtype is {dtype} or {name}.dtype == {dtype})"
        self.checks[name] = f"if not (type({name}) is {array} and {same}): raise GuardFailed"
        node = self.graph.node("input", (), nest.shape, nest.dtype, name=name)
        self.names[node.serial] = name
        if donated:
            self.donated.add(node.serial)
        return Tracer(self.graph, node, Storage(writable=donated))

    def _scalar(self, name: str, kind: type) -> Node:
        node = self.graph.node("scalar", (), (), "int64" if kind is int else "float64", weak=True, host=True, name=name)
        self.names[node.serial] = name
        return node

    def _key(self, key: Any, name: str) -> Any:
        """A key of three int32 numbers, its words and its first row, which are asked for where the program needs them;
        and the key itself, which a call may be given."""
        kind = f"{type(key).__name__}_type"
        self.scope[kind] = type(key)
        self._guard(f"type({name}) is not {kind}")
        numbers = [self.graph.node("scalar", (), (), "int32", host=True, name=f"{name}_{i}") for i in range(3)]
        for i, number in enumerate(numbers):
            self.names[number.serial] = f"{name}_{i}"
            line = f"{name}_2 = {name}.row0" if i == 2 else f"{name}_0, {name}_1 = {name}.words"
            self.hashed[number.serial] = line
        k0, k1, row0 = (Tracer(self.graph, number) for number in numbers)
        traced = type(key).of((k0, k1), row0)
        whole = self.graph.node("input", (), (), "bool", name=name)
        self.names[whole.serial] = name
        self.graph.keys[id(traced)] = whole
        count = None if key.parts is None else key.parts.count
        self._guard(f"getattr({name}.parts, 'count', None) != {count}")
        if count is not None:
            traced.parts = Exchange(traced, count)
        return traced

    def _bind(self, expression: str) -> str:
        name = f"y{len(self.guards)}"
        self.guards.append(f"{name} = {expression}")
        return name

    def _guard(self, refused: str) -> None:
        self.guards.append(f"if {refused}: raise GuardFailed")
