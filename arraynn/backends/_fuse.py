"""From a step that was written down (`_lazy`) to a program: the library's products and reductions, and between them one
kernel for whatever is elementwise: bias and activation, a mask and its product, a loss's gradient.

There is no second formula: the kernels are made of what the blocks themselves computed on lazy arrays. What is cheap to
compute again in another kernel is, instead of being written to memory and read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ._lazy import Lazy, parts

CTYPES = {"bool": "bool", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long"}
UNSIGNED = {"uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned", "uint64": "unsigned long long"}
CTYPES |= {**UNSIGNED, "float32": "float", "float64": "double"}
SOURCES = {"input", "number", "literal", "arange", "full"}
CONSTANT = {"literal", "arange", "full"}  # made once, and never written to

_INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "bitwise_and": "&", "bitwise_or": "|",
    "bitwise_xor": "^", "bitwise_left_shift": "<<", "bitwise_right_shift": ">>", "less": "<", "less_equal": "<=",
    "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=", "logical_and": "&&", "logical_or": "||",
}  # fmt: skip
_WRAPPING = {"add", "subtract", "multiply", "bitwise_left_shift"}  # of signed integers; C++ leaves it undefined
_TEXTS = {
    "negative": "-{0}", "logical_not": "!{0}", "square": "{0} * {0}", "where": "{0} ? {1} : {2}", "astype": "{0}",
    "maximum": "{0} >= {1} || {0} != {0} ? {0} : {1}", "minimum": "{0} <= {1} || {0} != {0} ? {0} : {1}",
    "sign": "{0} > 0 ? 1 : {0} < 0 ? -1 : {0} + 0", "isnan": "{0} != {0}", "isfinite": "{0} - {0} == 0",
    "abs": "{0} < 0 ? -{0} : {0}",
}  # fmt: skip


class Kernel:
    """One pass over memory. inputs, outputs : what it reads and writes, all outputs of one shape.

    operation : the C++ of an element, from a0, a1, … to o0, o1, …, as cupy.ElementwiseKernel takes it.
    """

    def __init__(self, outputs: list[Lazy], made: set[int]) -> None:
        self.outputs, self.made = outputs, made
        self.inputs: list[Lazy] = []
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        last = [f"o{i} = {self._name(node)};" for i, node in enumerate(outputs)]
        self.operation = "\n".join([*self.lines, *last])
        self.takes = ", ".join(f"{node.dtype.name} a{i}" for i, node in enumerate(self.inputs))
        self.makes = ", ".join(f"{node.dtype.name} o{i}" for i, node in enumerate(outputs))
        shapes = [node.shape for node in self.inputs if node.op != "number"]
        if not shapes or np.broadcast_shapes(*shapes) != outputs[0].shape:
            raise TypeError(f"a kernel of {outputs[0].shape} from {shapes}")

    def _name(self, node: Lazy) -> str:
        if id(node) not in self.names:
            if node.op == "literal":
                name = _literal(node.args[0], node.dtype)
            elif node.elementwise and id(node) not in self.made:
                text = self._text(node)
                name = f"t{len(self.lines)}"
                self.lines.append(f"const {CTYPES[node.dtype.name]} {name} = {text};")
            else:
                name = f"a{len(self.inputs)}"
                self.inputs.append(node)
            self.names[id(node)] = name
        return self.names[id(node)]

    def _text(self, node: Lazy) -> str:
        args, dtype = list(node.args), node.dtype
        if node.op == "where":
            return _TEXTS["where"].format(self._as(args[0], np.dtype(bool)), *(self._as(a, dtype) for a in args[1:]))
        if node.op == "astype":
            return self._as(args[0], dtype)
        if dtype.kind == "b":
            dtype = np.result_type(*(a.dtype if isinstance(a, Lazy) else a for a in args))
        if node.op == "pow":
            if dtype.kind != "f" and (isinstance(args[1], Lazy) or args[1] != 2):
                raise TypeError(f"a power of {dtype}: C++ computes it in double, and cuts it off")
            if args[1] != 2 or isinstance(args[1], Lazy):
                return f"pow({self._as(args[0], dtype)}, {self._as(args[1], dtype)})"
            args, op = args[:1], "square"
        else:
            op = node.op
        names = [self._as(a, dtype) for a in args]
        if op in _WRAPPING and dtype.kind == "i":
            unsigned = UNSIGNED[f"u{dtype.name}"]
            return f"({CTYPES[dtype.name]})(({unsigned}){names[0]} {_INFIX[op]} ({unsigned}){names[1]})"
        if op in _INFIX:
            return f"{names[0]} {_INFIX[op]} {names[1]}"
        if op == "abs" and dtype.kind == "f":
            return f"fabs({names[0]})"
        return _TEXTS[op].format(*names) if op in _TEXTS else f"{op}({names[0]})"

    def _as(self, value: Any, dtype: np.dtype) -> str:
        if not isinstance(value, Lazy):
            return _literal(value, dtype)
        name = self._name(value)
        return name if value.dtype == dtype else f"({CTYPES[dtype.name]}){name}"


def _literal(value: Any, dtype: np.dtype) -> str:
    kind = CTYPES[dtype.name]
    if dtype.kind != "f":
        whole = int(value)
        return f"({kind}){whole}" if abs(whole) < 2**31 else f"({kind}){whole}LL"
    number = float(dtype.type(value))
    text = repr(number) if math.isfinite(number) else "(0.0 / 0.0)" if math.isnan(number) else "(1.0 / 0.0)"
    return f"({kind})({'-' if number == -math.inf else ''}{text})"


class Program:
    """A step, in an order in which each kernel writes as much as it can, and updates, which consume, come last.

    outputs : the step's result, a nest with lazy arrays. make : Kernel -> what runs it, on arrays and numbers.
    """

    def __init__(self, outputs: Any, make: Callable[[Kernel], Any]) -> None:
        self.outputs, self.make = outputs, make
        self.nodes: list[Lazy] = []
        self._sort([leaf for leaf in tree.leaves(outputs) if isinstance(leaf, Lazy)])
        wanted = [x for node in self.nodes if not node.elementwise for x in parts(node.args)]
        wanted += list(parts(tree.leaves(outputs)))
        self.wanted = {id(node) for node in wanted}
        if any(node.op == "number" for node in wanted):
            raise TypeError("a number of the step is taken for an array")
        self.constants = [node for node in self.nodes if node.op in CONSTANT]
        self.made = {id(node) for node in self.nodes if node.op in SOURCES}
        self.steps: list[tuple[Any, list[Lazy], list[Lazy]]] = []  # what runs, what it takes, what it makes
        self.kernels: list[Kernel] = []
        self.late: set[int] = set()
        for node in self.nodes:
            if node.op == "update" or any(id(part) in self.late for part in parts(node.args)):
                self.late.add(id(node))
        self._schedule([node for node in self.nodes if id(node) not in self.late])
        self._schedule([node for node in self.nodes if id(node) in self.late])
        self._free()

    def _sort(self, roots: list[Lazy]) -> None:
        """All that the roots need, each after what it needs; without recursion, as steps are deep."""
        seen: set[int] = set()
        stack = [(node, False) for node in reversed(roots)]
        while stack:
            node, done = stack.pop()
            if done:
                self.nodes.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack += [(part, False) for part in reversed(list(parts(node.args))) if id(part) not in seen]

    def _schedule(self, nodes: list[Lazy]) -> None:
        calls = [node for node in nodes if not node.elementwise and id(node) not in self.made]
        roots = [node for node in nodes if node.elementwise and id(node) in self.wanted]
        while calls or roots:
            ready = [node for node in calls if all(id(part) in self.made for part in parts(node.args))]
            for node in ready:
                self.steps.append((node, list(parts(node.args)), [node]))
                self.made.add(id(node))
            calls = [node for node in calls if id(node) not in self.made]
            if not ready:
                able = [node for node in roots if self._able(node)]
                group = [node for node in able if node.shape == able[0].shape]
                kernel = Kernel(group, self.made)
                self.kernels.append(kernel)
                self.steps.append((self.make(kernel), kernel.inputs, group))
                self.made |= {id(node) for node in group}
                kernel.made = set()
                roots = [node for node in roots if id(node) not in self.made]

    def _able(self, node: Lazy) -> bool:
        """Whether a kernel could compute the node now."""
        stack, seen = [node], {id(node)}
        while stack:
            for part in parts(stack.pop().args):
                if id(part) not in self.made and id(part) not in seen:
                    if not part.elementwise:
                        return False
                    seen.add(id(part))
                    stack.append(part)
        return True

    def _free(self) -> None:
        """Note behind each step what nobody needs any more."""
        kept = {id(node) for node in [*parts(tree.leaves(self.outputs)), *self.constants]}
        self.dead: list[list[int]] = [[] for _ in self.steps]
        for place, (_, takes, makes) in reversed(list(enumerate(self.steps))):
            for node in (*takes, *makes):
                if id(node) not in kept:
                    kept.add(id(node))
                    self.dead[place].append(id(node))

    def prepare(self, xp: Any) -> None:
        """Make the constants, on the current device."""
        self.values = {}
        for node in self.constants:
            if node.op == "arange":
                self.values[id(node)] = xp.arange(*node.args, dtype=node.dtype)
            elif node.op == "full" or id(node) in self.wanted:
                self.values[id(node)] = xp.full(node.shape, node.args[-1], dtype=node.dtype)

    def __call__(self, xp: Any, arguments: list[Any], update: Callable[..., Any]) -> Any:
        """The step's result for these arguments, flat. update(node, arrays, arguments) -> results runs an optimizer."""
        values = dict(self.values)
        values |= {id(node): arguments[node.args[0]] for node in self.nodes if node.op in ("input", "number")}

        def value(x: Any) -> Any:
            if isinstance(x, (tuple, list)):
                return type(x)(map(value, x))
            return values[id(x)] if isinstance(x, Lazy) else x

        for (what, takes, makes), dead in zip(self.steps, self.dead, strict=True):
            node = makes[0]
            if not isinstance(what, Lazy):
                made = what(*[values[id(part)] for part in takes])
                values.update(zip(map(id, makes), made if len(makes) > 1 else (made,), strict=True))
            elif what.op == "update":
                values[id(node)] = update(what, value(what.args), arguments)
            elif what.op == "result":
                whole, i, name = what.args
                p, slots = values[id(whole)][i]
                values[id(node)] = slots[name] if name else p
            elif what.op == "getitem":
                values[id(node)] = values[id(what.args[0])][what.args[1]]
            elif what.op == "halves":
                values[id(node)] = values[id(what.args[0])].view("int16")
            else:
                values[id(node)] = getattr(xp, what.op)(*value(what.args), **what.kwargs)
            for gone in dead:
                values.pop(gone, None)
        return tree.map(
            lambda x: (
                (xp.asarray(values[id(x)], copy=True) if x.op in CONSTANT else values[id(x)])
                if isinstance(x, Lazy)
                else x
            ),
            self.outputs,
        )
