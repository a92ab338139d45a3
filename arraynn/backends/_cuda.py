"""Elementwise rules as CUDA kernels: one launch updates all leaves, in one pass over memory instead of a dozen.

The source is made here from the rule's one Array-API source and needs no header, so all of it can be compiled, and
run, on a machine without a GPU. Its arithmetic is that of CuPy's own kernels, one rounding an operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ._tracer import COMPARISONS, Loop, trace

TYPES = {"float32": "float", "float64": "double"}
THREADS = 256
BLOCKS = 2048  #: of threads, in a leaf, at most: each thread then takes several elements
LEAVES = 16  #: in one launch: their pointers are its arguments, of which CUDA takes 4 KB
# Not contracted to fused multiply-adds: these kernels wait for memory anyway, and keep the portable rule's bits so.
OPTIONS = ("--fmad=false",)

_EXPRESSIONS = {
    "abs": "fabs({0})",
    "maximum": "({0} >= {1} || {0} != {0} ? {0} : {1})",  # nan is kept, as NumPy keeps it
    "minimum": "({0} <= {1} || {0} != {0} ? {0} : {1})",
    "sign": "({0} > 0 ? T(1) : {0} < 0 ? T(-1) : {0} + T(0))",  # 0.0 of -0.0, nan of nan
    "square": "({0} * {0})",
    "where": "({0} ? {1} : {2})",
    "astype": "T({0})",
}


def body(loop: Loop) -> list[str]:
    """The loop's statements for one element: from `p_`, `g_`, … to what is assigned to them."""
    lines = []
    for name, op, args in loop.lines:
        if op in _EXPRESSIONS:
            expression = _EXPRESSIONS[op].format(*args)
        elif len(args) == 2:
            expression = f"{args[0]} {op} {args[1]}"
        else:
            expression = f"{op}({args[0]})"
        lines.append(f"const {'bool' if op in COMPARISONS else 'T'} {name} = {expression};")
    return lines


def source(loop: Loop, dtype: str, leaves: int) -> str:
    """The source of a kernel `update` over that many leaves of one dtype: blockIdx.y tells which.

    Its arguments: for each leaf the number of elements and a pointer for each of the loop's arrays, flat and
    C-contiguous; then the values of the loop's host expressions, in the dtype.
    """
    written = {name for name in loop.arrays if name in loop.results}
    kinds = {name: ("T*" if name in written else "const T*") for name in loop.arrays}
    arguments = [
        part
        for i in range(leaves)
        for part in (f"long long n{i}", *(f"{kind} a{i}_{name}" for name, kind in kinds.items()))
    ]
    arguments += [f"T {name}" for name in loop.host]
    cases = [
        f"    case {i}: n = n{i}; {' '.join(f'a_{name} = a{i}_{name};' for name in loop.arrays)} break;"
        for i in range(leaves)
    ]
    lines = [
        f"typedef {TYPES[dtype]} T;",
        f'extern "C" __global__ void update({", ".join(arguments)}) {{',
        f"  long long n = 0; {' '.join(f'{kind} a_{name} = 0;' for name, kind in kinds.items())}",
        "  switch (blockIdx.y) {",
        *cases,
        "  }",
        "  const long long stride = (long long)gridDim.x * blockDim.x;",
        "  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {",
        *(f"    const T {name}_ = a_{name}[i];" for name in loop.arrays),
        *(f"    {line}" for line in body(loop)),
        *(f"    a_{name}[i] = {result};" for name, result in loop.results.items()),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


@cache
def traced(function: Callable[..., Any], owner: Any, slots: tuple[str, ...], scalars: tuple[str, ...]) -> Loop | None:
    """The loop of the rule owner.function, for equal owners once; None where it cannot be traced."""
    if not all(name.isidentifier() and name.isascii() for name in slots):
        return None
    try:
        return trace(function.__get__(owner), slots, scalars)
    except Exception:  # whatever the rule raises of symbols
        return None  # it is right all the same, one kernel an operation


def signature(rule: Any, slots: Mapping[str, Any], scalars: Mapping[str, float]) -> Any:
    """The arguments of `traced` for a rule, a method of an optimizer; None where it is none."""
    owner = getattr(rule, "__self__", None)
    return None if owner is None else (rule.__func__, owner, tuple(slots), tuple(scalars))


def fits(leaf: tuple[Any, Any, Mapping[str, Any]]) -> bool:
    """Whether a kernel may go through the leaf's memory: one dtype, one shape, one device, C-contiguous throughout."""
    p, g, slots = leaf
    return str(p.dtype) in TYPES and all(
        x.dtype == p.dtype and x.shape == p.shape and x.device == p.device and x.flags.c_contiguous
        for x in (p, g, *slots.values())
    )


def launch(kernel: Any, loop: Loop, leaves: list[tuple[Any, Any, Mapping[str, Any]]], constants: list[Any]) -> None:
    """Start the kernel of `source` over these leaves, on the current device and stream."""
    arguments: list[Any] = []
    for p, g, slots in leaves:
        arrays = {"p": p, "g": g, **slots}
        arguments += [np.int64(p.size), *(arrays[name] for name in loop.arrays)]
    most = max(p.size for p, _, _ in leaves)
    kernel((max(1, min(BLOCKS, -(-most // THREADS))), len(leaves)), (THREADS,), (*arguments, *constants))
