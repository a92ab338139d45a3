"""What a fused kernel was made of, computed in two other ways than by its C++: function by function on NumPy's arrays,
which is the portable rule, and as the source of a Numba loop."""

from __future__ import annotations

import ctypes
import ctypes.util
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import array_api_compat.numpy as host
import numpy as np

from arraynn.compiler.cuda_codegen import Kernel
from arraynn.compiler.graph import Node, compute_dtype

#: of an element: {0}, {1}, … are the operands, in the dtype that the operation computes in
TEXTS = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}",
    "bitwise_and": "{0} & {1}", "bitwise_or": "{0} | {1}", "bitwise_xor": "{0} ^ {1}",
    "bitwise_left_shift": "{0} << {1}", "bitwise_right_shift": "{0} >> {1}",
    "less": "{0} < {1}", "less_equal": "{0} <= {1}", "greater": "{0} > {1}", "greater_equal": "{0} >= {1}",
    "equal": "{0} == {1}", "not_equal": "{0} != {1}", "logical_and": "{0} and {1}", "logical_or": "{0} or {1}",
    "logical_not": "not {0}", "negative": "-{0}", "square": "{0} * {0}", "astype": "{0}",
    "where": "{1} if {0} else {2}",
}  # fmt: skip

#: rounded differently by each mathematical library: the host's is taken in every way of computing a kernel
ROUNDED = {"exp", "expm1", "log", "log1p", "pow", "tanh"}


@cache
def of_the_host(name: str) -> Any:
    """C's own function: expf for "exp_float32". NumPy's are others, and so may Numba's be."""
    function, _, dtype = name.partition("_")
    single = dtype == "float32"
    found = getattr(ctypes.CDLL(ctypes.util.find_library("m")), function + ("f" if single else ""))
    kind = ctypes.c_float if single else ctypes.c_double
    found.restype, found.argtypes = kind, [kind] * (2 if function == "pow" else 1)
    return found


def squares(node: Node) -> bool:
    """Whether it is x², which NumPy multiplies, too."""
    return node.op == "pow" and node.operands[1].op == "constant" and node.operands[1].value == 2


def evaluated(kernel: Kernel, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs, by the library's functions one after the other."""
    values: dict[int, Any] = {node.serial: array for node, array in zip(kernel.inputs, arrays, strict=True)}
    for node in kernel.nodes:
        args = [arg.value if arg.op == "constant" else values[arg.serial] for arg in node.operands]
        if node.op == "logical_shift":
            values[node.serial] = (args[0].view("uint32") >> np.uint32(node.attributes["bits"])).view("int32")
        elif node.op in ROUNDED and not squares(node):
            function = np.vectorize(of_the_host(f"{node.op}_{node.dtype.name}"), otypes=[node.dtype])
            values[node.serial] = np.asarray(function(*args))
        elif squares(node):
            values[node.serial] = args[0] * args[0]
        elif node.op == "astype":
            values[node.serial] = host.astype(args[0], node.dtype)
        else:
            values[node.serial] = getattr(host, node.op)(*args)
    return [np.broadcast_to(values[node.serial], node.shape) for node in kernel.outputs]


def numba_source(kernel: Kernel) -> str:
    """`loop(a0, a1, …, o0, o1, …)` over flat arrays, with `of_the_host`'s functions under their names.

    Numba widens int32, so each integer is cast back as it is made.
    """
    names = {node.serial: f"a{i}[i]" for i, node in enumerate(kernel.inputs)}
    lines = []
    for node in kernel.nodes:
        names[node.serial] = f"t{len(lines)}"
        lines.append(f"        t{len(lines)} = np.{node.dtype.name}({''.join(_text(node, names))})")
    lines += [f"        o{i}[i] = {names[node.serial]}" for i, node in enumerate(kernel.outputs)]
    arrays = [f"a{i}" for i in range(len(kernel.inputs))] + [f"o{i}" for i in range(len(kernel.outputs))]
    return "\n".join([f"def loop({', '.join(arrays)}):", "    for i in range(o0.size):", *lines, ""])


def _text(node: Node, names: dict[int, str]) -> Iterator[str]:
    common = compute_dtype(node)
    kinds = [np.dtype(bool) if node.op == "where" and i == 0 else common for i in range(len(node.operands))]
    args = [
        f"np.{kind.name}({_number(arg.value) if arg.op == 'constant' else names[arg.serial]})"
        for arg, kind in zip(node.operands, kinds, strict=True)
    ]
    if node.op == "logical_shift":
        yield f"np.uint32({args[0]}) >> np.uint32({node.attributes['bits']})"
        return
    if squares(node):
        yield f"{args[0]} * {args[0]}"
        return
    function = f"{node.op}_{node.dtype.name}" if node.op in ROUNDED else f"np.{node.op}"
    yield TEXTS[node.op].format(*args) if node.op in TEXTS else f"{function}({', '.join(args)})"


def _number(value: Any) -> str:
    number = value if isinstance(value, (bool, int, float)) else value.item()
    return repr(number) if math.isfinite(number) else f"{'-' if number < 0 else ''}np.{abs(number)}"


def drawn(kernel: Kernel, rng: np.random.Generator) -> list[np.ndarray]:
    """Random arrays for the inputs: floats of every size, a few of them 0, infinite or nan; any integer."""
    arrays = []
    for node in kernel.inputs:
        if node.dtype.kind == "f":
            x = rng.standard_normal(node.shape) * 10.0 ** rng.uniform(-3, 2, node.shape)
            odd = rng.choice([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan], node.shape)
            x = np.where(rng.random(node.shape) < 0.1, odd, x)
        else:
            x = rng.integers(0, 2 if node.dtype.kind == "b" else np.iinfo(node.dtype).max, node.shape)
            if node.dtype.kind == "i":
                x = np.where(rng.random(node.shape) < 0.5, -x, x % 7)
        arrays.append(np.asarray(x, node.dtype))
    return arrays
