"""The CUDA renderer: the library's products and reductions, and between them one kernel for all that is elementwise.

Each kernel writes as much as it can; what is cheap to compute again in another one is, instead of being written to
memory and read. Updates, which consume, come last. Opaque calls keep their order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from .graph import Node, TraceError, depth_first, reachable
from .ops import CONSTANT
from .program import Program, Traced
from .render import CTYPES, Source, Statements, index_source
from .render import C as CUDA


class Kernel:
    """One pass over memory. inputs, outputs : what it reads and writes, all outputs of one shape.

    operation : the C++ of an element, from a0, a1, … to o0, o1, …, as cupy.ElementwiseKernel takes it.
    """

    def __init__(self, outputs: list[Node], made: set[int]) -> None:
        self.outputs = outputs

        def inside(node: Node) -> list[Node]:
            return [x for x in node.operands if x.elementwise and x.serial not in made]

        self.nodes = reachable(outputs, inside)
        if unknown := {x.dtype.name for x in self.nodes} - set(CTYPES):
            raise TraceError(f"a kernel of {unknown}")
        body = Statements(self.nodes, CUDA, "a", fills=False)
        last = [f"o{i} = {body.operand(node, node.dtype)};" for i, node in enumerate(outputs)]
        self.operation = "\n".join([*body.lines, *last])
        self.inputs = [x for x, _ in body.inputs]
        self.takes = ", ".join(f"{dtype.name} a{i}" for i, (_, dtype) in enumerate(body.inputs))
        self.makes = ", ".join(f"{node.dtype.name} o{i}" for i, node in enumerate(outputs))
        shapes = [x.shape for x in self.inputs if not x.host]
        if not shapes or np.broadcast_shapes(*shapes) != outputs[0].shape:
            raise TraceError(f"a kernel of {outputs[0].shape} from {shapes}")


def lower(
    traced: Traced, xp: Any, kernel: Callable[[Kernel], Any], update: Callable[..., Any], guard: str = "", **scope: Any
) -> Program:
    """The traced function's program on a library like CuPy. Raises TraceError where it has none.

    kernel(Kernel) -> what runs it, on arrays and numbers. update(rule, leaves, scalars) -> results runs an optimizer.
    guard : a line of source that looks at the arguments, with what it names in scope.
    """
    schedule = Schedule(traced)
    return _Codegen(traced, schedule, xp, kernel, update, guard, scope).program


class Schedule:
    """steps : what runs, in order: kernels, and nodes that are calls of the library."""

    def __init__(self, traced: Traced) -> None:
        self.outputs = {node.serial for node in traced.outputs}
        self.nodes = depth_first([*traced.outputs, *traced.graph.effects])
        self.wanted = self.outputs | {x.serial for node in self.nodes if not node.elementwise for x in node.operands}
        self.made = {node.serial for node in self.nodes if node.kind == "source" or node.host}
        self.steps: list[Kernel | Node] = []
        if any(x.host for node in self.nodes if node.kind in ("library", "reduction", "product", "view")
               for x in node.operands):  # fmt: skip
            raise TraceError("a number is taken for an array")
        late = self._late()
        self._schedule([node for node in self.nodes if node.serial not in late])
        self._schedule([node for node in self.nodes if node.serial in late])

    def _late(self) -> set[int]:
        """Updates, what needs them, and opaque calls behind them."""
        late: set[int] = set()
        for node in sorted(self.nodes, key=lambda node: node.serial):
            opaque = node.kind == "opaque"
            if node.op == "update" or (opaque and late) or any(x.serial in late for x in node.operands):
                late.add(node.serial)
        return late

    def _schedule(self, nodes: list[Node]) -> None:
        calls = [node for node in nodes if not node.elementwise and node.serial not in self.made]
        roots = [node for node in nodes if node.elementwise and node.serial in self.wanted]
        while calls or roots:
            ready = self._ready(calls)
            self.steps += ready
            calls = [node for node in calls if node.serial not in self.made]
            if not ready:
                able = [node for node in roots if self._able(node)]
                if not able:
                    raise TraceError("nothing can be computed next")
                group = [node for node in able if node.shape == able[0].shape]
                self.steps.append(Kernel(group, self.made))
                self.made |= {node.serial for node in group}
                roots = [node for node in roots if node.serial not in self.made]

    def _ready(self, calls: list[Node]) -> list[Node]:
        """The calls whose operands are there, opaque ones in their order."""
        first = min((node.serial for node in calls if node.kind == "opaque"), default=0)
        there = [node for node in calls if all(x.serial in self.made for x in node.operands)]
        ready = [node for node in there if node.kind != "opaque" or node.serial == first]
        self.made |= {node.serial for node in ready}
        return ready

    def _able(self, node: Node) -> bool:
        """Whether a kernel could compute the node now."""
        stack, seen = [node], {node.serial}
        while stack:
            for x in stack.pop().operands:
                if x.serial not in self.made and x.serial not in seen:
                    if not x.elementwise:
                        return False
                    seen.add(x.serial)
                    stack.append(x)
        return True

    @property
    def kernels(self) -> list[Kernel]:
        return [step for step in self.steps if isinstance(step, Kernel)]


class _Codegen(Source):
    def __init__(
        self, traced: Traced, schedule: Schedule, xp: Any, kernel: Any, update: Any, guard: str, scope: dict[str, Any]
    ) -> None:
        super().__init__(update=update, **traced.signature.scope, **scope)
        signature, self.xp = traced.signature, xp
        self.names = dict(signature.names)
        read = {x.serial for node in schedule.nodes for x in node.operands} | schedule.outputs
        for node in schedule.nodes:
            if node.host and node.serial not in self.names:
                self.names[node.serial] = self.host(node)
            elif node.op in CONSTANT:
                self._constant(node, schedule.wanted)
        last = self._last_uses(schedule)
        for i, step in enumerate(schedule.steps):
            if isinstance(step, Kernel):
                self._kernel(i, step, kernel(step))
            else:
                self.names[step.serial] = self._call(step)
            gone = [self.names[serial] for serial in last.get(i, ()) if self.names[serial].startswith("r")]
            self.lines += [f"del {', '.join(gone)}"] if gone else []
        hashed = dict.fromkeys(line for serial, line in signature.hashed.items() if serial in read)
        texts, seen = [], set()
        for node in traced.outputs:
            shared = node.op in CONSTANT or (self._base(node) in seen and not node.host)
            seen.add(self._base(node))
            name = self.names[node.serial]
            texts.append(f"asarray({name}, copy=True)" if shared and not node.weak else name)
        self.scope["asarray"] = xp.asarray
        body = [*signature.guards, *signature.checks.values(), guard, *hashed, *self.lines]
        body.append(f"return {self.nest(traced.form, texts)}")
        source, run = self.compiled("run", signature.parameters, body, "<program>")
        self.program = Program(run, source, traced.graph)

    def _base(self, node: Node) -> int:
        while node.kind == "view":
            node = node.operands[0]
        return node.serial

    def _last_uses(self, schedule: Schedule) -> dict[int, list[int]]:
        """By step, the serials of what nobody needs behind it. (A view keeps its array alive by itself.)"""
        last: dict[int, int] = {}
        for i, step in enumerate(schedule.steps):
            reads = step.inputs if isinstance(step, Kernel) else step.operands
            makes = step.outputs if isinstance(step, Kernel) else [step]
            last |= {x.serial: i for x in (*reads, *makes)}
        gone: dict[int, list[int]] = {}
        for serial, i in last.items():
            if serial not in schedule.outputs:
                gone.setdefault(i, []).append(serial)
        return gone

    def _constant(self, node: Node, wanted: set[int]) -> None:
        """Arrays that are made once, on the current device."""
        if node.op == "constant" and (node.serial not in wanted or node.weak):
            self.names[node.serial] = self.object(node.value)
            return
        if node.op == "arange":
            made = self.xp.arange(*node.attributes["args"], dtype=node.dtype)
        else:
            value = node.value.item() if node.op == "constant" else node.value
            made = self.xp.full(node.shape, value, dtype=node.dtype)
        self.names[node.serial] = f"c{node.serial}"
        self.scope[f"c{node.serial}"] = made

    def _kernel(self, i: int, step: Kernel, run: Any) -> None:
        self.scope[f"kernel{i}"] = run
        for node in step.outputs:
            self.names[node.serial] = f"r{node.serial}"
        made = ", ".join(f"r{node.serial}" for node in step.outputs)
        self.line(made, f"kernel{i}({', '.join(map(self.name, step.inputs))})")

    def _call(self, node: Node) -> str:
        own, op = f"r{node.serial}", node.op
        texts = [self.name(x) for x in node.operands]
        if op in ("call", "part"):
            return self.called(node)
        if op == "kernel":
            return self.kernel(node)
        if op == "update":
            leaves, scalars = (self.nest(node.attributes[name], texts) for name in ("leaves", "scalars"))
            return self.line(f"u{node.serial}", f"update({self.object(node.attributes['rule'])}, {leaves}, {scalars})")
        if op == "result":
            name = node.attributes["name"]
            return f"{texts[0]}[{node.attributes['leaf']}][{0 if name is None else f'1][{name!r}'}]"
        if op == "getitem":
            return self.line(own, f"{texts[0]}[{index_source(node.attributes['index'])}]")
        if op == "view_int16":
            return self.line(own, f"{texts[0]}.view('int16')")
        if op == "gather":
            raise TraceError("an index of integers from the host")
        if any(isinstance(x, np.ndarray) for x in tree.leaves(node.attributes.get("args"))):
            raise TraceError(f"{op} of an array of the host's")
        self.scope[op] = getattr(self.xp, op)
        if op in ("broadcast_to", "reshape"):
            return self.line(own, f"{op}({texts[0]}, {node.shape})")
        if op == "permute_dims":
            return self.line(own, f"permute_dims({texts[0]}, {node.attributes['axes']})")
        if op in ("matmul", "matrix_transpose"):
            return self.line(own, f"{op}({', '.join(texts)})")
        return self.line(own, self.library(node))
