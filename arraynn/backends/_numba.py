"""Elementwise rules as Numba loops, where the extra `fast` is installed: one pass over memory instead of a dozen."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from ._tracer import COMPARISONS, Loop, trace

#: functions that Numba computes in other ways than NumPy, to other bits
INEXACT = {"exp", "expm1", "log", "log1p", "tanh"}

_EXPRESSIONS = {
    "abs": "abs({0})",
    "floor": "np.floor({0})",  # math.floor makes an integer
    "maximum": "({0} if {0} >= {1} or {0} != {0} else {1})",  # nan is kept, as NumPy keeps it
    "minimum": "({0} if {0} <= {1} or {0} != {0} else {1})",
    "sign": "(one if {0} > 0 else -one if {0} < 0 else {0} + (one - one))",  # 0.0 of -0.0, nan of nan
    "square": "({0} * {0})",
    "where": "({1} if {0} else {2})",
}


@cache
def available() -> bool:
    """Whether Numba is installed. It is imported when a rule is first compiled, which takes a second or two."""
    return find_spec("numba") is not None


def source(loop: Loop) -> str:
    """The Python source of the loop, over flat arrays of one dtype. Scalars are arguments of that dtype, `one` is 1."""
    # by number, as slots may have any name, such as another variable's
    arrays = {name: f"a{i}" for i, name in enumerate(loop.arrays)}
    own = {f"{name}_": f"{array}_" for name, array in arrays.items()}
    head = f"def loop({', '.join([*arrays.values(), *loop.host, 'one'])}):\n    for i in range(a0.size):\n"
    body = [f"{array}_ = {array}[i]" for array in arrays.values()]
    truths = {name for name, op, _ in loop.lines if op in COMPARISONS}
    for name, op, inputs in loop.lines:
        args = [own.get(x, x) for x in inputs]
        if op == "astype":
            expression = f"(one if {args[0]} else one - one)" if args[0] in truths else args[0]
        elif op in _EXPRESSIONS:
            expression = _EXPRESSIONS[op].format(*args)
        elif len(args) == 2:
            expression = f"({args[0]} {op} {args[1]})"
        else:
            expression = f"math.{op}({args[0]})"
        body.append(f"{name} = {expression}")
    body += [f"{arrays[name]}[i] = {own.get(result, result)}" for name, result in loop.results.items()]
    return head + "".join(f"        {line}\n" for line in body)


def fused(
    rule: Any, p: np.ndarray, g: np.ndarray, slots: dict[str, np.ndarray], scalars: dict[str, float]
) -> Callable[..., None] | None:
    """The loop of a rule, a method of an optimizer, for such arrays; None where there is none."""
    owner = getattr(rule, "__self__", None)
    if owner is None or any(x.dtype != p.dtype for x in (g, *slots.values())):
        return None
    return compiled(rule.__func__, owner, tuple(slots), tuple(scalars))


@cache
def compiled(
    function: Callable[..., Any], owner: Any, slots: tuple[str, ...], scalars: tuple[str, ...]
) -> Callable[..., None] | None:
    """run(p, g, slots, scalars), in place on flat arrays and without Python's lock, of the rule owner.function.

    Compiled once for equal owners. None where the rule cannot be traced.
    """
    try:
        loop = trace(function.__get__(owner), slots, scalars)
    except Exception:  # whatever the rule raises of symbols
        return None  # it is right all the same, by NumPy
    if INEXACT & {op for _, op, _ in loop.lines}:
        return None
    import numba

    scope: dict[str, Any] = {"math": math, "np": np}
    exec(source(loop), scope)
    # error_model: a division by 0 is inf or nan, as NumPy's is. No fastmath: sums and products keep NumPy's bits.
    run_loop = numba.njit(nogil=True, error_model="numpy")(scope["loop"])

    def run(p: np.ndarray, g: np.ndarray, own: dict[str, np.ndarray], c: Any) -> None:
        kind = p.dtype.type
        run_loop(p, g, *(own[name] for name in slots), *map(kind, loop.constants(c)), kind(1))

    return run
