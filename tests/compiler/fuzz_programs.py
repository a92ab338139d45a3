"""Random user programs, compiled and plain: views, aliases, in-place operators, mixed dtypes, reductions, constants.

A program is a function's source, made line by line; a line that raises on sample arguments is left out. It is compiled
by the NumPy backend and called several times, with other values and other shapes, and each result is compared with the
function itself, and so are the arguments and the results of earlier calls. A program that the tracer refuses runs as it
is and is counted; one that differs fails. Reductions may add in another order, so floats are compared within a bound.

python -m tests.compiler.fuzz_programs 2000 --seed 1
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from arraynn import tree
from arraynn._array import namespace

from .programs import ENGINE, copied, outcome

BINARY = ["+", "-", "*", "/", "**", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^", "<<", ">>", "//", "%"]
LIKELY = ["+", "-", "*", "+", "-", "*", ">", "/"]
UNARY = [
    "abs",
    "exp",
    "expm1",
    "floor",
    "isfinite",
    "isnan",
    "log",
    "log1p",
    "negative",
    "sign",
    "sqrt",
    "square",
    "tanh",
]
UNARY += ["logical_not", "ceil", "round", "trunc"]
REDUCTIONS = ["sum", "mean", "max", "min", "any", "all", "argmax", "std"]
KINDS = ["float32", "float64", "int32", "int64", "int16", "bool"]
INDICES = [
    "[:,:1]",
    "[1:]",
    "[:,::-1]",
    "[::-1]",
    "[0]",
    "[-1]",
    "[0,0]",
    "[0,0,...]",
    "[None]",
    "[...,0]",
    "[::2]",
    "[:2]",
    "[2:5,1:]",
]
FANCY = ["[[1,0,1]]", "[:,[0,1]]", "[ROWS]", "[MASK]", "[:,COLUMNS]", "[np.int64(1)]"]
NUMBERS = [
    "0",
    "0.0",
    "-0.0",
    "1",
    "2",
    "-1",
    "0.5",
    "2.0",
    "-3.5",
    "True",
    "t",
    "f",
    "t",
    "f",
    "SCALE",
    "1e30",
    "100000",
]
CONSTANTS: dict[str, Any] = {
    "ROWS": np.array([2, 0, 1]), "COLUMNS": np.array([1, 0]), "MASK": np.array([True, False, True]), "SCALE": 0.25,
    "K0": np.arange(3000) % 3, "K1": (np.arange(3000) % 3) * (np.arange(3000) != 1501), "np": np,
}  # fmt: skip
SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-310, 1e30, 2.0**31, -(2.0**31)]


def arguments(rng: random.Random, rows: int, columns: int, dtype: str, special: bool) -> tuple[Any, ...]:
    """x, z : (rows, columns), v : (columns,), i : integers (rows, columns), t, f : numbers. Sums of their values are
    exact, unless special ones are among them."""
    draw = np.random.default_rng(rng.randrange(2**32))
    x, z = (draw.integers(-12, 12, (rows, columns)) / 4 for _ in range(2))
    if special:
        for _ in range(3):
            x[draw.integers(rows), draw.integers(columns)] = draw.choice(SPECIAL)
    v, i = draw.integers(-8, 8, columns) / 4, draw.integers(-5, 9, (rows, columns))
    with np.errstate(all="ignore"):
        return x.astype(dtype), z.astype(dtype), v.astype(dtype), i.astype(rng.choice(["int32", "int64"])), 0, 0.0


class Program:
    """lines : of the body. function : what they make."""

    def __init__(self, seed: str) -> None:
        rng = self.rng = random.Random(seed)
        self.dtype = rng.choice(["float32", "float64"])
        self.kind = rng.choice(["int32", "int64"])
        self.rows, self.columns = rng.choice([3, 5, 40]), rng.choice([2, 3, 9])
        self.large = False
        large = rng.random() < 0.05  # enough for Numba's loops, and then no array of rows times rows
        self.rows = 40 if large else self.rows
        most = 2 * self.rows * self.columns if large else 20_000
        self.lines: list[str] = []
        names, sample = ["x", "z", "v", "i"], self.call()
        for _ in range(rng.randint(2, 14)):
            target = rng.choice(names[4:]) if len(names) > 4 and rng.random() < 0.4 else f"y{len(names)}"
            line = self.line(names, target)
            self.lines.append(line)
            found = outcome(self.made(f"return {target if line.startswith(f'{target} ') else 'x'},"), copied(sample))
            arrays = not isinstance(found, type) and all(isinstance(x, (np.ndarray, np.generic)) for x in found)
            if not arrays or any(x.size > most for x in found):
                self.lines.pop()
            elif line.startswith(f"{target} ") and target not in names:
                names.append(target)
        results = [rng.choice(names) for _ in range(rng.randint(1, 3))]
        last = (
            f"return {{'a': {results[0]}}}, [{', '.join(results)}]"
            if rng.random() < 0.3
            else f"return {', '.join(results)},"
        )
        self.source = "\n    ".join(["def function(x, z, v, i, t, f):", "xp = namespace(x)", *self.lines, last])
        self.function = self.made(last)
        self.large = large
        self.donate = rng.choice([(), (), (0,)])

    def call(self, rows: int = 0, special: bool = False) -> tuple[Any, ...]:
        x, z, v, i, _, _ = arguments(self.rng, rows or self.rows, self.columns, self.dtype, special)
        if self.large and not rows:
            x, z, i = (np.tile(a, (66_000 // a.size + 1, 1)) for a in (x, z, i))
        t = self.rng.choice([1, 2, 3, 7])
        return x, z, v, i.astype(self.kind), t, t / 4

    def made(self, last: str) -> Callable[..., Any]:
        body = "".join(f"    {line}\n" for line in ["xp = namespace(x)", *self.lines, last])
        scope = {"namespace": namespace, **CONSTANTS}
        exec(f"def function(x, z, v, i, t, f):\n{body}", scope)
        function: Callable[..., Any] = scope["function"]
        return function

    def line(self, names: list[str], target: str) -> str:
        rng = self.rng
        pick = lambda: rng.choice(names[-4:] if rng.random() < 0.6 else names)  # noqa: E731
        own = lambda: rng.choice(names[4:] if names[4:] and rng.random() < 0.95 else names)  # noqa: E731
        operand = lambda: rng.choice(NUMBERS) if rng.random() < 0.3 else pick()  # noqa: E731
        axis = rng.choice(["", ", axis=0", ", axis=1", ", axis=-1, keepdims=True", ", axis=0, keepdims=True"])
        forms = [
            *[f"{target} = {pick()} {rng.choice(LIKELY if rng.random() < 0.7 else BINARY)} {operand()}"] * 4,
            f"{target} = {operand()} {rng.choice(LIKELY)} {pick()}",
            *[f"{own()} {rng.choice(LIKELY[:6] if rng.random() < 0.7 else [*BINARY[:5], *BINARY[11:]])}= {operand()}"]
            * 3,
            *[f"{target} = {pick()}"] * 2,
            *[f"{target} = {pick()}{rng.choice(FANCY if rng.random() < 0.1 else INDICES)}"] * 3,
            f"{target} = xp.{rng.choice(UNARY)}({pick()})",
            f"{target} = xp.{rng.choice(REDUCTIONS)}({pick()}{axis})",
            f"{target} = xp.astype({pick()}, xp.{rng.choice(KINDS)}{rng.choice(['', '', ', copy=False'])})",
            f"{target} = xp.where({pick()} > {operand()}, {operand()}, {operand()})",
            f"{target} = xp.{rng.choice(['maximum', 'minimum', 'pow', 'logical_and'])}({pick()}, {operand()})",
            f"{target} = xp.clip({pick()}, {rng.choice(['None', '-1.0', '0'])}, {rng.choice(['None', '1.0', '2'])})",
            f"{target} = xp.matrix_transpose({pick()})",
            f"{target} = xp.reshape({pick()}, (-1,))",
            f"{target} = xp.reshape({pick()}, {pick()}.shape)",
            f"{target} = xp.permute_dims({pick()}, (1, 0))",
            f"{target} = {pick()} @ xp.matrix_transpose({pick()})",
            f"{target} = xp.concat([{pick()}, {pick()}])",
            f"{target} = xp.take({pick()}, {rng.choice(['ROWS', 'K0', 'K1'])}, axis=0)",
            f"{target} = {rng.choice(['xp.zeros_like', 'xp.ones_like'])}({pick()})",
            f"{target} = xp.asarray({rng.choice(['0.1', '2', '-0.0'])}, dtype={pick()}.dtype)",
            f"{target} = ({pick()}, {pick()})[{rng.choice('01')}]",
        ]
        return rng.choice(forms)


def close(got: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return type(got) is dict and list(got) == list(expected) and all(close(got[k], expected[k]) for k in expected)
    if isinstance(expected, (list, tuple)):
        return type(got) is type(expected) and len(got) == len(expected) and all(map(close, got, expected))
    if not isinstance(expected, (np.ndarray, np.generic)):
        return type(got) is type(expected) and got == expected
    if (got.dtype, got.shape) != (expected.dtype, expected.shape):
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(got, expected))
    bound = 1e-4 if expected.dtype == np.float32 else 1e-10
    with np.errstate(all="ignore"):
        return bool(np.allclose(got, expected, bound, bound, equal_nan=True))


class Refusals(logging.Handler):
    """Counts why programs were refused."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "runs as it is" in record.getMessage():
            self.reasons.append(record.getMessage().rsplit("as it is: ", 1)[-1])


def tried(program: Program) -> str:
    """ "", or how the compiled program differs."""
    compiled, kept = ENGINE.compile(program.function, donate=program.donate), []
    for rows, special in ((0, False), (0, True), (4, False), (0, False), (4, True)):
        arguments = program.call(rows, special)
        theirs, ours = copied(arguments), copied(arguments)
        expected, got = outcome(program.function, theirs), outcome(compiled, ours)
        if isinstance(expected, type) or isinstance(got, type):
            if got is not expected:
                return f"raises {got} for {expected}"
            continue
        if not close(got, expected):
            return f"call of {rows or program.rows} rows: {got}\nfor {expected}"
        if any(not close(a, b) for k, (a, b) in enumerate(zip(ours, theirs, strict=True)) if k not in program.donate):
            return "an argument was written to, or was not"
        shared = any(np.may_share_memory(x, y) for x in tree.leaves(got) for y in ours if isinstance(y, np.ndarray))
        if not shared:
            kept.append((got, copied(got)))
        if any(not close(a, b) for a, b in kept):
            return "the results of an earlier call changed"
    return ""


def run(count: int, seed: int = 0) -> tuple[Counter[str], int]:
    """Try so many programs: (reasons of refusals, programs compiled). AssertionError where one differs."""
    handler, logger = Refusals(), logging.getLogger("arraynn")
    level, compiled, reasons = logger.level, 0, Counter[str]()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        for number in range(count):
            program = Program(f"{seed} {number}")
            handler.reasons.clear()
            difference = tried(program)
            if difference:
                raise AssertionError(
                    f"program {number} of seed {seed}, {program.dtype}:\n{program.source}\n{difference}"
                )
            compiled += not handler.reasons
            reasons.update(handler.reasons[:1])
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return reasons, compiled


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    reasons, compiled = run(options.count, options.seed)
    print(f"{options.count:,} programs, none differs; {compiled:,} compiled, {options.count - compiled:,} refused:")
    for reason, times in reasons.most_common(20):
        print(f"{times:6,}  {reason[:100]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
