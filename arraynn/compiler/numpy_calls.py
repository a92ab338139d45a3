"""One operation as NumPy calls: where its operands are, and where its result goes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import host, tuning
from .arena import Arena
from .fusion import Step
from .graph import Node, Operand, TraceError, alias_base, compute_dtype
from .memory import MemoryPlan
from .ops import CONSTANT, SHORT_POWERS
from .render import Source, index_source
from .short_rows import Ref, broadcast_column, by_columns, collapsed, reduced_by_columns, reduced_transposed


def over(step: Step, node: Node) -> Iterable[Node]:
    """The operands that the node's result may be written over, as they are read before or element by element."""
    if step.fused:
        return alone(step.reads())
    if node.op == "astype" or not node.elementwise:
        return []
    if node.op == "where":
        free = alone(node.operands)
        return [x for x in node.operands[2:] if x in free] if _masks(node) is None else []
    return alone(node.operands)


def alone(operands: Iterable[Node]) -> list[Node]:
    """Those that no other operand is a view of: what is written to them piece by piece would be read there."""
    found = {x.serial: x for x in operands}.values()
    bases = [alias_base(x) for x in found]
    return [x for x in found if bases.count(alias_base(x)) == 1]


def _masks(node: Node) -> np.dtype | None:
    """Where a choice between an array and 0.0 is bits under a mask, the integers that hold them: NumPy chooses number
    by number; the mask is quicker, and as exact."""
    _, a, b = node.operands
    zero = b.op == "constant" and str(float(b.value)) == "0.0"
    same = a.dtype == node.dtype and not a.host and a.op != "constant"
    return np.dtype(f"i{node.dtype.itemsize}") if zero and same and node.dtype.kind == "f" else None


class NumPyCalls(Source):
    """plan : where arrays lie. finals : serials of what the caller gets. flats : names of packed parameters that are
    written to, by the id of their buffer. i : the step that is rendered."""

    def __init__(self, plan: MemoryPlan, **scope: Any) -> None:
        super().__init__(broadcast_to=np.broadcast_to, copyto=np.copyto, empty=np.empty, **scope)
        self.plan, self.finals, self.i = plan, plan.finals, 0
        self.refs: dict[int, Ref] = {}
        self.flats: dict[int, str] = {}
        self.arena = Arena(self.scope)

    def _bind(self, node: Node, name: str, contiguous: bool = False, hoistable: bool = False) -> Ref:
        self.names[node.serial] = name
        ref = self.refs[node.serial] = Ref(name, node.shape, contiguous, hoistable)
        return ref

    def ref(self, node: Node) -> Ref:
        return self.refs.get(node.serial) or Ref(self.names[node.serial], node.shape)

    def _target(self, node: Node) -> Ref:
        """The array that the node's result is written to."""
        place = self.plan.places[node.serial]
        flat = self.flats.get(id(place.buffer))
        if flat is not None:
            return self._bind(node, flat, contiguous=True)
        name = self.arena.array(place.buffer, node.shape, node.dtype, place.start)
        return self._bind(node, name, contiguous=True, hoistable=True)

    def function(self, name: str) -> str:
        """A NumPy function, such as "add" or "add.reduce", by its name in the source."""
        first, _, rest = name.partition(".")
        own = name.replace(".", "_")
        self.scope[own] = getattr(getattr(np, first), rest) if rest else getattr(np, first)
        return own

    def dtype(self, dtype: np.dtype) -> str:
        return self.arena.dtype(dtype)

    def view(self, x: Ref, index: str) -> str:
        return self.arena.hoist(x.name + index) if x.hoistable and index else x.name + index

    def _column(self, x: Ref, index: str) -> str:
        """A view that one column after another may ask for: made once."""
        if x.hoistable or index != "[:, 0]":
            return self.view(x, index)
        name = f"{x.name}_column"
        line = f"{name} = {x.name}{index}"
        if line not in self.lines:
            self.lines.append(line)
        return name

    # Operations.

    def _call(self, node: Node, name: str, text: str, end: str = "") -> Ref:
        """name(text out end); a result is a new array."""
        if node.serial in self.finals:
            self.line(f"r{node.serial}", f"{self.function(name)}({text}None{end})")
            return self._bind(node, f"r{node.serial}")
        out = self._target(node)
        self.lines.append(f"{self.function(name)}({text}{out.name}{end})")
        return out

    def _product(self, node: Node) -> str:
        """matmul, or dot, which asks BLAS for the same with less ado, but fills what it writes to with zeros first; and
        copies what BLAS does not take as it lies, where matmul multiplies by itself: not what comes from outside. Nor
        where a size is 1: the two may then take other functions of BLAS."""
        sizes = {n for x in node.operands for n in x.shape}
        blas = node.dtype in (np.float32, np.float64) and min(sizes) > 1 and node.ndim < 3
        return (
            "dot" if blas and node.size <= tuning.DOT_ELEMENTS and all(map(self._in_order, node.operands)) else "matmul"
        )

    def _in_order(self, x: Node) -> bool:
        x = x.operands[0] if x.op == "matrix_transpose" else x
        packed = x.serial in self.plan.aliases
        return packed or x.serial in self.plan.places or x.op in CONSTANT

    def _argument(self, x: Node, dtype: np.dtype) -> Ref:
        """An operand of a NumPy function; numbers as arrays without axes, which it takes quicker than Python's."""
        if x.op == "constant":
            return Ref(self.arena.number(x.value, dtype if x.weak else x.dtype))
        if not x.host:
            return self.ref(x)
        if not x.weak and x.dtype != dtype:
            raise TraceError(f"a number of {x.dtype} with arrays of {dtype}")
        name = self.arena.hoist(f"empty((), {self.dtype(dtype)})  # {self.name(x)}")
        line = f"{name}[()] = {self.name(x)}"
        if line not in self.lines:
            self.lines.append(line)
        return Ref(name)

    def _elementwise(self, node: Node) -> None:
        if node.op == "logical_shift":
            return self._shift(node)
        operands, name, dtype = list(node.operands), node.row.ufunc, compute_dtype(node)
        if node.op == "pow" and operands[1].op == "constant" and operands[1].weak:
            x, exponent = operands
            if exponent.value in SHORT_POWERS and x.dtype == node.dtype:
                operands, name = [x], SHORT_POWERS[exponent.value]  # as NumPy's ** does
            else:  # a number, not an array: NumPy takes other functions for some exponents
                self._call(node, name, f"{self._argument(x, dtype).name}, {self.object(exponent.value)}, ")
                return None
        args = [self._argument(x, dtype) for x in operands]
        # out by its place is quicker, but not allowed in these two
        end = "out=" if name in ("maximum", "minimum") else ""
        if node.serial in self.finals:
            self._call(node, name, f"{', '.join(x.name for x in args)}, {end}")
            return None
        out, function = self._target(node), self.function(name)
        if column := broadcast_column(args, out) if node.dtype == dtype else None:
            self.lines.append(f"copyto({out.name}, {column.name})")
            args = [out if x is column else x for x in args]
        # one number for all takes three times as long as an array in these two
        rows = collapsed(args, out, always=name in ("maximum", "minimum"))
        calls = by_columns(args, out, self._column)
        if rows and not calls:
            calls = [([self._repeated(x, rows, out, dtype) for x in args], self._long(out, rows))]
        calls = calls or [([x.name for x in args], out.name)]
        self.lines += [f"{function}({', '.join(texts)}, {end}{text})" for texts, text in calls]
        return None

    def _long(self, x: Ref, rows: int) -> str:
        return self.arena.hoist(f"{x.name}.reshape({x.shape[0] // rows}, {rows * x.shape[1]})")

    def _repeated(self, x: Ref, rows: int, out: Ref, dtype: np.dtype) -> str:
        """x for a call in which so many rows are taken as one."""
        if x.shape == out.shape:
            return self._long(x, rows)
        if x.shape == ():
            return self.arena.repeated(x.name, rows * out.shape[1], dtype)
        shape = rows, out.shape[1]
        buffer = self.plan.temporary(math.prod(shape) * dtype.itemsize, self.i)
        name = self.arena.array(buffer, shape, dtype)
        self.lines.append(f"copyto({name}, {x.name})")
        return self.arena.hoist(f"{name}.reshape(-1)")

    def _shift(self, node: Node) -> None:
        dtype = np.dtype("uint32")
        out, unsigned = self._target_or_new(node), f".view({self.dtype(dtype)})"
        source = self.view(self._argument(node.operands[0], node.dtype), unsigned)
        count = self.arena.number(node.attributes["bits"], dtype)
        self.lines.append(f"{self.function('right_shift')}({source}, {count}, {self.view(out, unsigned)})")

    def _target_or_new(self, node: Node) -> Ref:
        if node.serial not in self.finals:
            return self._target(node)
        self.line(f"r{node.serial}", f"empty({node.shape}, {self.dtype(node.dtype)})")
        return self._bind(node, f"r{node.serial}")

    def _chosen(self, node: Node) -> None:
        """What `copyto` computes: a cast, or a choice between two."""
        out = self._target_or_new(node)
        if node.op == "astype":
            self.lines.append(f"copyto({out.name}, {self.name(node.operands[0])}, 'unsafe')")
            return
        condition, (a, b) = node.operands[0], node.operands[1:]
        if condition.dtype != bool or condition.weak or condition.host:
            raise TraceError("a choice by what is no array of truth values")
        bits = _masks(node)
        if bits is not None:
            lying = f".view({self.dtype(bits)})"
            text = self.view(out, lying)
            self.lines += [f"copyto({text}, {self.name(condition)})", f"{self.function('negative')}({text}, {text})"]
            self.lines.append(f"{self.function('bitwise_and')}({text}, {self.view(self.ref(a), lying)}, {text})")
            return
        first, second = self._argument(a, node.dtype), self._argument(b, node.dtype)
        if second.name != out.name:
            self.lines.append(f"copyto({out.name}, {second.name}, 'unsafe')")
        self.lines.append(f"copyto({out.name}, {first.name}, 'unsafe', {self.name(condition)})")

    def _view(self, node: Node) -> None:
        (x,), source = node.operands, self.ref(node.operands[0])
        text = f"{source.name}.reshape({node.shape})"
        if node.op == "matrix_transpose":
            text = f"{source.name}.T" if x.ndim == 2 else f"{source.name}.swapaxes(-1, -2)"
        elif node.op == "view_int16":
            text = f"{source.name}.view('int16')"
        elif node.op == "broadcast_to":
            text = f"broadcast_to({source.name}, {node.shape})"
        elif node.op == "permute_dims":
            text = f"{source.name}.transpose({node.attributes['axes']})"
        elif node.op == "getitem":
            text = f"{source.name}[{index_source(node.attributes['index'])}]"
        # a reshaped array that was not contiguous is a copy, of what is there by then
        if source.hoistable and (node.op != "reshape" or source.contiguous):
            self._bind(node, self.arena.hoist(text), hoistable=True)
        else:
            self.lines.append(f"w{node.serial} = {text}")
            self._bind(node, f"w{node.serial}")

    def _reduction(self, node: Node) -> None:
        options, (x,) = node.attributes["options"], node.operands[:1]
        plain = node.attributes["args"] == (Operand(0),) and not set(options) - {"axis", "keepdims"}
        if not plain or x.dtype == np.float16:
            self.scope[node.op] = getattr(host, node.op)
            text = self.library(node)
            if node.serial in self.finals:
                self.names[node.serial] = self.line(f"r{node.serial}", text)
            else:
                self.lines.append(f"copyto({self._target(node).name}, {text})")
            return
        axis, keepdims, ufunc = options.get("axis"), bool(options.get("keepdims")), node.row.ufunc
        if x.ndim == 2 and axis in (1, -1) and x.dtype == node.dtype and node.serial not in self.finals:
            if reduced_by_columns(node.op, x.shape):
                return self._by_columns(node, x, ufunc)
            if reduced_transposed(node.op, x.shape):
                return self._transposed(node, x, ufunc)
        dtype = "None" if x.dtype == node.dtype else self.dtype(node.dtype)
        out = self._call(node, f"{ufunc}.reduce", f"{self.name(x)}, {axis!r}, {dtype}, ", f", {keepdims}")
        if node.op == "mean":
            count = self.arena.number(x.size // max(node.size, 1), node.dtype)
            final = node.serial in self.finals
            text = f"{self.function('divide')}({out.name}, {count}{'' if final else f', {out.name}'})"
            self.lines.append(f"{out.name} = {text}" if final else text)
        return None

    def _by_columns(self, node: Node, x: Node, ufunc: str) -> None:
        out, source = self._target(node), self.ref(x)
        text = self.view(out, "" if node.ndim == 1 else "[:, 0]")
        parts = [self.view(source, f"[:, {j}]") for j in range(x.shape[1])]
        function, end = self.function(ufunc), "" if node.op == "sum" else "out="
        for before, part in zip([parts[0]] + [text] * (len(parts) - 2), parts[1:], strict=True):
            self.lines.append(f"{function}({before}, {part}, {end}{text})")

    def _transposed(self, node: Node, x: Node, ufunc: str) -> None:
        out, buffer = self._target(node), self.plan.temporary(x.nbytes, self.i)
        name = self.arena.array(buffer, x.shape[::-1], x.dtype)
        text = self.view(out, "" if node.ndim == 1 else "[:, 0]")
        self.lines.append(f"copyto({name}, {self.view(self.ref(x), '.T')})")
        self.lines.append(f"{self.function(f'{ufunc}.reduce')}({name}, 0, None, {text})")
