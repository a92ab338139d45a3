"""A group of elementwise nodes as statements on one element, in Numba's dialect or in C's; and lines of source."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .graph import Node, Operand, compute_dtype
from .ops import Op

CTYPES = {"bool": "bool", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long"}
UNSIGNED = {"uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned", "uint64": "unsigned long long"}
CTYPES |= {**UNSIGNED, "float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Dialect:
    """How a language spells an operation, a cast, a number of a dtype, and the assignment of a name.

    widens : integers of fewer bits are computed in more, so each result is cast to its dtype.
    """

    spelling: Callable[[Op], str]
    cast: Callable[[str, np.dtype], str]
    literal: Callable[[Any, np.dtype], str]
    assign: Callable[[str, str, np.dtype], str]
    widens: bool


def _numba_cast(text: str, dtype: np.dtype) -> str:
    return f"np.{dtype.name}{'_' if dtype.kind == 'b' else ''}({text})"


def _numba_literal(value: Any, dtype: np.dtype) -> str:
    number = dtype.type(value).item()
    if isinstance(number, float) and not math.isfinite(number):
        return _numba_cast("np.nan" if math.isnan(number) else "np.inf" if number > 0 else "-np.inf", dtype)
    return _numba_cast(repr(number), dtype)


def c_literal(value: Any, dtype: np.dtype) -> str:
    """A number of the dtype, in C."""
    kind = CTYPES[dtype.name]
    if dtype.kind != "f":
        whole = int(value)
        return f"({kind}){whole}" if abs(whole) < 2**31 else f"({kind}){whole}LL"
    number = float(dtype.type(value))
    text = repr(number) if math.isfinite(number) else "(0.0 / 0.0)" if math.isnan(number) else "(1.0 / 0.0)"
    return f"({kind})({'-' if number == -math.inf else ''}{text})"


NUMBA = Dialect(
    spelling=lambda op: op.numba,
    cast=_numba_cast,
    literal=_numba_literal,
    assign=lambda name, text, dtype: f"{name} = {text}",
    widens=True,
)
C = Dialect(
    spelling=lambda op: op.c,
    cast=lambda text, dtype: f"({CTYPES[dtype.name]}){text}",
    literal=c_literal,
    assign=lambda name, text, dtype: f"const {CTYPES[dtype.name]} {name} = {text};",
    widens=False,
)


class Statements:
    """The nodes of a group, in order, as statements.

    lines : the statements. inputs : (node, dtype) of what they read from outside, named x0, x1, …, where the dtype is
    what a Python number is read as. names : of nodes, by serial. fills : an array full of one number is that number.
    """

    def __init__(self, nodes: Sequence[Node], dialect: Dialect, prefix: str = "x", fills: bool = True) -> None:
        self.dialect, self.prefix, self.fills = dialect, prefix, fills
        self.inside = {node.serial for node in nodes}
        self.inputs: list[tuple[Node, np.dtype]] = []
        self.lines: list[str] = []
        self.names: dict[Any, str] = {}
        for i, node in enumerate(nodes):
            name = f"t{i}"
            self.lines.append(dialect.assign(name, self._text(node), node.dtype))
            self.names[node.serial] = name

    def _text(self, node: Node) -> str:
        dtype, cast = compute_dtype(node), self.dialect.cast
        names = [self.operand(x, dtype) for x in node.operands]
        if node.op == "where":
            names[0] = self.operand(node.operands[0], np.dtype(bool))
        if node.op == "astype":
            return names[0] if node.operands[0].dtype == node.dtype else cast(names[0], node.dtype)
        if node.op == "logical_shift":
            names.append(str(node.attributes["bits"]))
        if node.op == "pow" and node.operands[1].op == "constant" and node.operands[1].value == 2:
            text = f"({names[0]} * {names[0]})"  # as NumPy's ** does
        elif self.dialect.widens:
            text = self.dialect.spelling(node.row).format(*names)
        else:
            text = self._in_c(node, names, dtype)
        return cast(text, node.dtype) if self.dialect.widens and node.dtype.kind != "b" else text

    def _in_c(self, node: Node, names: list[str], dtype: np.dtype) -> str:
        row = node.row
        if row.wraps and dtype.kind == "i":  # C++ leaves the overflow of signed integers undefined
            unsigned = UNSIGNED[f"u{dtype.name}"]
            text = row.c.format(*(f"({unsigned}){name}" for name in names))
            return f"({CTYPES[dtype.name]})({text})"
        if row.name == "abs" and dtype.kind == "f":
            return f"fabs({names[0]})"
        text = row.c.format(*names)
        # a smaller type than int is computed in int
        return f"({CTYPES[node.dtype.name]})({text})" if node.dtype.itemsize < 4 and node.dtype.kind in "iu" else text

    def operand(self, x: Node, dtype: np.dtype) -> str:
        """An operand in the dtype that the operation computes in."""
        if x.op == "constant" and x.weak:
            return self.dialect.literal(x.value, dtype)
        if x.op == "constant" or (x.op == "full" and self.fills):
            name = self.dialect.literal(x.value, x.dtype)
        elif x.serial in self.inside:
            name = self.names[x.serial]
        else:
            key = (x.serial, dtype) if x.weak else x.serial
            if key not in self.names:
                self.names[key] = f"{self.prefix}{len(self.inputs)}"
                self.inputs.append((x, dtype if x.weak else x.dtype))
            name = self.names[key]
        return name if x.weak or x.dtype == dtype else self.dialect.cast(name, dtype)


# ---------------------------------------------------------------- loops for Numba


def numba_loop(
    nodes: Sequence[Node], outputs: Sequence[Node], name: Callable[[Node, np.dtype], str], out: list[str]
) -> tuple[str, list[str]]:
    """(source, arguments) of a loop over the group. name : of an array, or of a number of a dtype, in the program;
    out : the names of the outputs there. An output that takes the place of an input is the same argument."""
    body, shape = Statements(nodes, NUMBA), nodes[0].shape
    texts = [name(*pair) for pair in body.inputs]
    arguments = list(dict.fromkeys([*texts, *out]))
    own = {text: f"a{i}" for i, text in enumerate(arguments)}
    letters = [f"i{axis}" for axis in range(len(shape))]

    def element(x: tuple[int, ...]) -> str:
        """The index of the element of an array of this shape, which is broadcast."""
        places = zip(x, letters[len(letters) - len(x) :], strict=True)
        return f"[{', '.join('0' if n == 1 else place for n, place in places) or '()'}]"

    before: list[str] = []
    inner: list[str] = []
    for i, ((x, _), text) in enumerate(zip(body.inputs, texts, strict=True)):
        (inner if x.shape else before).append(f"x{i} = {own[text]}{element(x.shape)}")
    ends = [f"{own[text]}{element(shape)} = {body.names[node.serial]}" for text, node in zip(out, outputs, strict=True)]
    heads = [f"for {k} in range({own[out[0]]}.shape[{axis}]):" for axis, k in enumerate(letters)]
    lines = [*before, *("    " * depth + head for depth, head in enumerate(heads))]
    lines += ["    " * len(heads) + line for line in [*inner, *body.lines, *ends]]
    return f"def loop({', '.join(own.values())}):\n" + "".join(f"    {line}\n" for line in lines), arguments


# ---------------------------------------------------------------- programs in Python


def index_source(index: tuple[Any, ...]) -> str:
    """A basic index, as it is written between brackets."""

    def part(x: Any) -> str:
        if type(x) is not slice:
            return "..." if x is Ellipsis else repr(x)
        ends = [("" if end is None else repr(end)) for end in (x.start, x.stop, x.step)]
        return f"{ends[0]}:{ends[1]}" + (f":{ends[2]}" if ends[2] else "")

    return ", ".join(map(part, index)) + ("," if len(index) == 1 else "")


class Source:
    """The source of a program, line by line. scope : what its names mean. names : of nodes, by serial."""

    def __init__(self, **scope: Any) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = scope
        self.names: dict[int, str] = {}

    def name(self, node: Node) -> str:
        return self.names[node.serial]

    def line(self, name: str, text: str) -> str:
        self.lines.append(f"{name} = {text}")
        return name

    def object(self, value: Any) -> str:
        """The name of anything that has no source of its own."""
        if type(value) in (int, bool, str) or value is None or value is Ellipsis:
            return repr(value)
        if type(value) is float and math.isfinite(value):
            return repr(value)
        if type(value) in (list, tuple):
            inside = "".join(f"{self.object(x)}, " for x in value)
            return f"[{inside}]" if type(value) is list else f"({inside})"
        self.scope[f"o{id(value)}"] = value
        return f"o{id(value)}"

    def nest(self, form: Any, texts: Sequence[str]) -> str:
        """The source of a nest in which an Operand stands for each of the texts."""
        if type(form) is dict:
            return "{" + ", ".join(f"{key!r}: {self.nest(x, texts)}" for key, x in form.items()) + "}"
        if type(form) in (list, tuple):
            inside = "".join(f"{self.nest(x, texts)}, " for x in form)
            return f"[{inside}]" if type(form) is list else f"({inside})"
        return texts[form.place] if isinstance(form, Operand) else self.object(form)

    def host(self, node: Node) -> str:
        """The line that computes a number, by Python."""
        operands = [self.object(x.value) if x.op == "constant" else self.name(x) for x in node.operands]
        text = node.row.host.format(*operands)
        # as the int32 that it stands for wraps
        return self.line(f"n{node.serial}", text if node.weak else f"(({text}) + 0x80000000 & 0xFFFFFFFF) - 0x80000000")

    def called(self, node: Node) -> str:
        """The line that runs an opaque call, or takes a part of what one returned."""
        if node.op == "part":
            path = "".join(f"[{key!r}]" for key in node.attributes["path"])
            return self.line(f"r{node.serial}", f"{self.name(node.operands[0])}{path}")
        self.scope[f"call{node.serial}"] = node.attributes["function"]
        arguments = self.nest(node.attributes["arguments"], [self.name(x) for x in node.operands])
        return self.line(f"r{node.serial}", f"call{node.serial}(*{arguments})")

    def kernel(self, node: Node) -> str:
        """The line that calls a function without effects."""
        self.scope[f"function{node.serial}"] = node.attributes["function"]
        arguments = ", ".join(map(self.name, node.operands))
        return self.line(f"r{node.serial}", f"function{node.serial}({arguments})")

    def library(self, node: Node) -> str:
        """A call of the library's own function, as the traced function made it."""
        args = node.attributes["args"]
        texts = ", ".join(self.nest(x, [self.name(operand) for operand in node.operands]) for x in args)
        options = "".join(f", {key}={self.object(value)}" for key, value in node.attributes["options"].items())
        return f"{node.op}({texts}{options})"

    def compiled(
        self, name: str, parameters: Iterable[str], body: Iterable[str], file: str
    ) -> tuple[str, Callable[..., Any]]:
        """(source, function)."""
        lines = [line for line in body if line] or ["pass"]
        source = f"def {name}({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)
        exec(compile(source, file, "exec"), self.scope)
        function: Callable[..., Any] = self.scope[name]
        return source, function
