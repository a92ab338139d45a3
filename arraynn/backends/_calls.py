"""One operation of a step that was written down as NumPy calls: where its operands are, and where its result goes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ._cuts import FEW, MANY, SHORT, TURNED, Operand, crossed, cut, together
from ._lazy import Lazy
from ._lines import Lines, Value
from ._memory import Memory
from ._operations import PYTHON, VIEWS, TraceError
from ._order import Order, number, unsigned_shift

UFUNCS = {"abs": "absolute", "pow": "power", "bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift"}
FILLED = 4096  #: elements of a product, up to which filling them with zeros costs less than dot saves
KEYWORD = "out="  #: in maximum and minimum; by its place is quicker, but not allowed in these
REDUCTIONS = {"sum": "add", "mean": "add", "max": "maximum", "min": "minimum"}


def _squares(node: Lazy) -> bool:
    """Whether NumPy's ** squares an array."""
    x, power = node.args
    return isinstance(x, Lazy) and not x.scalar and x.dtype == node.dtype and not isinstance(power, Lazy) and power == 2


class Calls(Lines):
    """order : what is computed. values : by id of a node, where its numbers are. homes : where they should lie."""

    order: Order
    values: dict[int, Value]
    homes: dict[int, tuple[str, Memory]]

    def _name(self, node: Lazy) -> str:
        return self.values[id(self.order.first(node))].name

    def _python(self, node: Lazy) -> str:
        args = (self._name(x) if isinstance(x, Lazy) else f"({self._object(x)})" for x in node.args)  # (-1) ** t
        text = PYTHON[node.op].format(*args)
        if not node.weak and node.dtype != np.int32:
            raise TraceError(f"{node.op} of a key's numbers: {node.dtype}")
        # as the int32 that stands for it wraps
        return text if node.weak else f"(({text}) + 0x80000000 & 0xFFFFFFFF) - 0x80000000"

    def _base(self, x: Any) -> str:
        """An argument of Python's own operator: a scalar where NumPy has one."""
        if not isinstance(x, Lazy):
            return f"({self._object(x)})"
        return self._name(x) if x.weak or not x.scalar else f"{self._name(x)}[()]"

    def _last(self, place: int, node: Lazy, x: Any) -> Value | None:
        """Where x's numbers are, if node's may take their place: they are read for the last time, and of its kind."""
        if not isinstance(x, Lazy) or (x.shape, x.dtype) != (node.shape, node.dtype):
            return None
        value = self.values[id(self.order.first(x))]
        return value if value.whole and value.memory is not None and value.memory.until <= place else None

    def _alone(self, takes: Iterable[Any]) -> list[Lazy]:
        """Those whose memory no other of them is a view of: what is written there piece by piece would be read."""
        known = {id(first): first for x in takes if isinstance(x, Lazy) for first in [self.order.first(x)]}
        memories = [self.values[key].memory for key in known if key in self.values]
        return [x for key, x in known.items() if key in self.values and memories.count(self.values[key].memory) == 1]

    def _target(self, place: int, node: Lazy, takes: Iterable[Any] = (), apart: Iterable[Any] = ()) -> Value:
        """Where node's numbers go: where they should lie, over what it is made of, or to memory that lies idle.

        takes : arguments that it may be written over. apart : those that it may not be, even where it should lie there.
        """
        until = self.order.until[id(node)]
        name, memory = self.homes.get(id(node), ("", None))
        firsts = [id(self.order.first(x)) for x in apart if isinstance(x, Lazy)]
        if any(self.values[i].memory is memory for i in firsts if i in self.values):
            memory = None
        if memory is not None and memory.until <= place:
            memory.until = until
            return Value(name, memory, whole=True, early=name.startswith("v"))
        value = next(filter(None, (self._last(place, node, x) for x in takes)), None)
        if value is not None and value.memory is not None:
            value.memory.until = until
            return Value(value.name, value.memory, whole=True, early=value.early)
        memory = self.scratch.take(node.shape, node.dtype, until)
        return Value(self.scratch.array(memory, node.shape, node.dtype), memory, whole=True, early=True)

    def _call(self, place: int, node: Lazy, name: str, text: str, end: str = "") -> Value:
        """name(text out end); a result is a new array."""
        if id(node) in self.order.finals:
            return self._line(f"r{node.serial}", f"{self._function(name)}({text}None{end})")
        value = self._target(place, node)
        self.lines.append(f"{self._function(name)}({text}{value.name}{end})")
        return value

    def _product(self, node: Lazy) -> str:
        """matmul, or dot, which asks BLAS for the same with less ado, but fills what it writes to with zeros first; and
        copies what BLAS does not take as it lies, where matmul multiplies by itself: not what comes from outside. Nor
        where a size is 1: the two may then take other functions of BLAS."""
        sizes = {n for x in node.args for n in x.shape}
        ours = all(self._in_order(self.order.first(x)) for x in node.args)
        blas = node.dtype in (np.float32, np.float64) and min(sizes) > 1
        return "dot" if blas and ours and node.size <= FILLED else "matmul"

    def _in_order(self, x: Lazy) -> bool:
        x = self.order.first(x.args[0]) if x.op == "matrix_transpose" else x
        made = self.values.get(self.order.root(x))
        return x.op not in VIEWS and made is not None and made.memory is not None

    def _elementwise(self, place: int, node: Lazy) -> Value:
        if shifted := unsigned_shift(node):
            return self._shift(place, node, *shifted)
        args, name = list(node.args), UFUNCS.get(node.op, node.op)
        if node.op == "pow" and node.kwargs:
            if not _squares(node):  # NumPy's ** computes some powers in other ways than `power`
                return self._line(f"r{node.serial}", " ** ".join(map(self._base, args)))
            args, name = args[:1], "square"
        kinds = [x.dtype if isinstance(x, Lazy) and not x.weak else 0.0 if isinstance(x, Lazy) else x for x in args]
        dtype = node.dtype if node.dtype.kind != "b" else np.result_type(*kinds)
        operands = [self._operand(x, dtype) for x in args]
        end = KEYWORD if name in ("maximum", "minimum") else ""
        if id(node) in self.order.finals:
            return self._call(place, node, name, f"{', '.join(x.name for x in operands)}, {end}")
        value, function = self._target(place, node, self._alone(args)), self._function(name)
        out = value.operand(node.shape)
        if column := crossed(operands, out) if node.dtype == dtype else None:
            self.lines.append(f"copyto({out.name}, {column.name})")
            operands = [out if x is column else x for x in operands]
        # one number for all takes three times as long as an array in these two
        rows = together(operands, out, always=name in ("maximum", "minimum"))
        calls = cut(operands, out, self._part)
        if rows and not calls:
            calls = [([self._repeated(place, x, rows, out, dtype) for x in operands], self._long(out, rows))]
        calls = calls or [([x.name for x in operands], out.name)]
        self.lines += [f"{function}({', '.join(texts)}, {end}{text})" for texts, text in calls]
        return value

    def _shift(self, place: int, node: Lazy, x: Lazy, bits: int) -> Value:
        value, dtype = self._target(place, node, (x,)), np.dtype("uint32")
        unsigned = f".view({self._dtype(dtype)})"
        self.scratch.scope[self._dtype(dtype)] = dtype
        out, source = (self._part(y, unsigned) for y in (value.operand(node.shape), self._operand(x, node.dtype)))
        count = self._constant("literal", (bits,), (), dtype)
        self.lines.append(f"{self._function('right_shift')}({source}, {count}, {out})")
        return value

    def _operand(self, x: Any, dtype: np.dtype) -> Operand:
        """An argument of a NumPy function; numbers as arrays without axes, which it takes quicker than Python's."""
        if isinstance(x, Lazy) and x.op == "literal":
            return Operand(self._constant("literal", x.args, (), x.dtype))
        if not isinstance(x, Lazy):
            return Operand(self._constant("literal", (x,), (), dtype))
        if not number(x):
            return self.values[id(self.order.first(x))].operand(x.shape)
        if not x.weak and x.dtype != dtype:
            raise TraceError(f"a number of {x.dtype} with arrays of {dtype}")
        name = self.scratch.number(self._name(x), dtype)
        line = f"{name}[()] = {self._name(x)}"
        if line not in self.lines:
            self.lines.append(line)
        return Operand(name)

    def _copied(self, place: int, node: Lazy) -> Value:
        """What `copyto` computes: a cast, or a choice between two."""
        cast, other = node.op == "astype", node.args[-1]
        if id(node) in self.order.finals:
            value = self._line(f"r{node.serial}", f"empty({node.shape}, {self._dtype(node.dtype)})")
        else:
            takes, apart = ([], []) if cast else ([x for x in self._alone(node.args) if x is other], node.args[:2])
            value = self._target(place, node, takes, apart)
        if cast:
            self.lines.append(f"copyto({value.name}, {self._name(other)}, 'unsafe')")
            return value
        condition, (a, b) = self._name(node.args[0]), (self._operand(x, node.dtype) for x in node.args[1:])
        zero = other.args[0] if isinstance(other, Lazy) and other.op == "literal" else other
        bits = node.dtype.kind == "f" and getattr(node.args[1], "dtype", node.dtype) == node.dtype
        if bits and not isinstance(zero, Lazy) and str(float(zero)) == "0.0":
            # NumPy chooses number by number: bits under a mask are quicker, and as exact
            whole = np.dtype(f"i{node.dtype.itemsize}")
            self.scratch.scope[self._dtype(whole)] = whole
            out, source = (self._part(x, f".view({self._dtype(whole)})") for x in (value.operand(node.shape), a))
            self.lines += [f"copyto({out}, {condition})", f"{self._function('negative')}({out}, {out})"]
            self.lines.append(f"{self._function('bitwise_and')}({out}, {source}, {out})")
            return value
        if b.name != value.name:
            self.lines.append(f"copyto({value.name}, {b.name})")
        self.lines.append(f"copyto({value.name}, {a.name}, 'same_kind', {condition})")
        return value

    def _view(self, node: Lazy) -> Value:
        x, *how = node.args
        source = self.values[id(self.order.first(x))]
        text = f"{source.name}.reshape({node.shape})"
        if node.op == "matrix_transpose":
            text = f"{source.name}.T" if x.ndim == 2 else f"{source.name}.swapaxes(-1, -2)"
        elif node.op == "halves":
            text = f"{source.name}.view('int16')"
        elif node.op == "permute_dims":
            text = f"{source.name}.transpose({(how or [node.kwargs['axes']])[0]})"
        elif node.op == "getitem":
            text = f"{source.name}[{self._object(how[0])}]"
            self.scratch.scope[self._object(how[0])] = how[0]
        # a reshaped array that was not in order is a copy, of what is there by then
        if source.early and (node.op != "reshape" or source.whole) and not node.scalar:
            return Value(self.scratch.view(text), source.memory, early=True)
        self.lines.append(f"w{node.serial} = {text}")
        return Value(f"w{node.serial}", source.memory)

    def _reduction(self, place: int, node: Lazy) -> Value:
        (x,), axis, keepdims = node.args, node.kwargs.get("axis"), bool(node.kwargs.get("keepdims"))
        final, short = id(node) in self.order.finals, x.ndim == 2 and x.shape[0] >= MANY
        if short and axis in (1, -1) and x.dtype == node.dtype and not final:
            largest = node.op in ("max", "min")
            if 1 < x.shape[1] < (FEW if largest else SHORT) and node.op != "mean":
                return self._columns(place, node, x)
            if largest and 1 < x.shape[1] < TURNED:
                return self._turned(place, node, x)
        dtype = "None" if x.dtype == node.dtype else self._dtype(node.dtype)
        text = f"{self._name(x)}, {axis!r}, {dtype}, "
        value = self._call(place, node, f"{REDUCTIONS[node.op]}.reduce", text, f", {keepdims}")
        if node.op == "mean":
            count = self._constant("literal", (x.size // max(node.size, 1),), (), node.dtype)
            out = "" if final else f", {value.name}"
            text = f"{self._function('divide')}({value.name}, {count}{out})"
            self.lines.append(f"{value.name} = {text}" if final else text)
        return value

    def _columns(self, place: int, node: Lazy, x: Lazy) -> Value:
        """What each row adds up to, or its largest, when rows are short: column after column, in NumPy's order. (A sum
        of nothing but -0.0 stays that, where NumPy begins with 0.0.)"""
        value = self._target(place, node)
        source, out = self._operand(x, node.dtype), value.operand(node.shape)
        text = self._part(out, "" if node.ndim == 1 else "[:, 0]")
        columns = [self._part(source, f"[:, {j}]") for j in range(x.shape[1])]
        function, end = self._function(REDUCTIONS[node.op]), "" if node.op == "sum" else KEYWORD
        for before, column in zip([columns[0]] + [text] * (len(columns) - 2), columns[1:], strict=True):
            self.lines.append(f"{function}({before}, {column}, {end}{text})")
        return value

    def _turned(self, place: int, node: Lazy, x: Lazy) -> Value:
        """The largest or smallest of each row, when rows are short: of columns that lie in order, all rows at once."""
        value, memory = self._target(place, node), self.scratch.take(x.shape[::-1], x.dtype, place)
        turned = self.scratch.array(memory, x.shape[::-1], x.dtype)
        text = self._part(value.operand(node.shape), "" if node.ndim == 1 else "[:, 0]")
        self.lines.append(f"copyto({turned}, {self._part(self._operand(x, node.dtype), '.T')})")
        self.lines.append(f"{self._function(f'{REDUCTIONS[node.op]}.reduce')}({turned}, 0, None, {text})")
        return value
