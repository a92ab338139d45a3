"""The NumPy renderer: a graph as calls of NumPy in a row, in the order in which the function asked for them.

Each operation is the call that the function itself makes, so the bits are its own, but for the sign of a zero in a
reduction of short rows, and for functions that leave arrays in Fortran's order, which NumPy adds up in another one.
What goes is Python's work in between, new arrays, and what is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import host
from .fusion import Step, loops
from .graph import Node
from .memory import MemoryPlan, ParameterPack
from .numpy_calls import NumPyCalls, over
from .ops import CONSTANT
from .passes import leaves_of, pack_updates
from .program import Program, Traced
from .render import numba_loop
from .side_by_side import grouped


@dataclass(frozen=True)
class Options:
    """How a function becomes NumPy calls. donated : places of the arguments that it consumes.

    small : the most elements of a parameter that is updated packed, with others. loop(source) -> the compiled loop;
    None where there is no compiler. packs : what lays parameters end to end, shared by the programs of a function.
    side_by_side(products, updates) computes products (a, b, out) of at least `whole` multiplications, in the bits of
    one call each, and updates of larger parameters (rule, p, g, slots, scalars), of which it returns (p, slots) each;
    None where there are none.
    """

    donated: tuple[int, ...] = ()
    small: float = 0
    loop: Callable[[str], Callable[..., Any]] | None = None
    packs: dict[Any, ParameterPack] = field(default_factory=dict)
    apart: Callable[[Sequence[str]], Callable[[Sequence[Any]], None]] | None = None
    side_by_side: Callable[..., Any] | None = None
    whole: int = 0

    def heavy(self, node: Node) -> bool:
        """Whether a node is worth the threads that `side_by_side` has."""
        if node.op != "matmul" or self.side_by_side is None:
            return node.op == "update"
        work = node.size * node.operands[0].shape[-1]
        return node.ndim == 2 and node.dtype in (np.float32, np.float64) and work >= self.whole


def lower(traced: Traced, options: Options) -> Program:
    """The traced function's program. Raises TraceError where it has none."""
    graph, signature = traced.graph, traced.signature
    traced.outputs = pack_updates(graph, traced.outputs, signature.donated, options.small)
    finals = {node.serial for node in traced.outputs}
    order = traced.order()
    stores = [node for node in order if node.op == "store"]
    kept = [node for node in order if node.op not in ("store", "unpack")]
    stored = [node.operands[1].serial for node in stores]
    steps = grouped(loops(kept, finals, options.loop is not None, stored), options.heavy)
    # what is stored goes to memory that all else may read until then
    steps += [Step([node], outputs=[node]) for node in stores]
    plan = MemoryPlan(steps, finals, over)
    return NumPyCodegen(traced, options, steps, plan).program


class NumPyCodegen(NumPyCalls):
    """The program of steps whose memory is planned."""

    def __init__(self, traced: Traced, options: Options, steps: list[Step], plan: MemoryPlan) -> None:
        super().__init__(plan, **traced.signature.scope)
        self.traced, self.options, self.steps = traced, options, steps
        self.signature = traced.signature
        self.names = dict(self.signature.names)
        self.checks = dict(self.signature.checks)
        self.packed: list[str] = []  # the lines that pack parameters
        self.packs: list[tuple[ParameterPack, list[Node]]] = []  # and what they pack
        self.gone: dict[int, list[int]] | None = None  # by step, the serials of what no later one reads
        self._pack()
        for self.i, step in enumerate(steps):
            if step.fused:
                self._loop(step)
            elif step.side_by_side:
                self._together(step)
            else:
                self._emit(step.nodes[0])
            self._forget()
        self._store()
        result = self._result()
        self.program = self._program(result)

    def _program(self, result: str) -> Program:
        self.arena.buffers(self.plan.buffers)
        read = {x.serial for step in self.steps for node in step.nodes for x in node.operands} | self.finals
        hashed = dict.fromkeys(line for serial, line in self.signature.hashed.items() if serial in read)
        take, give = self.arena.ends()
        body = [
            *self.signature.guards,
            *self.checks.values(),
            *self._disjoint(),
            *self.packed,
            *hashed,
            *take,
            *self.lines,
            f"results = {result}",  # copied before another thread may take the arena
            *give,
        ]
        source, run = self.compiled("run", self.signature.parameters, [*body, "return results"], "<program>")
        return Program(run, source, self.traced.graph, self.arena.source, str(self.plan), self.arena.poison)

    # Parameters that are updated as one.

    def _pack(self) -> None:
        """The lines that take the packed parameters' flat arrays: those of one update by one call."""
        groups: dict[Any, list[Node]] = {}
        for step in self.steps:
            for node in step.nodes:
                if node.op == "pack" and node.attributes["donated"]:
                    shapes = tuple(x.shape for x in node.operands)
                    groups.setdefault((shapes, node.dtype), []).append(node)
        for k, ((shapes, dtype), flats) in enumerate(groups.items()):
            key = k, len(flats), shapes, dtype
            self.scope[f"pack{k}"] = self.options.packs.setdefault(key, ParameterPack(shapes, dtype))
            for j, flat in enumerate(flats):
                self._bind(flat, f"f{k}_{j}", contiguous=True)
                place = self.plan.places.get(flat.serial)
                if place is not None:
                    self.flats[id(place.buffer)] = f"f{k}_{j}"
            members = [x for flat in flats for x in flat.operands]
            self.packs.append((self.scope[f"pack{k}"], members))
            for x in members:
                self.checks.pop(self.names[x.serial], None)  # they are known, or looked at there
            names = ", ".join(self.names[x.serial] for x in members)
            texts = ", ".join(self.names[flat.serial] for flat in flats)
            self.packed.append(f"({names},), ({texts},) = pack{k}(({names},))")

    def _disjoint(self) -> list[str]:
        """The line that refuses donated leaves which share memory."""
        paths = self.signature.paths
        if self.options.apart is None or len(paths) < 2:
            return []
        if len(self.packs) == 1 and len(self.packs[0][1]) == len(paths):  # what packs them knows them already
            pack, members = self.packs[0]
            pack.apart = self.options.apart([paths[x.serial] for x in members])
            return []
        self.scope["disjoint"] = self.options.apart(list(paths.values()))
        return [f"disjoint(({', '.join(self.signature.names[serial] for serial in paths)}))"]

    def _store(self) -> None:
        """What an update computed, to where its parameters lie, if it is not there."""
        astray = []
        for step in self.steps:
            node = step.nodes[0]
            if node.op != "store":
                continue
            flat, new = node.operands
            place, home = self.plan.places.get(new.serial), self.plan.places.get(flat.serial)
            if new is not flat and (place is None or home is None or place.buffer is not home.buffer):
                astray.append((self.name(flat), self.name(new)))
        self.lines += [f"z{i} = {new}.copy()" for i, (_, new) in enumerate(astray)]
        self.lines += [f"copyto({flat}, z{i})" for i, (flat, _) in enumerate(astray)]

    # Steps.

    def _loop(self, step: Step) -> None:
        assert self.options.loop is not None
        named = [self._target(node).name if node.serial in self.plan.places else "" for node in step.outputs]
        source, arguments = numba_loop(step.nodes, step.outputs, self._loop_argument, named)
        self.lines.append(f"{self.object(self.options.loop(source))}({', '.join(arguments)})")

    def _loop_argument(self, x: Node, dtype: np.dtype) -> str:
        name = self._argument(x, dtype).name
        if x.shape or x.host or x.op == "constant" or x.serial in self.plan.places:
            return name
        self.scope["asarray"] = host.asarray  # a loop takes arrays, where NumPy may have made a number
        return f"asarray({name})"

    def _emit(self, node: Node) -> None:
        """The lines that compute a node."""
        if node.serial in self.names or node.op == "store":
            return
        if node.host:
            self.names[node.serial] = self.host(node)
        elif node.op == "constant" and node.weak:
            self.names[node.serial] = self.object(node.value)
        elif node.op in CONSTANT:
            self._bind(node, self.arena.constant(node), contiguous=True, hoistable=True)
        elif node.op in ("astype", "where"):
            self._chosen(node)
        elif node.elementwise:
            self._elementwise(node)
        elif node.kind == "view":
            self._view(node)
        elif node.op == "matmul":
            a, b = map(self.name, node.operands)
            self._call(node, self._product(node), f"{a}, {b}, ")
        elif node.kind == "reduction":
            self._reduction(node)
        elif node.op == "pack":
            self._side_by_side(node)
        elif node.op == "result":
            name = node.attributes["name"]
            self.names[node.serial] = f"{self.name(node.operands[0])}[{0 if name is None else f'1][{name!r}'}]"
        elif node.op in ("call", "part"):
            self.names[node.serial] = self.called(node)
        elif node.op == "kernel":
            self.names[node.serial] = self.kernel(node)
        elif node.op == "gather":
            index = self.object(node.attributes["index"])
            self.names[node.serial] = self.line(f"r{node.serial}", f"{self.name(node.operands[0])}[{index}]")
        else:
            self.scope[node.op] = getattr(host, node.op)
            self.names[node.serial] = self.line(f"r{node.serial}", self.library(node))

    def _forget(self) -> None:
        """The line that lets go of new arrays, and views of them, that no later step reads."""
        if self.gone is None:
            self.gone = {}
            for step in self.steps:
                for node in step.nodes:
                    base = self.plan.base(node)
                    if base.kind == "library" and base.op not in ("pack", "part", "result", "store"):
                        self.gone.setdefault(self.plan.last_use(base), []).append(node.serial)
        names = [self.names[serial] for serial in self.gone.get(self.i, ()) if serial in self.names]
        own = dict.fromkeys(name for name in names if name[0] in "rw" and name[1:].isdigit())
        self.lines += [f"del {', '.join(own)}"] if own else []

    def _together(self, step: Step) -> None:
        """The call that computes a step's products and updates."""
        products, updates, names = [], [], []
        for node in step.nodes:
            if node.op == "matmul":
                a, b = map(self.name, node.operands)
                products.append(f"({a}, {b}, {self._target_or_new(node).name}),")
                continue
            (leaf,) = leaves_of(node)
            own = ", ".join(f"{name!r}: {self.name(x)}" for name, x in leaf.slots.items())
            scalars = self.nest(node.attributes["scalars"], [self.names.get(x.serial, "") for x in node.operands])
            rule = self.object(node.attributes["rule"])
            updates.append(f"({rule}, {self.name(leaf.p)}, {self.name(leaf.g)}, {{{own}}}, {scalars}),")
            self.names[node.serial] = f"u{node.serial}"
            names.append(f"u{node.serial},")
        self.scope["side_by_side"] = self.options.side_by_side
        text = f"side_by_side(({' '.join(products)}), ({' '.join(updates)}))"
        self.lines.append(f"{' '.join(names)} = {text}" if names else text)

    def _side_by_side(self, node: Node) -> None:
        """Gradients end to end: copied there, where they were not computed there."""
        place = self.plan.places[node.serial]
        name = self.arena.array(place.buffer, node.shape, node.dtype)
        self._bind(node, name, contiguous=True, hoistable=True)
        start = 0
        for x in node.operands:
            there = self.plan.places.get(x.serial)
            if there is None or there is not self.plan.preassigned(x) or there.buffer.name != place.buffer.name:
                part = self.arena.array(place.buffer, x.shape, x.dtype, start)
                self.lines.append(f"copyto({part}, {self.name(x)})")
            start += x.size

    # Results.

    def _result(self) -> str:
        """The source of the returned nest: no two leaves share memory, and none lies in memory that is reused."""
        texts: list[str] = []
        bases: set[int] = set()
        for node in self.traced.outputs:
            if node.op == "unpack":
                texts.append(self._stored(node))
                continue
            base = self.plan.base(node)
            name = self.names[node.serial]
            ours = base.serial in self.plan.places or base.op in CONSTANT
            shared = base.serial in bases and not node.host
            bases.add(base.serial)
            texts.append(f"{name}.copy()" if (ours or shared) and not node.weak else name)
        return self.nest(self.traced.form, texts)

    def _stored(self, node: Node) -> str:
        """An unpacked parameter: the view of the flat array that the caller has."""
        store = node.operands[0]
        start = 0
        for x in store.operands[0].operands:
            if start == node.attributes["start"] and x.shape == node.shape:
                return self.names[x.serial]
            start += x.size
        raise AssertionError("an unpacked parameter that was not packed")
