"""An optimizer's rule as one loop over the elements of arrays, for Numba and for CUDA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from .fusion import fits
from .graph import Graph, Node, TraceError, reachable
from .opaque import traced_elements
from .passes import simplify
from .render import NUMBA, Source, Statements
from .render import C as CUDA
from .signature import Signature

CUDA_TYPES = {"float32": "float", "float64": "double"}


class Rule:
    """rule(p, g, slots, scalars) -> p, slots, on elements. arrays : p, g and the slots, in this order.

    written : (which array, node) of what the rule returns anew. exact : Numba gives NumPy's bits.
    """

    def __init__(self, rule: Callable[..., Any], slots: tuple[str, ...], scalars: Any, dtype: np.dtype) -> None:
        graph = Graph()
        self.dtype, self.signature = dtype, Signature(graph, (scalars,))
        shape = (1 << 40,)  # of a tracer only: no array of this size is made
        self.arrays = [graph.node("input", (), shape, dtype, name=i) for i in range(2 + len(slots))]
        p, g, *own = self.arrays
        named = dict(zip(slots, own, strict=True))
        q, new = traced_elements(graph, rule, p, g, named, self.signature.tracers[0])
        if graph.refusal:
            raise TraceError(graph.refusal)
        outputs = simplify(graph, [q, *(new[name] for name in slots)])
        if graph.effects:
            raise TraceError("a rule that calls what the compiler does not see")
        targets = [0, *range(2, 2 + len(slots))]
        self.written = [(i, x) for i, x in zip(targets, outputs, strict=True) if x is not self.arrays[i]]
        order = reachable([x for _, x in self.written])
        self.nodes = [x for x in order if x.elementwise]
        known = {x.serial for x in (*self.nodes, *self.arrays)}
        if any(x.serial not in known and not x.host and x.op not in ("constant", "full") for x in order):
            raise TraceError("a rule with arrays that are made of nothing")
        self.exact = all(map(fits, self.nodes))
        self._numbers = self._host(order)

    def _host(self, order: list[Node]) -> Callable[[Any], tuple[Any, ...]]:
        """scalars -> the values of what depends on them alone, computed once by Python."""
        body = Statements(self.nodes, CUDA)
        self._operands(body)
        self.numbers = [x for x, _ in body.inputs if x.host]
        source = Source(**self.signature.scope)
        source.names = dict(self.signature.names)
        for node in order:
            if node.host and node.serial not in source.names:
                source.names[node.serial] = source.host(node)
        values = "".join(f"{source.name(x)}, " for x in self.numbers)
        lines = [*self.signature.guards, *source.lines, f"return ({values})"]
        return source.compiled("numbers", self.signature.parameters, lines, "<rule>")[1]

    def constants(self, scalars: Mapping[str, Any]) -> list[Any]:
        """Those values in the arrays' dtype, for these scalars."""
        return [self.dtype.type(x) for x in self._numbers(scalars)]

    def _operands(self, body: Statements) -> list[str]:
        return [body.operand(x, x.dtype) for _, x in self.written]

    def _body(self, dialect: Any, end: str) -> tuple[list[str], list[str], list[int]]:
        """(what is read, the statements and what is written, the arrays that are read): a0, a1, … at element i, and the
        numbers c0, c1, …"""
        body = Statements(self.nodes, dialect)
        results = self._operands(body)
        place = {x.serial: i for i, x in enumerate(self.arrays)}
        texts, count, read = [], 0, []
        for k, (x, dtype) in enumerate(body.inputs):
            if x.host:
                texts.append(dialect.assign(f"x{k}", f"c{count}", dtype))
                count += 1
            else:
                texts.append(dialect.assign(f"x{k}", f"a{place[x.serial]}[i]", dtype))
                read.append(place[x.serial])
        stores = [f"a{i}[i] = {text}{end}" for (i, _), text in zip(self.written, results, strict=True)]
        return texts, [*body.lines, *stores], read

    def numba(self) -> str:
        """The source of loop(a0, a1, …, c0, c1, …), over flat arrays of the dtype."""
        reads, lines, _ = self._body(NUMBA, "")
        parameters = [f"a{i}" for i in range(len(self.arrays))] + [f"c{i}" for i in range(len(self.numbers))]
        body = "".join(f"        {line}\n" for line in [*reads, *lines]) or "        pass\n"
        return f"def loop({', '.join(parameters)}):\n    for i in range(a0.size):\n{body}"

    def cuda(self, leaves: int, pointers: bool = False) -> str:
        """The source of a kernel `update` over that many leaves of the dtype: blockIdx.y tells which.

        Its arguments: for each leaf the number of elements and a pointer for each of the arrays, flat and contiguous;
        then the numbers, in the dtype. pointers : or pointers to the numbers.
        """
        reads, lines, _ = self._body(CUDA, ";")
        written = {i for i, _ in self.written}
        kinds = ["T*" if i in written else "const T*" for i in range(len(self.arrays))]
        arguments = []
        for leaf in range(leaves):
            arguments += [f"long long n{leaf}", *(f"{kind} a{leaf}_{i}" for i, kind in enumerate(kinds))]
        arguments += [f"const T* q{i}" if pointers else f"T c{i}" for i in range(len(self.numbers))]
        numbers = [f"  const T c{i} = *q{i};" for i in range(len(self.numbers))] if pointers else []
        cases = []
        for leaf in range(leaves):
            taken = " ".join(f"a{i} = a{leaf}_{i};" for i in range(len(kinds)))
            cases.append(f"    case {leaf}: n = n{leaf}; {taken} break;")
        source = [
            f"typedef {CUDA_TYPES[self.dtype.name]} T;",
            f'extern "C" __global__ void update({", ".join(arguments)}) {{',
            f"  long long n = 0; {' '.join(f'{kind} a{i} = 0;' for i, kind in enumerate(kinds))}",
            *numbers,
            "  switch (blockIdx.y) {",
            *cases,
            "  }",
            "  const long long stride = (long long)gridDim.x * blockDim.x;",
            "  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {",
            *(f"    {line}" for line in [*reads, *lines]),
            "  }",
            "}",
        ]
        return "\n".join(source) + "\n"


def rule_of(rule: Callable[..., Any], slots: tuple[str, ...], scalars: Any, dtype: Any) -> Rule | None:
    """The rule as a loop, for equal rules, scalars of equal form and the dtype once; None where it is no elementwise
    one, where something in it cannot be traced, or where it is no method, whose owner tells equal rules."""
    if getattr(rule, "__self__", None) is None:
        return None
    try:
        return _rule(rule, slots, _Form(scalars), np.dtype(dtype))
    except TypeError:  # a rule that cannot be hashed, or a dtype that is not NumPy's
        return None


class _Form:
    """Scalars, equal to others of the same names and types."""

    def __init__(self, scalars: Any) -> None:
        self.scalars = scalars
        self.key = _kinds(scalars)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Form) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _kinds(nest: Any) -> Any:
    if isinstance(nest, Mapping):
        return tuple((key, _kinds(x)) for key, x in nest.items())
    return nest if nest is None or type(nest) in (bool, str) else type(nest)


@lru_cache(maxsize=256)
def _rule(rule: Callable[..., Any], slots: tuple[str, ...], form: _Form, dtype: np.dtype) -> Rule | None:
    try:
        return Rule(rule, slots, form.scalars, dtype)
    except Exception:  # whatever the rule raises on tracers: it is right all the same, by the library's functions
        return None
