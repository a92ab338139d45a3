"""The CUDA C++ of a launch (`launches.Launch`): groups of nodes side by side, each reduction by the threads of a block.

blockIdx.y tells which group. The threads of a block share some results among them, `lanes` to each: a thread adds up
each `lanes`-th number, in order, then their sums are added pairwise. So the order follows from shapes alone.

The source has no barrier but BARRIER and no loop over threads but EACH_THREAD, which on a GPU is nothing at all. So the
host can run it thread by thread, from one barrier to the next: nothing is kept across them but in shared memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import tuning
from .graph import Node
from .grouping import Group
from .launches import Launch
from .render import CTYPES, Statements, c_literal
from .render import C as CUDA
from .splits import Split, reduced

HEAD = f"""#ifndef EACH_THREAD
#define EACH_THREAD
#define BARRIER __syncthreads();
#endif
#define THREADS {tuning.THREADS}
"""


class BlockKernel:
    """A launch's kernel. inputs, dtypes : what it reads, arrays first, and in which dtypes; outputs : what it writes.

    counts : of each group, the number that its source leaves open, so that batches of other sizes have the same source.
    grid : blocks, and groups. source(pointers) : the C++ of `fused`, whose arguments are counts, inputs and outputs.
    """

    def __init__(self, launch: Launch) -> None:
        self.groups, self.outputs, self.nodes = launch.groups, launch.outputs, launch.nodes
        self._inputs: dict[Any, tuple[Node, np.dtype]] = {}
        bodies = [_Body(self, i, group) for i, group in enumerate(self.groups)]
        ordered = sorted(self._inputs.items(), key=lambda item: item[1][0].host)
        self.inputs = [x for _, (x, _) in ordered]
        self.dtypes = [dtype for _, (_, dtype) in ordered]
        names = {key: f"{'c' if x.host else 'a'}{i}" for i, (key, (x, _)) in enumerate(ordered)}
        self.counts = [body.count for body in bodies]
        self.grid = max(max(body.blocks for body in bodies), 1), len(bodies)
        slots = max(len(body.reductions) for body in bodies)
        self._lines = [f"  __shared__ double shared[{slots} * THREADS];"] if slots else []
        self._lines.append("  switch (blockIdx.y) {")
        for i, body in enumerate(bodies):
            self._lines += [f"  case {i}: {{", *(f"    {line}" for line in body.lines), "  } break;"]
        self._lines.append("  }")
        self._names = {self.placeholder(key): name for key, name in names.items()}

    def placeholder(self, key: Any) -> str:
        return f"@{'_'.join(map(str, key)) if isinstance(key, tuple) else key}@"

    def input(self, x: Node, dtype: np.dtype) -> str:
        """What stands for an input, or a number in this dtype, in the source of a group."""
        key = (x.serial, dtype.name) if x.weak else x.serial
        self._inputs.setdefault(key, (x, dtype if x.weak else x.dtype))
        return self.placeholder(key)

    def output(self, x: Node) -> str:
        return f"o{next(i for i, other in enumerate(self.outputs) if other is x)}"

    def source(self, pointers: bool = False) -> str:
        """pointers : numbers are read off the device, in a CUDA graph."""
        arguments = [f"long long n{i}" for i in range(len(self.counts))]
        loads = []
        for i, (x, dtype) in enumerate(zip(self.inputs, self.dtypes, strict=True)):
            kind = CTYPES[dtype.name]
            if not x.host:
                arguments.append(f"const {kind}* a{i}")
            elif pointers:
                arguments.append(f"const {kind}* q{i}")
                loads.append(f"  const {kind} c{i} = *q{i};")
            else:
                arguments.append(f"{kind} c{i}")
        arguments += [f"{CTYPES[x.dtype.name]}* o{i}" for i, x in enumerate(self.outputs)]
        head = f'extern "C" __global__ void __launch_bounds__({tuning.THREADS}) fused({", ".join(arguments)}) {{'
        text = "\n".join([head, *loads, *self._lines, "}", ""])
        for placeholder, name in self._names.items():
            text = text.replace(placeholder, name)
        return HEAD + text


class _Body(Statements):
    """The statements of one group. lines : its source. count : the number that it leaves open. blocks : it is best
    computed by. reductions : its nodes that reduce, in order."""

    def __init__(self, kernel: BlockKernel, place: int, group: Group) -> None:
        self.kernel, self.group = kernel, group
        self.dialect, self.fills = CUDA, True
        self.split = split = group.split or Split(group.outputs[0].shape, group.outputs[0].ndim, True)
        self.inside = {node.serial for node in group.nodes}
        self.open = f"n{place}"
        self.lanes = split.lanes if group.split else 1
        self.columns = 1 if split.rows else tuning.THREADS // self.lanes  # results whose threads lie side by side
        self.count = split.results if split.rows else split.length
        self.blocks = min(tuning.BLOCKS, -(-split.results * self.lanes // tuning.THREADS))
        self.reductions = [x for x in group.nodes if group.split and reduced(x) is not None]
        self.slot = {x.serial: i for i, x in enumerate(self.reductions)}
        self.at: tuple[tuple[int, ...], bool] = ((), False)  # what the statement being written is for
        self._stages()
        self.lines = self._source()

    def _stages(self) -> None:
        """stage : how many reductions have to be done before a node can be computed, one after the other."""
        self.stage: dict[int, int] = {}
        for node in self.group.nodes:
            behind = [self.stage[x.serial] + (x.serial in self.slot) for x in node.operands if x.serial in self.inside]
            self.stage[node.serial] = max(behind, default=0)

    def _source(self) -> list[str]:
        results = self.open if self.split.rows else str(self.split.results)
        each = tuning.THREADS // self.lanes
        kinds = [CTYPES[x.dtype.name] for x in self.reductions]
        lines = [f"{kind}* const s{i} = ({kind}*)(shared + {i} * THREADS);" for i, kind in enumerate(kinds)]
        lines.append(f"for (long long base = blockIdx.x * {each}LL; base < {results}; base += gridDim.x * {each}LL) {{")
        last = max(stage + (serial in self.slot) for serial, stage in self.stage.items())
        for stage in range(last + 1):
            lines += [f"  {line}" for line in self._phase(stage, results)]
            if any(self.stage[x.serial] == stage for x in self.reductions):
                lines += [f"  {line}" for line in self._tree(stage)]
        if self.reductions and self.lanes > 1:
            lines.append("  BARRIER")  # before the next results take the memory
        return [*lines, "}"]

    def _phase(self, stage: int, results: str) -> list[str]:
        """What each thread does between two barriers: numbers for each result, then a loop over what is reduced."""
        self.outer: list[str] = []
        self.inner: list[str] = []
        self.known: dict[Any, str] = {}
        self.ends: list[str] = []
        now = [x for x in self.reductions if self.stage[x.serial] == stage]
        starts = []
        for x in now:
            starts += self._begin(x)
        for x in self.group.outputs:
            if self.stage[x.serial] + (x.serial in self.slot) != stage:
                continue
            if self.group.split and x.shape == self.split.shape:
                self.inner.append(f"{self.kernel.output(x)}[{self._flat()}] = {self._value(x, x.shape, True)};")
            else:
                text = f"{self.kernel.output(x)}[k] = {self._value(x, x.shape, False)};"
                self.ends.append(text if self.lanes == 1 else f"if (lane == 0) {text}")
        if not (self.inner or self.ends or now):
            return []
        lane, own = self._places()
        length = str(self.split.length) if self.split.rows else self.open
        lines = ["EACH_THREAD {", f"  const int t = threadIdx.x, lane = {lane}, own = {own};"]
        lines += ["  const long long k = base + own;", f"  if (k < {results}) {{"]
        lines += [f"    {line}" for line in (*self.outer, *starts)]
        if self.inner:
            lines.append(f"    for (long long r = lane; r < {length}; r += {self.lanes}) {{")
            lines += [*(f"      {line}" for line in self.inner), "    }"]
        lines += [f"    {line}" for line in (*(f"s{self.slot[x.serial]}[t] = v{x.serial};" for x in now), *self.ends)]
        return [*lines, "  }", "}"]

    def _places(self) -> tuple[str, str]:
        """Which of a result's threads a thread is, and which of the block's results it works for."""
        if self.split.rows:
            return f"t % {self.lanes}", f"t / {self.lanes}"
        return f"t / {self.columns}", f"t % {self.columns}"

    def _flat(self) -> str:
        """The place of a number among all that are reduced."""
        if self.split.rows:
            return f"k * {self.split.length} + r"
        return "r" if self.split.results == 1 else f"r * {self.split.results} + k"

    def _begin(self, node: Node) -> list[str]:
        """The statements that reduce: those in front of the loop are returned."""
        x, kind = reduced(node), CTYPES[node.dtype.name]
        assert x is not None
        total = f"v{node.serial}"
        self.at = self.split.shape, True
        text = self.operand(x, x.dtype)
        if node.op in ("argmax", "argmin"):  # the first that is the largest, or is nan
            sign = ">" if node.op == "argmax" else "<"
            better = f"r == 0 || {text} {sign} b{node.serial} || ({text} != {text} && b{node.serial} == b{node.serial})"
            self.inner.append(f"if ({better}) {{ {total} = r; b{node.serial} = {text}; }}")
            return [f"{kind} {total} = 0;", f"{CTYPES[x.dtype.name]} b{node.serial} = 0;"]
        text = text if x.dtype == node.dtype else CUDA.cast(text, node.dtype)
        self.inner.append(f"{total} = {self._joined(node, total, text)};")
        return [f"{kind} {total} = {_neutral(node)};"]

    def _joined(self, node: Node, a: str, b: str) -> str:
        """Two parts of a reduction as one."""
        if node.op in ("max", "min"):
            sign = ">=" if node.op == "max" else "<="
            return f"{a} {sign} {b} || {a} != {a} ? {a} : {b}"
        return f"{a} + {b}"

    def _tree(self, stage: int) -> list[str]:
        if self.lanes == 1:
            return []
        step = "" if self.split.rows else f" * {self.columns}"
        lane, _ = self._places()
        lines = [f"for (int half = {self.lanes // 2}; half > 0; half /= 2) {{", "  BARRIER", "  EACH_THREAD {"]
        lines += [f"    const int t = threadIdx.x, lane = {lane};", "    if (lane < half) {"]
        for x in self.reductions:
            if self.stage[x.serial] == stage:
                s = f"s{self.slot[x.serial]}"
                lines.append(f"      {s}[t] = {self._joined(x, f'{s}[t]', f'{s}[t + half{step}]')};")
        return [*lines, "    }", "  }", "}", "BARRIER"]

    # what a node is, where it is needed: for each number (whole), or for each result

    def _value(self, node: Node, shape: tuple[int, ...], whole: bool) -> str:
        """The name of a node's value, for what has this shape; its statements are written where there are none yet."""
        if node.serial in self.slot:
            return self._reduction(node)
        if node.shape == self.split.shape and self.group.split:
            shape, whole = node.shape, True
        elif self.split.keeps(node.shape):
            shape, whole = node.shape, False
        key = node.serial, shape, whole
        if key not in self.known:
            before, self.at = self.at, (shape, whole)
            text = self._value(node.operands[0], shape, whole) if node.kind == "view" else self._text(node)
            self.at = before
            self.known[key] = self._named(CTYPES[node.dtype.name], text, whole)
        return self.known[key]

    def _named(self, kind: str, text: str, whole: bool) -> str:
        lines = self.inner if whole else self.outer
        name = f"t{len(self.known)}_{len(self.inner) + len(self.outer)}"
        lines.append(f"const {kind} {name} = {text};")
        return name

    def _reduction(self, node: Node) -> str:
        key = node.serial
        if key not in self.known:
            lane = "" if self.lanes == 1 else f" - lane{'' if self.split.rows else f' * {self.columns}'}"
            text = f"s{self.slot[key]}[t{lane}]"
            if node.op == "mean":
                kind = CTYPES[node.dtype.name]
                text = f"{text} / ({kind}){self.split.length if self.split.rows else self.open}"
            self.known[key] = self._named(CTYPES[node.dtype.name], text, False)
        return self.known[key]

    def operand(self, x: Node, dtype: np.dtype) -> str:
        if x.op in ("constant", "full") and not x.host:
            if x.op == "constant" and x.weak:
                return c_literal(x.value, dtype)
            name = c_literal(x.value, x.dtype)
        elif x.serial in self.inside:
            name = self._value(x, *self.at)
        elif x.host:
            name = self.kernel.input(x, dtype)
        else:
            name = self._loaded(x, *self.at)
        return name if x.weak or x.dtype == dtype else CUDA.cast(name, dtype)

    def _loaded(self, x: Node, shape: tuple[int, ...], whole: bool) -> str:
        """An input, as it is read for what has this shape."""
        pointer = self.kernel.input(x, x.dtype)
        padded = (1,) * (len(shape) - x.ndim) + x.shape
        if whole:
            lead = self.split.lead
            first, second = ("k", "r") if self.split.rows else ("r", "k")
            behind = math.prod(padded[lead:])
            front, back = index_of(padded[:lead], shape[:lead], first), index_of(padded[lead:], shape[lead:], second)
            whole = (back if self.split.rows else front) != "0"
            front = f"{_enclosed(front)} * {behind}" if behind > 1 and front != "0" else front
            index = " + ".join(text for text in (front, back) if text != "0") or "0"
        else:
            index = index_of(padded, shape, "k")
        key = x.serial, index
        if key not in self.known:
            self.known[key] = self._named(CTYPES[x.dtype.name], f"{pointer}[{index}]", whole)
        return self.known[key]


def _neutral(node: Node) -> str:
    if node.op not in ("max", "min"):
        return c_literal(0, node.dtype)
    if node.dtype.kind == "f":
        return c_literal(-math.inf if node.op == "max" else math.inf, node.dtype)
    limits = np.iinfo(node.dtype)
    value = limits.min if node.op == "max" else limits.max
    return f"({c_literal(value + 1, node.dtype)} - 1)" if node.op == "max" else c_literal(value, node.dtype)


def _enclosed(text: str) -> str:
    return f"({text})" if " " in text else text


def index_of(shape: Sequence[int], full: Sequence[int], flat: str) -> str:
    """The index of an element of a contiguous array of `shape`, which is broadcast to `full`; flat : the element's
    index there. The length of the first axis is not written down."""
    terms: list[str] = []
    axis = len(full)
    while axis > 0:
        end = axis
        while axis > 0 and shape[axis - 1] == full[axis - 1]:
            axis -= 1
        size = math.prod(full[axis:end])
        if size > 1 or (axis == 0 and end > 0):
            behind, stride = math.prod(full[end:]), math.prod(shape[end:])
            text = flat if behind == 1 else f"{flat} / {behind}"
            text = text if axis == 0 else f"{_enclosed(text)} % {size}"
            terms.append(text if stride == 1 else f"{_enclosed(text)} * {stride}")
        while axis > 0 and shape[axis - 1] != full[axis - 1]:
            axis -= 1
    return " + ".join(reversed(terms)) or "0"
