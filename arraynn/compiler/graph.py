"""The graph: immutable nodes, interned, so that equal expressions are one node and identity is equality."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from . import host, tuning
from .ops import OPS, Op


class TraceError(TypeError):
    """A function does something whose compiled meaning is not certain, for the reason given. It runs uncompiled."""


@dataclass(frozen=True)
class Operand:
    """Stands in a nest of arguments, or of results, for array number `place` of those that go with it."""

    place: int


class Node:
    """op(*operands, **attributes): an array of this shape and dtype, or, without operands, where it comes from.

    serial : its place in the order in which nodes were made, which is the order in which the function asked for them.
    host : a Python number, known when the program runs and computed by Python. weak : a Python number, which takes the
    dtype of the array that it meets.
    """

    __slots__ = ("attributes", "dtype", "host", "op", "operands", "serial", "shape", "weak")

    op: str
    operands: tuple[Node, ...]
    attributes: dict[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype
    weak: bool
    host: bool
    serial: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def row(self) -> Op:
        return OPS[self.op]

    @property
    def kind(self) -> str:
        return OPS[self.op].kind

    @property
    def elementwise(self) -> bool:
        return OPS[self.op].kind == "elementwise" and not self.host

    @property
    def value(self) -> Any:
        """Of a constant."""
        return self.attributes["value"]

    def like(self) -> np.ndarray:
        """A NumPy array of this shape and dtype, in hardly any memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def __repr__(self) -> str:
        more = "".join(f", {key}={str(value)[:40]}" for key, value in self.attributes.items())
        operands = ", ".join(f"%{x.serial}" for x in self.operands)
        return f"%{self.serial} = {self.op}({operands}{more}): {self.dtype.name}{list(self.shape)}"


class Graph:
    """The nodes of one trace. effects : the opaque nodes, in order: none is merged with another, dropped or moved.

    refusal : why the function cannot be compiled, once something has said so, even where the function went on.
    unrolled : the most steps of a recurrence that are traced one by one.
    """

    def __init__(self) -> None:
        self.nodes: dict[Any, Node] = {}
        self.effects: list[Node] = []
        self.refusal = ""
        self.namespace: Any = None  # of its tracers
        self.unrolled = tuning.UNROLLED
        self.keys: dict[int, Node] = {}  # of the keys among the arguments, by the id of what stands for each
        self._count = 0

    def refuse(self, reason: str) -> TraceError:
        self.refusal = self.refusal or reason
        return TraceError(reason)

    def node(
        self,
        op: str,
        operands: Iterable[Node] = (),
        shape: Iterable[int] = (),
        dtype: Any = "bool",
        *,
        weak: bool = False,
        host: bool = False,
        **attributes: Any,
    ) -> Node:
        """The node of this description, made where there is none yet."""
        operands, shape, dtype = tuple(operands), tuple(shape), np.dtype(dtype)
        effect = OPS[op].kind == "opaque"
        place = self._count if effect else -1
        key = op, tuple(map(id, operands)), shape, dtype, weak, place, frozen(attributes)
        node = self.nodes.get(key)
        if node is None:
            node = object.__new__(Node)
            node.op, node.operands, node.attributes = op, operands, attributes
            node.shape, node.dtype, node.weak, node.host = shape, dtype, weak, host
            node.serial = self._count
            self._count += 1
            self.nodes[key] = node
            if effect:
                self.effects.append(node)
        return node

    def constant(self, value: Any) -> Node:
        """A Python number, which is weak, or a NumPy scalar, which has a dtype of its own."""
        if type(value) in (bool, int, float):
            return self.node(
                "constant", (), (), type(value) if type(value) is not int else "int64", weak=True, value=value
            )
        return self.node("constant", (), (), value.dtype, value=value)

    def elementwise(self, op: str, operands: Iterable[Node]) -> Node:
        """An elementwise operation: shapes broadcast, the dtype is NumPy's for one element of each operand."""
        operands = tuple(operands)
        arrays = [x for x in operands if not x.weak]
        if op == "pow" and not _plain_power(*operands):
            raise self.refuse("a power of which NumPy may choose the function, or the dtype, by the values")
        try:
            shapes = {x.shape for x in operands} - {()}
            shape = np.broadcast_shapes(*shapes) if len(shapes) != 1 else shapes.pop()
            dtype = _promoted(op, *(example(x) if x.weak else x.dtype for x in operands))
        except Exception as error:
            raise self.refuse(f"{op} of {[(x.shape, x.dtype.name) for x in operands]}: {error}") from error
        if not arrays:
            raise self.refuse(f"{op} of Python numbers alone, whose dtype would be the library's to choose")
        return self.node(op, operands, shape, dtype)

    def on_host(self, op: str, operands: tuple[Node, ...]) -> Node:
        """An operation on Python numbers, which Python computes when the program runs."""
        text = OPS[op].host
        if not text or (op == "pow" and not _real_power(*operands)):
            raise self.refuse(f"{op} of numbers that are known only when the step runs")
        if op.startswith("bitwise") and any(x.dtype.kind == "f" for x in operands):
            raise self.refuse(f"{op} of floats")
        floats = op == "divide" or any(x.dtype.kind == "f" for x in operands)
        weak = all(x.weak for x in operands)
        if not weak and floats:
            raise self.refuse("an int32 number of a key in arithmetic with floats")
        kind = "float64" if floats else "int64" if weak else "int32"
        return self.node(op, operands, (), kind, weak=weak, host=True)


@lru_cache(maxsize=4096, typed=True)  # NumPy tells 1, 1.0 and True apart
def _promoted(op: str, *operands: Any) -> np.dtype:
    """The dtype of NumPy's op on arrays of these dtypes and on Python numbers."""
    arguments = [np.ones((), x) if isinstance(x, np.dtype) else x for x in operands]
    with np.errstate(all="ignore"):
        dtype: np.dtype = getattr(host, op)(*arguments).dtype
    return dtype


def _plain_power(x: Node, y: Node) -> bool:
    """Whether x ** y is one function of NumPy's whatever the values: of float arrays that have axes, and numbers."""
    number = y.op == "constant" and y.weak and type(y.value) is not bool
    arrays = [x] if number else [x, y]
    return all(a.dtype.kind == "f" and a.shape and not a.host for a in arrays)


def _real_power(x: Node, y: Node) -> bool:
    """Whether Python's x ** y is of one type whatever the numbers are: neither a fraction of ints, nor complex."""
    if y.op == "constant" and type(y.value) is int:
        return y.value >= 0 or x.dtype.kind == "f"
    return x.op == "constant" and type(x.value) is float and x.value > 0


def example(node: Node) -> Any:
    """An element of the node's kind: what NumPy's promotion is asked on."""
    if not node.weak:
        return np.ones((), node.dtype)
    if node.op == "constant":
        return node.value
    return 1 if node.dtype.kind == "i" else 1.0


def compute_dtype(node: Node) -> np.dtype:
    """The dtype that an elementwise operation reads its operands in."""
    if node.op == "astype":
        return node.operands[0].dtype
    if node.dtype.kind != "b":
        return node.dtype
    try:
        return np.result_type(*(example(x) if x.weak else x.dtype for x in node.operands))
    except OverflowError as error:
        raise TraceError(str(error)) from error


def frozen(value: Any) -> Any:
    """A key for an attribute. Numbers differ by type and bits: 0.0, -0.0, 0 and False are four keys, and nan is one.
    What is not a plain value is known by its identity."""
    kind = type(value)
    if kind is float:
        return kind, value.hex()
    if kind in (int, bool, str) or value is None or value is Ellipsis:
        return kind, value
    if kind is slice:
        return kind, frozen((value.start, value.stop, value.step))
    if kind in (tuple, list):
        return kind, tuple(map(frozen, value))
    if kind is dict:
        return kind, tuple((key, frozen(x)) for key, x in value.items())
    if kind is Operand:
        return kind, value.place
    if isinstance(value, np.dtype):
        return "dtype", value.str
    if isinstance(value, np.generic):
        return value.dtype.str, value.tobytes()
    return kind, id(value)  # the node holds the value, so its id stays its own


def alias_base(node: Node) -> Node:
    """The node whose memory a view looks at; the node itself where it is none."""
    while node.kind == "view":
        node = node.operands[0]
    return node


def depth_first(roots: Iterable[Node]) -> list[Node]:
    """All nodes that the roots need, each soon after what it needs; without recursion, as graphs are deep."""
    seen: set[int] = set()
    order: list[Node] = []
    stack = [(node, False) for node in reversed(list(roots))]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node.serial not in seen:
            seen.add(node.serial)
            stack.append((node, True))
            stack += [(x, False) for x in reversed(node.operands) if x.serial not in seen]
    return order


def reachable(
    roots: Iterable[Node], operands: Callable[[Node], Iterable[Node]] = lambda node: node.operands
) -> list[Node]:
    """All nodes that the roots need, in the order in which the function asked for them."""
    seen: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.serial not in seen:
            seen[node.serial] = node
            stack += operands(node)
    return [seen[serial] for serial in sorted(seen)]
