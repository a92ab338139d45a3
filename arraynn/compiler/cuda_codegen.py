"""A program for CuPy: calls of the library's products and reductions, and a kernel for what is elementwise between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from .fusion import Step, kernels
from .graph import Node, TraceError, alias_base, depth_first
from .ops import CONSTANT
from .program import Program, Traced
from .render import CTYPES, Source, Statements, index_source
from .render import C as CUDA

_OF_ARRAYS = ("library", "reduction", "product", "view")


class Kernel:
    """One pass over memory. inputs, outputs : what it reads and writes, all outputs of one shape.

    operation : the C++ of an element, from a0, a1, … to o0, o1, …, as cupy.ElementwiseKernel takes it.
    """

    def __init__(self, step: Step) -> None:
        self.nodes, self.outputs = step.nodes, step.outputs
        if unknown := {x.dtype.name for x in self.nodes} - set(CTYPES):
            raise TraceError(f"a kernel of {unknown}")
        body = Statements(self.nodes, CUDA, "a", fills=False)
        last = [f"o{i} = {body.operand(node, node.dtype)};" for i, node in enumerate(self.outputs)]
        self.operation = "\n".join([*body.lines, *last])
        self.inputs = [x for x, _ in body.inputs]
        self.takes = ", ".join(f"{dtype.name} a{i}" for i, (_, dtype) in enumerate(body.inputs))
        self.makes = ", ".join(f"{node.dtype.name} o{i}" for i, node in enumerate(self.outputs))
        shapes = [x.shape for x in self.inputs if not x.host]
        if not shapes or np.broadcast_shapes(*shapes) != self.outputs[0].shape:
            raise TraceError(f"a kernel of {self.outputs[0].shape} from {shapes}")


def lower(
    traced: Traced, xp: Any, kernel: Callable[[Kernel], Any], update: Callable[..., Any], guard: str = "", **scope: Any
) -> Program:
    """The traced function's program on a library like CuPy. Raises TraceError where it has none.

    kernel(Kernel) -> what runs it, on arrays and numbers. update(rule, leaves, scalars) -> results runs an optimizer.
    guard : a line of source that looks at the arguments, with what it names in scope.
    """
    return _Codegen(traced, xp, kernel, update, guard, scope).program


class _Codegen(Source):
    def __init__(self, traced: Traced, xp: Any, kernel: Any, update: Any, guard: str, scope: dict[str, Any]) -> None:
        super().__init__(update=update, **traced.signature.scope, **scope)
        signature, self.xp = traced.signature, xp
        self.names = dict(signature.names)
        order = depth_first([*traced.outputs, *traced.graph.effects])
        finals = {node.serial for node in traced.outputs}
        by_calls = {x.serial for node in order if not node.elementwise for x in node.operands}
        if any(x.host for node in order if node.kind in _OF_ARRAYS for x in node.operands):
            raise TraceError("a number is taken for an array")
        for node in order:
            if node.host and node.serial not in self.names:
                self.names[node.serial] = self.host(node)
            elif node.op in CONSTANT:
                self._constant(node, finals | by_calls)
        steps = kernels(order, finals)
        last = _last_uses(steps, finals)
        for i, step in enumerate(steps):
            if step.fused:
                made = Kernel(step)
                self._kernel(i, made, kernel(made))
            else:
                self.names[step.nodes[0].serial] = self._call(step.nodes[0])
            gone = [self.names[serial] for serial in last.get(i, ()) if self.names[serial].startswith("r")]
            self.lines += [f"del {', '.join(gone)}"] if gone else []
        read = {x.serial for node in order for x in node.operands} | finals
        hashed = dict.fromkeys(line for serial, line in signature.hashed.items() if serial in read)
        texts, seen = [], set()
        for node in traced.outputs:
            shared = node.op in CONSTANT or (alias_base(node).serial in seen and not node.host)
            seen.add(alias_base(node).serial)
            name = self.names[node.serial]
            texts.append(f"asarray({name}, copy=True)" if shared and not node.weak else name)
        self.scope["asarray"] = xp.asarray
        body = [*signature.guards, *signature.checks.values(), guard, *hashed, *self.lines]
        body.append(f"return {self.nest(traced.form, texts)}")
        source, run = self.compiled("run", signature.parameters, body, "<program>")
        self.program = Program(run, source, traced.graph)

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


def _last_uses(steps: list[Step], finals: set[int]) -> dict[int, list[int]]:
    """By step, the serials of arrays that no later step reads. (A view keeps its array alive by itself.)"""
    last = {x.serial: i for i, step in enumerate(steps) for x in (*step.reads(), *step.outputs)}
    gone: dict[int, list[int]] = {}
    for serial, i in last.items():
        if serial not in finals:
            gone.setdefault(i, []).append(serial)
    return gone
