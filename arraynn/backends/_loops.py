"""Elementwise operations in a row as one compiled loop, where the extra `fast` is installed: one pass over memory.

Operations that Numba computes as NumPy does, to the bit: no exponentials. A loop is compiled when it is first called,
which takes a second or so, so only in steps that have large arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from ._lazy import Lazy, parts
from ._numba import available
from ._operations import COMPARISONS, VIEWS
from ._order import Order, number, unsigned_shift

LARGE = 65536  #: elements, above which a loop is compiled
TRUTHS = {*COMPARISONS, "bitwise_and", "bitwise_or", "bitwise_xor", "where", "astype"}  #: that a loop may compute
MANY = 16  #: operations in a row, from which on one is also compiled for fewer, where there are large ones in the step
DTYPES = {"float32", "float64", "int16", "int32", "bool"}
_INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "bitwise_and": "&", "bitwise_or": "|",
    "bitwise_xor": "^", "bitwise_left_shift": "<<", "less": "<", "less_equal": "<=", "greater": ">",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}  # fmt: skip
_TEXTS = {
    "negative": "-{0}", "abs": "abs({0})", "square": "{0} * {0}", "sqrt": "math.sqrt({0})", "astype": "{0}",
    "where": "({1} if {0} else {2})", "maximum": "({0} if {0} >= {1} or {0} != {0} else {1})",
    "minimum": "({0} if {0} <= {1} or {0} != {0} else {1})",
}  # fmt: skip


def fits(node: Lazy) -> bool:
    """Whether the node may be part of a loop."""
    if len(node.shape) not in (1, 2) or node.dtype.name not in DTYPES:
        return False
    args = unsigned_shift(node) or node.args
    if not unsigned_shift(node) and node.op not in _INFIX and node.op not in _TEXTS:
        return False
    if node.op == "divide" and node.dtype.kind != "f":
        return False
    if node.dtype.kind == "b" and node.op not in TRUTHS:  # a sum of two truth values is 2 in a loop
        return False
    if node.op == "astype" and args[0].dtype.kind == "f" and node.dtype.kind != "f":
        return False  # nan, and numbers out of range, become others than NumPy's
    if node.op == "bitwise_left_shift" and not (type(args[1]) is int and 0 <= args[1] < 8 * node.dtype.itemsize):
        return False
    return all(_spans(x.shape, node.shape) and x.dtype.name in DTYPES for x in parts(args) if not x.weak)


def _spans(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    rows, columns = whole if len(whole) == 2 else (1, *whole)
    return shape in (whole, (columns,), (1, columns), (rows, 1), ())


def chains(order: Order) -> dict[int, list[Lazy]]:
    """Operations in a row that one loop may compute, by the place of the last of them; what they read is read there."""
    if not available():
        return {}
    found: list[list[tuple[int, Lazy]]] = [[]]
    for place, node in enumerate(order.nodes):
        chain = found[-1]
        if id(node) not in order.finals and fits(node):
            if chain and node.shape != chain[0][1].shape:
                found.append([])
            found[-1].append((place, node))
        elif chain and not _aside(order, node, {id(other) for _, other in chain}):
            found.append([])
    found = [chain for chain in found if chain]
    if all(chain[0][1].size <= LARGE for chain in found):
        return {}
    pays = [chain for chain in found if len(chain) >= (2 if chain[0][1].size > LARGE else MANY)]
    by_end = {chain[-1][0]: [node for _, node in chain] for chain in pays}
    _repeat(order, by_end)
    for place, nodes in by_end.items():
        inside = {id(node) for node in nodes}
        read = [part for node in nodes for part in map(order.first, order.needs(node)) if id(part) not in inside]
        order.until |= {root: max(order.until[root], place) for root in map(order.root, read)}
    return by_end


def _repeat(order: Order, by_end: dict[int, list[Lazy]]) -> None:
    """Let a later loop compute anew what would take more memory to write and read than what it is made of: a mask's
    floats, which are a comparison of smaller numbers."""
    owner = {id(node): end for end, nodes in by_end.items() for node in nodes}
    readers: dict[int, set[int | None]] = {}  # the loops that read a node; None is no loop
    for node in order.nodes:
        for part in order.needs(node):
            readers.setdefault(id(order.first(part)), set()).add(owner.get(id(node)))
    for end, nodes in list(by_end.items()):
        for node in list(nodes):
            later = [other for other in readers.get(id(node), ()) if other != end]
            made, read = _made_of(order, node, {id(other) for other in nodes})
            small = sum(x.size * x.dtype.itemsize for x in read) * 2 <= node.size * node.dtype.itemsize
            if not small or any(x.dtype.kind == "f" for x in read):
                continue
            if later and all(other in by_end and by_end[other][0].shape == node.shape for other in later):
                by_end |= {other: [*made, *by_end[other]] for other in later if other is not None}
                order.until[id(node)] = end


def _made_of(order: Order, node: Lazy, inside: set[int]) -> tuple[list[Lazy], list[Lazy]]:
    """The nodes of a loop that a node needs, itself the last of them; and the arrays that these need from outside."""
    made: dict[int, Lazy] = {}
    read: dict[int, Lazy] = {}
    stack = [node]
    while stack:
        one = stack.pop()
        made[id(one)] = one
        for part in map(order.first, order.needs(one)):
            if id(part) in inside:
                stack.append(part)
            elif part.shape:
                read[id(part)] = part
    return sorted(made.values(), key=lambda one: one.serial), list(read.values())


def _aside(order: Order, node: Lazy, made: set[int]) -> bool:
    """Whether a node may be computed before what is made around it: it needs none of that, and writes to no array."""
    light = node.op in VIEWS or node.op in ("literal", "arange", "full", "flat", "input") or number(node)
    return light and not any(id(order.first(part)) in made for part in order.needs(node))


class Chain:
    """nodes, of one shape, each of which fits, as one loop.

    name(x, dtype) : in the source of the step, of an argument that comes from outside. arguments : those names, and the
    outputs' after them; source : of the loop.
    """

    def __init__(self, nodes: list[Lazy], outputs: Iterable[Lazy], first: Callable[[Lazy], Lazy]) -> None:
        self.inside = {id(node) for node in nodes}
        self.shape = nodes[0].shape
        self.inputs: list[tuple[Any, np.dtype]] = []
        self.names: dict[Any, str] = {}
        self.first = first
        lines = []
        for i, node in enumerate(nodes):
            text = self._text(node)
            lines.append(f"t{i} = {text}")
            self.names[id(node)] = f"t{i}"
        self.lines = lines
        self.results = [self.names[id(node)] for node in outputs]

    def _text(self, node: Lazy) -> str:
        kind = f"np.{node.dtype.name}_" if node.dtype.kind == "b" else f"np.{node.dtype.name}"
        if shifted := unsigned_shift(node):
            return f"{kind}(np.uint32({self._name(shifted[0], node.dtype)}) >> np.uint32({shifted[1]}))"
        args = list(node.args)
        kinds = [x.dtype if isinstance(x, Lazy) and not x.weak else 0.0 if isinstance(x, Lazy) else x for x in args]
        dtype = node.dtype if node.dtype.kind != "b" or node.op == "astype" else np.result_type(*kinds)
        names = [self._name(x, np.dtype(bool) if node.op == "where" and i == 0 else dtype) for i, x in enumerate(args)]
        text = f"({names[0]} {_INFIX[node.op]} {names[1]})" if node.op in _INFIX else _TEXTS[node.op].format(*names)
        return text if node.dtype.kind == "b" and node.op != "astype" else f"{kind}({text})"

    def _name(self, x: Any, dtype: np.dtype) -> str:
        """A number in the loop: made there, or read from an argument."""
        if isinstance(x, Lazy) and id(self.first(x)) in self.inside:
            return self.names[id(self.first(x))]
        key = id(self.first(x)) if isinstance(x, Lazy) else (repr(x), dtype)  # 0.0 is not -0.0
        if key not in self.names:
            self.names[key] = f"x{len(self.inputs)}"
            self.inputs.append((x, dtype))
        return self.names[key]

    def source(self, names: list[str], outputs: list[str]) -> tuple[str, list[str]]:
        """(source, arguments), where these are the names of the inputs, and of the outputs, in the step: an output
        that takes the place of an input is the same argument."""
        arguments = list(dict.fromkeys([*names, *outputs]))
        own = {name: f"a{i}" for i, name in enumerate(arguments)}
        letters, columns = "ij"[-len(self.shape) :], self.shape[-1]
        whole = f"[{', '.join(letters)}]"
        index = {(columns,): "[j]", (1, columns): "[0, j]", (self.shape[0], 1): "[i, 0]", (): "[()]", self.shape: whole}
        before: list[str] = []
        inner: list[str] = []
        for i, ((x, _), name) in enumerate(zip(self.inputs, names, strict=True)):
            shape = x.shape if isinstance(x, Lazy) and x.op != "literal" else ()
            (inner if shape else before).append(f"x{i} = {own[name]}{index[shape]}")
        ends = [f"{own[name]}{whole} = {result}" for name, result in zip(outputs, self.results, strict=True)]
        loops = [f"for {k} in range({own[outputs[0]]}.shape[{axis}]):" for axis, k in enumerate(letters)]
        lines = [*before, *("    " * depth + loop for depth, loop in enumerate(loops))]
        lines += ["    " * len(loops) + line for line in [*inner, *self.lines, *ends]]
        return f"def loop({', '.join(own.values())}):\n" + "".join(f"    {line}\n" for line in lines), arguments


@cache
def compiled(source: str) -> Callable[..., None]:
    """The loop, without Python's lock; a division by 0 is inf or nan, and nothing is reordered, as NumPy has it."""
    import math

    import numba

    scope: dict[str, Any] = {"np": np, "math": math}
    exec(source, scope)
    loop: Callable[..., None] = numba.njit(nogil=True, error_model="numpy")(scope["loop"])
    return loop
