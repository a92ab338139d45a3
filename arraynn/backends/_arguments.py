"""The arguments of a step that was written down: what stands for them, and the source that takes them apart again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

import numpy as np

from .. import tree
from ._disjoint import Disjoint
from ._lazy import Lazy, values
from ._operations import TraceError


class Other(Exception):
    """The arguments are not of the form that the step was written down for."""


def signature(nest: Any) -> Any:
    """What a program is written for: the types of the containers, their keys, and the leaves' shapes and dtypes."""
    if isinstance(nest, dict):
        return type(nest), tuple((key, signature(value)) for key, value in nest.items())
    if isinstance(nest, (list, tuple)):
        return type(nest), tuple(map(signature, nest))
    return (type(nest), nest.shape, nest.dtype) if hasattr(nest, "shape") else type(nest)


class Arguments:
    """Nests of NumPy arrays, numbers and None. written : the same nests, of lazy arrays.

    names : of those, by id, in the source. lines : the source that binds them, and raises Other where the form
    differs; checks : by name, what must hold of an array; hashed : by id, the source that binds what a key is hashed
    for. Python's numbers stay such, and take the dtype of what they meet; the numbers of a key are int32.
    """

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.lines: list[str] = []
        self.checks: dict[str, str] = {}
        self.hashed: dict[int, str] = {}
        self.names: dict[int, str] = {}
        self.scope: dict[str, Any] = {"Other": Other, "ndarray": np.ndarray}
        self.parameters = [f"x{i}" for i in range(len(arguments))]
        self.written = [self._take(nest, name) for nest, name in zip(arguments, self.parameters, strict=True)]

    def _take(self, nest: Any, name: str) -> Any:
        kind = type(nest)
        if kind is dict:
            if not all(type(key) in (str, int) for key in nest):
                raise TraceError("a dict with keys that are neither strings nor integers")
            keys = "".join(f" or {key!r} not in {name}" for key in nest)
            self._refuse(f"type({name}) is not dict or len({name}) != {len(nest)}{keys}")
            return {key: self._take(value, self._bind(f"{name}.get({key!r})")) for key, value in nest.items()}
        if kind in (list, tuple):
            self._refuse(f"type({name}) is not {kind.__name__} or len({name}) != {len(nest)}")
            return kind([self._take(value, self._bind(f"{name}[{i}]")) for i, value in enumerate(nest)])
        if nest is None:
            self._refuse(f"{name} is not None")
            return None
        if hasattr(nest, "words"):
            return self._key(nest, name)
        if kind in (int, float):
            self._refuse(f"type({name}) is not {kind.__name__}")
            lazy = Lazy("number", (name,), (), "int64" if kind is int else "float64", weak=True)
        elif kind is np.ndarray and nest.dtype.isnative:
            dtype = f"{nest.dtype.name}_"
            self.scope[dtype] = nest.dtype
            same = f"{name}.shape == {nest.shape} and ({name}.dtype is {dtype} or {name}.dtype == {dtype})"
            self.checks[name] = f"if not (type({name}) is ndarray and {same}): raise Other"
            lazy = Lazy("input", (name,), nest.shape, nest.dtype)
        else:
            raise TraceError(f"an argument of type {kind.__name__}, or in another machine's bytes")
        self.names[id(lazy)] = name
        return lazy

    def _key(self, key: Any, name: str) -> Any:
        """A key of three numbers, its words and its first row, which are asked for where the step needs them."""
        kind = f"{type(key).__name__}_"
        self.scope[kind] = type(key)
        self._refuse(f"type({name}) is not {kind}")
        numbers = [Lazy("number", (f"{name}_{i}",), (), "int32", scalar=True) for i in range(3)]
        for i, number in enumerate(numbers):
            self.names[id(number)] = f"{name}_{i}"
            self.hashed[id(number)] = f"{name}_{i} = {name}.row0" if i == 2 else f"{name}_0, {name}_1 = {name}.words"
        written = type(key).of(tuple(numbers[:2]), numbers[2])
        self.names[id(written)] = name
        return written

    def _bind(self, expression: str) -> str:
        name = f"y{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        return name

    def _refuse(self, condition: str) -> None:
        self.lines.append(f"if {condition}: raise Other")


class Flat:
    """Arrays that an update goes through as through one: laid end to end, in as many pieces as there are kinds of them.

    shapes : of the arrays of a kind. Called with the arrays, kind after kind; returns them, and the flat arrays that
    they are views of. The arrays of a run are laid out once: what is returned is known when it comes again, whichever
    program of the step it comes from. One array alone, in order, is flat as it is. Raises Other for arrays of other
    shapes.
    """

    KNOWN = 4  #: runs that are remembered

    def __init__(self, shapes: Sequence[tuple[int, ...]], dtype: np.dtype) -> None:
        self.shapes, self.dtype, self.count = shapes, dtype, len(shapes)
        self.known: dict[int, tuple[tuple[Any, ...], tuple[Any, ...]]] = {}
        self.apart: Disjoint | None = None  # what looks at arrays that are not known, where nobody else does

    def __call__(self, arrays: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        found = self.known.get(id(arrays[0]))
        if found is not None and all(map(is_, arrays, found[0])):
            return found
        for i, x in enumerate(arrays):
            if type(x) is not np.ndarray or x.shape != self.shapes[i % self.count] or x.dtype != self.dtype:
                raise Other
        if self.apart is not None:
            self.apart(arrays)
        if self.count == 1 and all(x.flags.c_contiguous and x.flags.writeable for x in arrays):
            return arrays, tuple(x if x.ndim == 1 else x.reshape(-1) for x in arrays)
        views: list[Any] = []
        flats: list[Any] = []
        for start in range(0, len(arrays), self.count):
            part = arrays[start : start + self.count]
            flat = np.concatenate([x.reshape(-1) for x in part])
            ends = np.cumsum([x.size for x in part])
            views += [x.reshape(shape) for x, shape in zip(np.split(flat, ends[:-1]), self.shapes, strict=True)]
            flats.append(flat)
        made = tuple(views), tuple(flats)
        # in one assignment: threads may share a step
        self.known = dict([*self.known.items()][1 - self.KNOWN :]) | {id(views[0]): made}
        return made


def call(function: Callable[..., Any], arguments: tuple[Any, ...], like: Any) -> Any:
    """What function(*arguments) will return, when the arguments are there: a nest of the form and the shapes of `like`,
    whose arrays are new ones, and whose numbers are what they are then."""
    arguments = values(arguments)
    whole = Lazy("call", [x for x in tree.leaves(arguments) if isinstance(x, Lazy)], (), "bool")
    whole.kwargs = {"function": function, "arguments": arguments}

    def part(nest: Any, where: str) -> Any:
        if isinstance(nest, dict):
            return {key: part(value, f"{where}[{key!r}]") for key, value in nest.items()}
        if isinstance(nest, (list, tuple)):
            return type(nest)([part(value, f"{where}[{i}]") for i, value in enumerate(nest)])
        if nest is None:
            return None
        # a number, such as a count of rows, may be another one then
        like = nest if isinstance(nest, Lazy) else np.asarray(nest)
        return Lazy("part", (whole, where), like.shape, like.dtype)

    return part(like, "")
