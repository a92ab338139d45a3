"""The operations that a traced array knows: names in the standard, Python's operators, and what each kind is."""

from __future__ import annotations

from threading import local
from typing import Any

OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow", "and": "bitwise_and",
    "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}  # fmt: skip
ELEMENTWISE = {
    *OPERATORS.values(), "abs", "exp", "expm1", "floor", "isfinite", "isnan", "log", "log1p", "logical_and",
    "logical_not", "logical_or", "maximum", "minimum", "negative", "sign", "sqrt", "square", "tanh", "where",
}  # fmt: skip
COMPARISONS = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}
LIBRARY = {"all", "any", "argmax", "concat", "max", "mean", "min", "permute_dims", "std", "sum", "take"}
ABOUT = {"finfo", "iinfo", "isdtype", "result_type"}  # asked of dtypes, answered at once
VIEWS = {"getitem", "halves", "matrix_transpose", "permute_dims", "reshape"}
IN_PLACE = ("add", "sub", "mul", "truediv", "pow", "and", "or", "xor", "lshift", "rshift")
#: what Python computes of two numbers, or of one
PYTHON = {
    "add": "({} + {})", "subtract": "({} - {})", "multiply": "({} * {})", "divide": "({} / {})", "pow": "({} ** {})",
    "bitwise_and": "({} & {})", "bitwise_or": "({} | {})", "bitwise_xor": "({} ^ {})",
    "bitwise_left_shift": "({} << {})", "bitwise_right_shift": "({} >> {})", "negative": "(-{})", "abs": "abs({})",
}  # fmt: skip
_thread = local()


class TraceError(TypeError):
    """What the function does is not certain to be traced right; it runs as it is."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        _thread.refusals = refusals() + 1


def refusals() -> int:
    """How many operations were refused in this thread. A function may catch the error, and take another path."""
    return getattr(_thread, "refusals", 0)


def known(op: str, x: Any, y: Any = None, *_: Any) -> Any:
    """What was computed before: t > 0, of a truth value as a number t, is the truth value, and where(t, x, 0) times t
    is what it was."""
    truth = truth_of(x)
    if op == "greater" and truth is not None and is_zero(y):
        return truth
    if op == "multiply" and getattr(x, "op", None) == "where":
        choice, _, other = x.args  # where(truth, …, 0) times truth
        return x if choice is truth_of(y) and is_zero(other) and (x.shape, x.dtype) == (y.shape, y.dtype) else None
    return None


def truth_of(x: Any) -> Any:
    """The truth values that x is made of, as 0 and 1."""
    cast = getattr(x, "op", None) == "astype" and x.args[0].dtype.kind == "b"
    return x.args[0] if cast else None


def is_zero(x: Any) -> bool:
    x = x.args[0] if getattr(x, "op", None) == "literal" else x
    return type(x) in (int, float) and x == 0


def of_numbers(op: str, args: tuple[Any, ...]) -> str:
    """The dtype that stands for what Python's operator makes of its numbers."""
    kinds = ["f" if (x.dtype.kind == "f" if hasattr(x, "dtype") else type(x) is float) else "i" for x in args]
    if op not in PYTHON or (op.startswith("bitwise") and "f" in kinds):
        raise TraceError(f"{op} of numbers alone, which gives a NumPy scalar")
    if op == "pow" and not (_positive(args[1]) if kinds == ["i", "i"] else kinds[1] == "i" or _positive(args[0])):
        raise TraceError("a power of two numbers, whose type depends on them")
    return "float64" if "f" in kinds or op == "divide" else "int64"


def _positive(x: Any) -> bool:
    return type(x) in (int, float) and x >= 0
