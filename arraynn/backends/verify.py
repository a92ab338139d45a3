"""Compiled steps with code from outside the library in them: watched, and compared with the step as it is.

Such code may read host values that change, or do what tracing does not see. What it reads beside its arguments is
looked at before each call. At calls 1, 2, 4, …, 1,024 and every 1,024th, all results are compared with those of the
step as it is, on copies. Host state is detected so, not proved to be absent.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .. import tree
from .._coupling import outside
from ..compiler.program import Program
from ..compiler.signature import GuardFailed

GUARDS = 500  #: values that are looked at before each call, at most
SELDOM = 1024  #: calls between two comparisons, at most
#: what results may differ by where their bits do, of the largest in the leaf, by bits of their dtype: other tilings of
#: products, sums in another order; and as many times what they move by when every input moves by its last bit
PARITY = {32: 2e-5, 64: 1e-11}
MOVES = 16

log = logging.getLogger("arraynn")
_here = threading.local()


def plain() -> bool:
    """Whether a reference is being computed in this thread, to which no hook of the engine is applied."""
    return getattr(_here, "plain", False)


@contextmanager
def _plainly() -> Iterator[None]:
    before, _here.plain = plain(), True
    try:
        yield
    finally:
        _here.plain = before


class Foreign:
    """The code from outside the library that a function reaches. names : of its classes and functions.

    guards : (read, value, name) of what that code reads beside its arguments. dropped : whether the function's programs
    are given up.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.names: list[str] = []
        self.guards: list[tuple[Callable[[], Any], Any, str]] = []
        self.dropped = False
        self._seen: dict[int, Any] = {}
        self._classes: set[int] = set()
        self._visit(function)
        self._seen.clear()

    def changed(self) -> bool:
        """Whether one of the values is another one; then the programs are dropped, with a warning."""
        for read, value, name in self.guards:
            now = read()
            if now is not value and not (type(now) is type(value) in (int, float, str) and now == value):
                self.drop(f"{name} is {now!r} and was {value!r} when the step was compiled; a value that changes from "
                          f"step to step belongs among the optimizer's scalars, or into the batch")  # fmt: skip
                return True
        return False

    def compiles(self, arguments: Any) -> bool:
        """Whether a function that reaches this code is compiled for such arguments. One that exchanges numbers with
        other workers is not: it would be compared by running it again, and they exchange theirs once."""
        return not self.names or all(getattr(x, "parts", None) is None for x in tree.leaves(arguments))

    def watched(self, function: Callable[..., Any], found: Program) -> Program:
        """The function's program, compared with the function from time to time where there is such code."""
        if not self.names:
            return found
        return replace(found, run=Verified(function, found.run, found.poison, self))

    def drop(self, why: str) -> None:
        """Let all programs of the function be, and say so once."""
        if not self.dropped:
            self.dropped = True
            log.warning("a compiled step with %s is given up, and runs as it is: %s", ", ".join(self.names[:3]), why)

    def _visit(self, x: Any) -> None:
        if id(x) in self._seen:
            return
        self._seen[id(x)] = x
        if isinstance(x, FunctionType):
            self._function(x)
        elif isinstance(x, type):
            self._class(x)
        elif isinstance(x, ModuleType) or x is None:
            return
        elif isinstance(x, MethodType):
            self._all((x.__func__, x.__self__))
        elif isinstance(x, partial):
            self._all((x.func, x.args, x.keywords))
        elif isinstance(x, (property, classmethod, staticmethod)) or hasattr(x, "__wrapped__"):
            self._all(getattr(x, name, None) for name in ("fget", "__func__", "__wrapped__"))
        elif isinstance(x, (tuple, set, frozenset)):
            self._all(x)
        elif isinstance(x, list):
            for i, value in enumerate(x):
                self._guard(partial(_item, x, i), value, f"item {i} of a list")
        elif isinstance(x, dict):
            for key, value in x.items():
                self._guard(partial(x.get, key), value, f"item {key!r} of a dict")
        elif not outside(type(x).__module__):
            self._all(getattr(x, "__dict__", {}).values())
        elif _foreign(type(x).__module__) or isinstance(x, SimpleNamespace):
            self._class(type(x))
            for key, value in getattr(x, "__dict__", {}).items():
                self._guard(partial(vars(x).get, key), value, f"{type(x).__name__}.{key}")

    def _all(self, values: Any) -> None:
        for value in values:
            self._visit(value)

    def _function(self, function: FunctionType) -> None:
        module, cells = function.__globals__.get("__name__", ""), function.__closure__ or ()
        if not _foreign(module):
            self._all(_read(cell) for cell in cells)
            return
        self.names.append(f"{function.__qualname__} of {module}")
        for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
            self._guard(partial(_read, cell), _read(cell), f"{name} in {function.__qualname__}")
        self._all((function.__defaults__, function.__kwdefaults__))
        read = _names(function.__code__)
        for name in read & function.__globals__.keys():
            value = function.__globals__[name]
            self._guard(partial(function.__globals__.get, name), value, f"{module}.{name}")
            if isinstance(value, ModuleType) and _foreign(value.__name__):
                for inner in read & vars(value).keys():
                    self._guard(partial(vars(value).get, inner), vars(value)[inner], f"{value.__name__}.{inner}")

    def _class(self, cls: type) -> None:
        for kind in cls.__mro__:
            if not _foreign(kind.__module__) or id(kind) in self._classes:
                continue
            self._classes.add(id(kind))
            self.names.append(f"{kind.__qualname__} of {kind.__module__}")
            for key, value in list(vars(kind).items()):
                if not key.startswith("__") or key == "__call__":
                    self._guard(partial(vars(kind).get, key), value, f"{kind.__qualname__}.{key}")

    def _guard(self, read: Callable[[], Any], value: Any, name: str) -> None:
        if len(self.guards) < GUARDS:
            self.guards.append((read, value, name))
            self._visit(value)


def _foreign(module: str) -> bool:
    known = {*sys.stdlib_module_names, "numpy", "array_api_compat"}
    return outside(module) and module.partition(".")[0] not in known


def _item(values: list[Any], i: int) -> Any:
    return values[i] if i < len(values) else None


def _read(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _names(code: CodeType) -> set[str]:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


class Verified:
    """run(*arguments), compared with reference(*arguments) from time to time.

    run : compiled from reference. poison() fills the memory that it works in with nan. foreign : what is in it.
    """

    def __init__(
        self, reference: Callable[..., Any], run: Callable[..., Any], poison: Callable[[], None], foreign: Foreign
    ) -> None:
        self.reference, self.run, self.poison, self.foreign = reference, run, poison, foreign
        self.calls, self.due = 0, 1

    def __call__(self, *arguments: Any) -> Any:
        if self.foreign.changed():
            return self.reference(*arguments)
        if self.calls + 1 < self.due:
            result = self.run(*arguments)
            self.calls += 1
            return result
        return self._compared(arguments)

    def _compared(self, arguments: Any) -> Any:
        self.poison()
        given = _copies(arguments)
        try:
            first = self.run(*_copies(arguments))
        except GuardFailed:
            raise
        except Exception as error:  # of the program; the reference says whether it is the function's own
            first = error
        kept = _copies(first)
        with _plainly():
            expected = self.reference(*_copies(arguments))
        self.calls += 1
        self.due = min(2 * self.calls, self.calls + SELDOM)
        if isinstance(first, Exception):
            self.foreign.drop(f"it failed, by {type(first).__name__}: {first}")
            return expected
        self.poison()
        result = self.run(*arguments)
        wrong = self._wrong(first, kept, None) or self._wrong(result, expected, given)
        if wrong is None:
            return result
        self.foreign.drop(f"{wrong} is not what the step gives as it is, at call {self.calls}")
        return expected

    def _wrong(self, got: Any, expected: Any, given: Any) -> str | None:
        """The path of a leaf that differs; given : arguments, by whose last bits the expected may move, too."""
        pairs = [*tree.items(got)], [*tree.items(expected)]
        if [path for path, _ in pairs[0]] != [path for path, _ in pairs[1]]:
            return "the form of the results"
        moved: list[Any] | None = None
        for i, ((path, x), (_, y)) in enumerate(zip(*pairs, strict=True)):
            a, b = np.asarray(x), np.asarray(y)
            if a.shape != b.shape or a.dtype != b.dtype:
                return f"the shape or dtype of {path!r}"
            if a.dtype.kind == "O" or np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
                continue
            if given is None or a.dtype.kind != "f":
                return repr(path)
            moved = self._moved(given) if moved is None else moved
            with np.errstate(all="ignore"):
                far = _distance(a, b)
                allowed = PARITY.get(8 * a.itemsize, 1e-2) * np.nanmax(np.abs(b), initial=0.0)
                if not far <= allowed + MOVES * max(_distance(np.asarray(other[i]), b) for other in moved):
                    return repr(path)
        return None

    def _moved(self, given: Any) -> list[Any]:
        """The reference's results for inputs that differ in their last bits."""
        results = []
        for sign in (1, -1):
            rng = np.random.default_rng(0)

            def near(x: Any, rng: Any = rng, sign: int = sign) -> Any:
                if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
                    return _copied(x)
                step = sign * np.finfo(x.dtype).eps * rng.choice([-1.0, 1.0], x.shape)
                return (x + x * step).astype(x.dtype)

            with _plainly():
                results.append(tree.leaves(self.reference(*tree.map(near, given))))
        return results


def _distance(a: Any, b: Any) -> float:
    """The largest difference; infinite where only one of two numbers is finite."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    far = np.where(same, 0.0, np.abs(np.asarray(a, "float64") - b))
    return float(np.max(np.where(np.isnan(far), np.inf, far), initial=0.0))


def _copied(x: Any) -> Any:
    return x.copy(order="K") if isinstance(x, np.ndarray) else x


def _copies(nest: Any) -> Any:
    return tree.map(_copied, nest)
