"""The one table of operations: what each is, and how NumPy, Python, Numba and CUDA C spell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Op:
    """One operation.

    kind : "elementwise", "view", "reduction", "product", "library" (any other function, which returns a new array),
        "source" (no operands), "opaque" (runs code that the compiler does not see, with effects).
    operator : Python's special method. ufunc : NumPy's function; of a reduction, the ufunc that is reduced with.
    host : the operation on Python numbers. numba, c : on one element; {0}, {1}, … are operands in the dtype in which
        the operation computes. Empty where a renderer has no spelling.
    exact : Numba's version has NumPy's bits. floating : it is spelled for floats only. wraps : signed integers wrap.
    """

    name: str
    kind: str = "elementwise"
    operator: str = ""
    ufunc: str = ""
    host: str = ""
    numba: str = ""
    c: str = ""
    exact: bool = False
    floating: bool = False
    wraps: bool = False


def _infix(name: str, operator: str, symbol: str, ufunc: str = "", wraps: bool = False, floating: bool = False) -> Op:
    text = f"({{0}} {symbol} {{1}})"
    host = "" if operator in ("lt", "le", "gt", "ge", "eq", "ne") else text
    return Op(name, "elementwise", operator, ufunc or name, host, text, text, True, floating, wraps)


def _rounded(name: str) -> Op:
    """A function that every mathematical library rounds in its own way."""
    return Op(name, ufunc=name, c=f"{name}({{0}})", floating=True)


def _plain(name: str, numba: str, c: str, ufunc: str = "", floating: bool = False, wraps: bool = False) -> Op:
    return Op(name, "elementwise", "", ufunc or name, "", numba, c, True, floating, wraps)


_TABLE = (
    _infix("add", "add", "+", wraps=True),
    _infix("subtract", "sub", "-", wraps=True),
    _infix("multiply", "mul", "*", wraps=True),
    _infix("divide", "truediv", "/", floating=True),
    Op("pow", "elementwise", "pow", "power", "({0} ** {1})", c="pow({0}, {1})", floating=True),
    _infix("bitwise_and", "and", "&"),
    _infix("bitwise_or", "or", "|"),
    _infix("bitwise_xor", "xor", "^"),
    _infix("bitwise_left_shift", "lshift", "<<", "left_shift", wraps=True),
    Op("bitwise_right_shift", "elementwise", "rshift", "right_shift", "({0} >> {1})", c="({0} >> {1})"),
    _infix("less", "lt", "<"),
    _infix("less_equal", "le", "<="),
    _infix("greater", "gt", ">"),
    _infix("greater_equal", "ge", ">="),
    _infix("equal", "eq", "=="),
    _infix("not_equal", "ne", "!="),
    Op("negative", "elementwise", "neg", "negative", "(-{0})", "(-{0})", "-{0}", exact=True),
    Op("abs", "elementwise", "abs", "absolute", "abs({0})", "abs({0})", "{0} < 0 ? -{0} : {0}", exact=True),
    Op("astype"),  # the cast to the node's dtype is all there is to do
    # int32 shifted with zeros coming in: how a shift and a mask of the sign's copies are written
    Op("logical_shift", ufunc="right_shift", numba="(np.uint32({0}) >> np.uint32({1}))",
       c="(int)((unsigned){0} >> {1})", exact=True),
    _plain("square", "({0} * {0})", "{0} * {0}", wraps=True),
    _plain("sqrt", "math.sqrt({0})", "sqrt({0})", floating=True),
    _plain("floor", "np.floor({0})", "floor({0})", floating=True),
    _plain("ceil", "np.ceil({0})", "ceil({0})", floating=True),
    _plain("trunc", "np.trunc({0})", "trunc({0})", floating=True),
    # a nan is kept, as NumPy keeps it
    _plain("maximum", "({0} if {0} >= {1} or {0} != {0} else {1})", "{0} >= {1} || {0} != {0} ? {0} : {1}"),
    _plain("minimum", "({0} if {0} <= {1} or {0} != {0} else {1})", "{0} <= {1} || {0} != {0} ? {0} : {1}"),
    _plain("where", "({1} if {0} else {2})", "{0} ? {1} : {2}"),
    _plain("sign", "(1 if {0} > 0 else -1 if {0} < 0 else {0} if {0} != {0} else 0)",
           "{0} > 0 ? 1 : {0} < 0 ? -1 : {0} == 0 ? 0 : {0}"),
    _plain("isnan", "({0} != {0})", "{0} != {0}"),
    _plain("isfinite", "({0} - {0} == 0)", "{0} - {0} == 0"),
    _plain("logical_and", "({0} and {1})", "{0} && {1}"),
    _plain("logical_or", "({0} or {1})", "{0} || {1}"),
    _plain("logical_not", "(not {0})", "!{0}"),
    *map(_rounded, ("exp", "expm1", "log", "log1p", "tanh")),
    *map(_rounded, ("sin", "cos", "tan", "sinh", "cosh", "log2", "log10")),
    *(Op(name, "view") for name in ("broadcast_to", "getitem", "matrix_transpose", "permute_dims", "reshape")),
    *(Op(name, "view") for name in ("unpack", "view_int16")),
    *(Op(name, "reduction", ufunc=ufunc) for name, ufunc in
      {"sum": "add", "mean": "add", "max": "maximum", "min": "minimum"}.items()),
    Op("matmul", "product", "matmul"),
    *(Op(name, "library") for name in ("all", "any", "argmax", "argmin", "concat", "stack", "std", "take", "gather")),
    # an argument; a Python number among them; a number; arrays made of nothing
    *(Op(name, "source") for name in ("input", "scalar", "constant", "arange", "full")),
    Op("kernel", "library"),  # a function of arrays, without effects, that returns a new array of a known shape
    Op("pack", "library"),  # arrays, flattened and laid end to end
    Op("store", "library"),  # the second operand, in the memory of the first
    Op("call", "opaque"),  # code that runs when the arguments are there, and what it returned
    Op("part", "library"),
    Op("update", "opaque"),  # an optimizer's rule on its leaves, which it consumes, and what it returned
    Op("result", "library"),
)  # fmt: skip
OPS = {op.name: op for op in _TABLE}
OPERATORS = {op.operator: op.name for op in _TABLE if op.operator}
ELEMENTWISE = frozenset(
    op.name for op in _TABLE if op.kind == "elementwise" and op.name not in ("astype", "logical_shift")
)
LIBRARY = frozenset(op.name for op in _TABLE if op.kind in ("library", "reduction")) - {
    "gather",
    "kernel",
    "pack",
    "part",
    "result",
    "store",
}
#: made once for all calls, and never written to
CONSTANT = frozenset({"constant", "arange", "full"})

#: the functions that NumPy's ** takes instead of a power with these exponents
SHORT_POWERS = {2: "square", 0.5: "sqrt", -1: "reciprocal"}
