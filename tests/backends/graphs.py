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
from arraynn.compiler.cuda_launch import BlockKernel
from arraynn.compiler.graph import Node, compute_dtype
from arraynn.compiler.splits import Split, reduced

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


def evaluated(kernel: Kernel | BlockKernel, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs, by the library's functions one after the other."""
    values: dict[int, Any] = {node.serial: array for node, array in zip(kernel.inputs, arrays, strict=True)}
    groups = kernel.groups if isinstance(kernel, BlockKernel) else [None]
    for group in groups:
        for node in kernel.nodes if group is None else group.nodes:
            if node.serial not in values:
                values[node.serial] = _value(node, values, None if group is None else group.split)
    return [np.broadcast_to(values[node.serial], node.shape) for node in kernel.outputs]


def _value(node: Node, values: dict[int, Any], split: Split | None) -> Any:
    if split is not None and (x := reduced(node)) is not None:
        return in_lanes(node, np.asarray(_operand(x, values)), split)
    args = [_operand(arg, values) for arg in node.operands]
    if node.kind == "view":
        if node.op == "getitem":
            return args[0][node.attributes["index"]]
        return np.broadcast_to(args[0], node.shape) if node.op == "broadcast_to" else args[0].reshape(node.shape)
    if node.op == "logical_shift":
        return (args[0].view("uint32") >> np.uint32(node.attributes["bits"])).view("int32")
    if node.op in ROUNDED and not squares(node):
        function = np.vectorize(of_the_host(f"{node.op}_{node.dtype.name}"), otypes=[node.dtype])
        return np.asarray(function(*args))
    if squares(node):
        return args[0] * args[0]
    if node.op == "astype":
        return host.astype(np.asarray(args[0]), node.dtype)
    return getattr(host, node.op)(*(np.asarray(x) if isinstance(x, np.generic) else x for x in args))


def _operand(x: Node, values: dict[int, Any]) -> Any:
    if x.op == "full" and x.serial not in values:  # a launch has it in its source
        return np.full(x.shape, x.value, x.dtype)
    return x.value if x.op == "constant" else values[x.serial]


def in_lanes(node: Node, x: np.ndarray, split: Split) -> np.ndarray:
    """A reduction in the order that its kernel promises: each lane takes every `lanes`-th number, in order, and then
    the lanes are joined pairwise, the first half with the second."""
    lead = split.lead
    flat = x.reshape(int(np.prod(x.shape[:lead])), -1)
    flat = flat.T if split.rows else flat  # (length, results)
    if node.op in ("argmax", "argmin"):
        return np.asarray(getattr(np, node.op)(flat, axis=0)).reshape(node.shape).astype(node.dtype)
    join = {"max": np.maximum, "min": np.minimum}.get(node.op, np.add)
    begin = {"max": -np.inf, "min": np.inf}.get(node.op, 0)
    if node.dtype.kind == "i" and begin:
        begin = np.iinfo(node.dtype).min if node.op == "max" else np.iinfo(node.dtype).max
    lanes = np.full((split.lanes, flat.shape[1]), begin, node.dtype)
    for start in range(0, len(flat), split.lanes):
        part = flat[start : start + split.lanes].astype(node.dtype)
        lanes[: len(part)] = join(lanes[: len(part)], part)
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = join(lanes[:half], lanes[half:])
    total = lanes[0] / node.dtype.type(len(flat)) if node.op == "mean" else lanes[0]
    return np.asarray(total, node.dtype).reshape(node.shape)


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


def drawn(kernel: Kernel | BlockKernel, rng: np.random.Generator) -> list[np.ndarray]:
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
