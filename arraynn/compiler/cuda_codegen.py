"""A program for CuPy: calls of the library's products and reductions, and a kernel for what is elementwise between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from .. import tree
from .cuda_launch import BlockKernel
from .fusion import Step, kernels
from .graph import Node, Operand, TraceError, alias_base, depth_first
from .launches import Launch, merged
from .ops import CONSTANT
from .program import Program, Traced
from .render import CTYPES, Source, Statements, index_source
from .render import C as CUDA

_OF_ARRAYS = ("library", "reduction", "product", "view")


class Kernel:
    """One pass over memory. inputs, outputs : what it reads and writes, all outputs of one shape. dtypes : of the
    inputs, as it reads them.

    operation : the C++ of an element, from a0, a1, … to o0, o1, …, as cupy.ElementwiseKernel takes it.
    """

    def __init__(self, step: Step) -> None:
        self.nodes, self.outputs = step.nodes, step.outputs
        if unknown := {x.dtype.name for x in self.nodes} - set(CTYPES):
            raise TraceError(f"a kernel of {unknown}")
        body = Statements(self.nodes, CUDA, "a", fills=False)
        self.dtypes = [dtype for _, dtype in body.inputs]
        last = [f"o{i} = {body.operand(node, node.dtype)};" for i, node in enumerate(self.outputs)]
        self.operation = "\n".join([*body.lines, *last])
        self.inputs = [x for x, _ in body.inputs]
        self.takes = ", ".join(f"{dtype.name} a{i}" for i, (_, dtype) in enumerate(body.inputs))
        self.makes = ", ".join(f"{node.dtype.name} o{i}" for i, node in enumerate(self.outputs))
        shapes = [x.shape for x in self.inputs if not x.host]
        if not shapes or np.broadcast_shapes(*shapes) != self.outputs[0].shape:
            raise TraceError(f"a kernel of {self.outputs[0].shape} from {shapes}")


@dataclass(frozen=True, kw_only=True)
class DeviceProgram(Program):
    """A program in three parts: what the host computes, what the device does, and the nest that is returned.

    prepare(*arguments) -> arrays, numbers, scalars, rest. GuardFailed where the arguments are of another form.
    device(arrays, numbers, scalars) -> the arrays of the results. Each number may be a Python number, or a 0-d array of
    its dtype on the device. scalars : those of each update.
    nest(results, rest) -> what the function returns. donated : places of arrays that may be written to.
    made : bytes of all arrays that the device makes. opaque : whether it calls code that the compiler does not see.
    """

    prepare: Callable[..., tuple[Any, ...]]
    device: Callable[[Any, Any, Any], tuple[Any, ...]]
    nest: Callable[[Any, Any], Any]
    dtypes: tuple[np.dtype, ...]
    donated: tuple[int, ...]
    made: int
    opaque: bool

    def rebound(self, **functions: Any) -> Callable[..., tuple[Any, ...]]:
        """`device`, with these functions in the place of those of the same names."""
        assert isinstance(self.device, FunctionType)
        return FunctionType(self.device.__code__, {**self.device.__globals__, **functions})


def lower(
    traced: Traced,
    xp: Any,
    kernel: Callable[[Kernel | BlockKernel], Any],
    update: Callable[..., Any],
    guard: str = "",
    **scope: Any,
) -> DeviceProgram:
    """The traced function's program on a library like CuPy. Raises TraceError where it has none.

    kernel(Kernel or BlockKernel) -> what runs it, on arrays and numbers. update(rule, leaves, scalars) -> results runs
    an optimizer.
    guard : a line of source that looks at the arguments, with what it names in scope.
    """
    return _Codegen(traced, xp, kernel, update, guard, scope).program


class _Codegen(Source):
    def __init__(self, traced: Traced, xp: Any, kernel: Any, update: Any, guard: str, scope: dict[str, Any]) -> None:
        super().__init__(update=update, **traced.signature.scope, **scope)
        signature, self.xp = traced.signature, xp
        self.names, self.arrays = dict(signature.names), list(signature.checks)
        self.numbers: dict[str, tuple[str, np.dtype]] = {}  # by their names on the device
        self.scalars: dict[str, str] = {}  # of updates: the source of their nests, by their names on the device
        self.opaque = False
        order = depth_first([*traced.outputs, *traced.graph.effects])
        finals = {node.serial for node in traced.outputs}
        steps = merged(kernels(order, finals), finals)
        by_calls = {x.serial for step in steps if not step.fused for x in step.nodes[0].operands}
        if any(x.host for node in order if node.kind in _OF_ARRAYS for x in node.operands):
            raise TraceError("a number is taken for an array")
        for node in order:
            if node.host and node.serial not in self.names:
                self.names[node.serial] = self.host(node)
            elif node.op in CONSTANT:
                self._constant(node, finals | by_calls)
        on_host, self.lines = self.lines, []
        last = _last_uses(steps, finals)
        for i, step in enumerate(steps):
            if step.fused:
                made = BlockKernel(step) if isinstance(step, Launch) else Kernel(step)
                self._kernel(i, made, kernel(made))
            else:
                self.names[step.nodes[0].serial] = self._call(step.nodes[0])
            gone = [self.names[serial] for serial in last.get(i, ()) if self.names[serial].startswith("r")]
            self.lines += [f"del {', '.join(gone)}"] if gone else []
        read = {x.serial for node in order for x in node.operands} | finals
        hashed = dict.fromkeys(line for serial, line in signature.hashed.items() if serial in read)
        results: list[str] = []
        rest: list[str] = []
        texts: list[str] = []
        seen: set[int] = set()
        for node in traced.outputs:
            name = self.names[node.serial]
            if node.host or (node.op in CONSTANT and node.weak):
                texts.append(f"rest[{len(rest)}]")
                rest.append(name)
                continue
            shared = node.op in CONSTANT or alias_base(node).serial in seen
            seen.add(alias_base(node).serial)
            texts.append(f"results[{len(results)}]")
            results.append(f"asarray({name}, copy=True)" if shared else name)
        self.scope["asarray"] = xp.asarray
        before = [*signature.guards, *signature.checks.values(), guard, *hashed, *on_host]
        given = self.arrays, [name for name, _ in self.numbers.values()], [*self.scalars.values()], rest
        taken = {"arrays": self.arrays, "numbers": [*self.numbers], "scalars": [*self.scalars]}
        bound = [f"{_tuple(names)} = {parameter}" for parameter, names in taken.items() if names]
        parts = {
            "prepare": (signature.parameters, [*before, f"return {', '.join(map(_tuple, given))}"]),
            "device": ([*taken], [*bound, *self.lines, f"return {_tuple(results)}"]),
            "nest": (["results", "rest"], [f"return {self.nest(traced.form, texts)}"]),
        }
        compiled = {name: self.compiled(name, *part, "<program>") for name, part in parts.items()}
        prepare, device, nest = (function for _, function in compiled.values())

        def run(*arguments: Any) -> Any:
            *operands, rest = prepare(*arguments)
            return nest(device(*operands), rest)

        donated = {signature.names[serial] for serial in signature.donated}
        self.program = DeviceProgram(
            run,
            "".join(source for source, _ in compiled.values()),
            traced.graph,
            prepare=prepare,
            device=device,
            nest=nest,
            dtypes=tuple(dtype for _, dtype in self.numbers.values()),
            donated=tuple(i for i, name in enumerate(self.arrays) if name in donated),
            made=sum(x.nbytes for step in steps for x in step.outputs if x.kind != "view" and x.op != "result"),
            opaque=self.opaque,
        )

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

    def _kernel(self, i: int, step: Kernel | BlockKernel, run: Any) -> None:
        self.scope[f"kernel{i}"] = run
        for node in step.outputs:
            self.names[node.serial] = f"r{node.serial}"
        made = ", ".join(f"r{node.serial}" for node in step.outputs)
        given = [
            self._number(x, dtype) if x.host else self.name(x)
            for x, dtype in zip(step.inputs, step.dtypes, strict=True)
        ]
        self.line(made, f"kernel{i}({', '.join(given)})")

    def _number(self, node: Node, dtype: np.dtype) -> str:
        """A number of the host's, by its name on the device."""
        name = f"{self.name(node)}_{dtype.name}"
        self.numbers[name] = self.name(node), dtype
        return name

    def _scalars(self, node: Node, texts: list[str]) -> str:
        """The scalars of an update, by the name that the host gives them; arrays among them stay where they are."""
        scalars, name = node.attributes["scalars"], f"s{node.serial}"
        if not all(node.operands[x.place].host for x in tree.leaves(scalars) if isinstance(x, Operand)):
            self.opaque = True
            return self.nest(scalars, texts)
        self.scalars[name] = self.nest(scalars, texts)
        return name

    def _call(self, node: Node) -> str:
        own, op = f"r{node.serial}", node.op
        texts = [self.name(x) for x in node.operands]
        if op in ("call", "part"):
            for x, name in zip(node.operands, texts, strict=True):
                if x.host or (x.op == "input" and name not in self.arrays):
                    self.numbers[name] = name, x.dtype
            self.opaque = True
            return self.called(node)
        if op == "kernel":
            return self.kernel(node)
        if op == "update":
            leaves, scalars = self.nest(node.attributes["leaves"], texts), self._scalars(node, texts)
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


def _tuple(texts: Iterable[str]) -> str:
    return f"({''.join(f'{text}, ' for text in texts)})"


def _last_uses(steps: list[Step], finals: set[int]) -> dict[int, list[int]]:
    """By step, the serials of arrays that no later step reads. (A view keeps its array alive by itself.)"""
    last = {x.serial: i for i, step in enumerate(steps) for x in (*step.reads(), *step.outputs)}
    gone: dict[int, list[int]] = {}
    for serial, i in last.items():
        if serial not in finals:
            gone.setdefault(i, []).append(serial)
    return gone
