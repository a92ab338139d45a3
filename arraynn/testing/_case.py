"""`Case`: a block, a layer or a loss with its arguments, in one form for all checks."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from .._array import is_array, is_float
from .._types import Array, LayerLike, Nest
from ..backends import Backend, of
from ..errors import BackendUnavailable

Run = Callable[[dict[str, Nest], Nest], tuple[Nest, Callable[..., Any]]]


class Leaf(NamedTuple):
    """A float array that has a gradient. position : among all leaves of the inputs."""

    position: int
    path: str
    array: Array

    @property
    def gradient(self) -> str:
        """The gradient's name in messages: dx for x, "the gradient of …" for a parameter."""
        return f"the gradient of {self.name!r}" if self.path.startswith("params.") else f"d{self.path}"

    @property
    def name(self) -> str:
        return self.path.removeprefix("params.")


@dataclass(frozen=True)
class Case:
    """A block, layer or loss, with its arguments.

    inputs : the arguments that hold arrays, by name; a layer's are "params" and "x". rest : all other arguments.
    run(inputs, rest) -> y, backward. wrt : the inputs whose gradients backward returns, if the caller names them.
    """

    name: str
    inputs: dict[str, Nest]
    rest: Nest
    run: Run
    is_layer: bool
    wrt: tuple[str, ...] | None = None

    def call(self) -> tuple[Nest, Callable[..., Any]]:
        """Call forward, and check that it returns a pair (y, backward)."""
        result = self.run(self.inputs, self.rest)
        if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
            raise AssertionError(f"{self.name}: forward must return (y, backward), got {type(result).__name__}")
        return result

    def leaves(self) -> list[Leaf]:
        """The float arrays that could have a gradient: no statistics, no integers."""
        found = []
        for position, (path, leaf) in enumerate(tree.items(self.inputs)):
            if is_array(leaf) and is_float(leaf) and tree.STATISTICS not in path.split("."):
                found.append(Leaf(position, path, leaf))
        return found

    def with_leaf(self, leaf: Leaf, array: Array) -> Case:
        """The same case with another array in place of one leaf."""
        count = itertools.count()
        inputs = tree.map(lambda old: array if next(count) == leaf.position else old, self.inputs)
        return replace(self, inputs=inputs)

    def cast(self, dtype: str) -> Case:
        """The same case with all its float arrays, whether they have a gradient or not, in this dtype."""
        return self.map(lambda x: of(x).asarray(x, dtype) if is_float(x) else x)

    def map(self, function: Callable[[Array], Any]) -> Case:
        """The same case with function(array) in place of every array."""
        inputs, rest = (
            tree.map(lambda x: function(x) if is_array(x) else x, nest) for nest in (self.inputs, self.rest)
        )
        return replace(self, inputs=inputs, rest=rest)

    def arrays(self) -> list[Array]:
        return [leaf for leaf in tree.leaves([self.inputs, self.rest]) if is_array(leaf)]

    def gradients(self, returned: Any, loss: bool) -> dict[str, Nest]:
        """The gradients that backward returned, by the names of the inputs; inputs without a gradient are left out."""
        if self.is_layer:
            if not (isinstance(returned, tuple) and len(returned) == 2):
                raise AssertionError(
                    f"{self.name}: a layer's backward must return (dx, grads), got {_described(returned)}"
                )
            return {"params": returned[1], "x": returned[0]}
        floats = [n for n, nest in self.inputs.items() if any(is_array(x) and is_float(x) for x in tree.leaves(nest))]
        names = list(self.wrt) if self.wrt is not None else list(self.inputs)
        if self.wrt is None and loss and not isinstance(returned, tuple):
            names = names[:1]  # a loss has a gradient for its outputs, not for targets or weights
        answers = returned if len(names) > 1 and isinstance(returned, tuple) else (returned,)
        if len(answers) == len(floats) < len(names):
            names = floats  # backward returned nothing for integers, which have no gradient
        if len(answers) != len(names):
            raise AssertionError(
                f"{self.name}: backward returned {len(answers)} gradients for the arguments {', '.join(names)}; "
                f"it must return one for each, in their order (name them by wrt=, if it returns fewer on purpose)"
            )
        return dict(zip(names, answers, strict=True))


def case_of(block: Any, args: Sequence[Any], kwargs: Any, key: Any, seed: int, wrt: Sequence[str] | None) -> Case:
    """The case of a call `block(*args, **kwargs)` or `layer(params, x, key)`; params are drawn if not given."""
    if isinstance(block, type):
        raise TypeError(f"give an instance, such as {block.__name__}(…), not the class {block.__name__}")
    if isinstance(block, LayerLike):
        if len(args) not in (1, 2) or kwargs:
            raise TypeError(f"a layer is checked as (layer, x) or (layer, params, x), got {len(args)} arguments")
        x = args[-1]
        params = args[0] if len(args) == 2 else _random_params(block, x, seed)
        run: Run = lambda inputs, key: block(inputs["params"], inputs["x"], key)  # noqa: E731
        return Case(type(block).__name__, {"params": params, "x": x}, key, run, True)
    if key is not None:
        raise TypeError("key= is for layers; a block takes a key among its arguments")
    names = _names(block, len(args))
    inputs = {n: arg for n, arg in zip(names, args, strict=True) if any(map(is_array, tree.leaves(arg)))}
    others = {n: arg for n, arg in zip(names, args, strict=True) if n not in inputs}

    def run_block(inputs: dict[str, Nest], rest: Nest) -> Any:
        given = inputs | rest[0]
        return block(*[given[n] for n in names], **rest[1])

    return Case(_name(block), inputs, (others, kwargs), run_block, False, None if wrt is None else tuple(wrt))


def _random_params(layer: LayerLike, x: Nest, seed: int) -> Nest:
    """Random parameters like x, moved a little from their initial values: at a bias of 0, |b| has a kink."""
    rng = np.random.default_rng(seed)
    shapes = tree.map(lambda leaf: tuple(leaf.shape[1:]), x)
    params, _ = layer.init(rng, shapes, "float64")
    moved = tree.map(lambda p: p + 0.1 * rng.standard_normal(p.shape), tree.trained(params))
    backend = of(tree.leaves(x)[0])
    dtype = widest(backend)
    return tree.map(lambda p: backend.asarray(p, dtype), tree.with_statistics(moved, params))


def widest(backend: Backend) -> str:
    """The widest float dtype that the backend's device has."""
    try:
        backend.dtype("float64")
    except BackendUnavailable:
        return "float32"
    return "float64"


def is_loss(backward: Callable[..., Any]) -> bool:
    """Whether backward can be called without dy, as of a loss or a penalty."""
    first = next(iter(inspect.signature(backward).parameters.values()), None)
    return first is None or first.default is not inspect.Parameter.empty


def takes_need_dx(backward: Callable[..., Any]) -> bool:
    """Whether backward has a parameter need_dx."""
    return "need_dx" in inspect.signature(backward).parameters


def floats_of(y: Nest) -> list[np.ndarray]:
    """The float leaves of a nest on the host, in float64. A Python number counts as a leaf."""
    return [host(leaf) for leaf in tree.leaves(y) if not is_array(leaf) or is_float(leaf)]


def host(x: Any) -> np.ndarray:
    """A copy of x as a NumPy float64 array."""
    return np.array(of(x).to_numpy(x) if is_array(x) else x, dtype=np.float64)


def paired(path: str, nest: Nest, gradient: Nest) -> Iterator[tuple[str, Any, Any]]:
    """(path, leaf, gradient) for each leaf, without statistics. Raises AssertionError if the structures differ."""
    if isinstance(nest, dict):
        keys = [key for key in nest if key != tree.STATISTICS]
        if not isinstance(gradient, dict) or [k for k in nest if k not in gradient] or set(gradient) - set(nest):
            raise AssertionError(
                f"gradients of {path or 'params'}: expected the keys {list(nest)}, got {_described(gradient)}"
            )
        for key in keys:
            yield from paired(f"{path}.{key}" if path else str(key), nest[key], gradient[key])
    elif isinstance(nest, (list, tuple)) and not (gradient is None and not _has_floats(nest)):
        if not isinstance(gradient, (list, tuple)) or len(gradient) != len(nest):
            raise AssertionError(
                f"gradients of {path or 'params'}: expected {len(nest)} items, got {_described(gradient)}"
            )
        for i, items in enumerate(zip(nest, gradient, strict=True)):
            yield from paired(f"{path}.{i}" if path else str(i), *items)
    elif not isinstance(nest, (list, tuple)):
        yield path, nest, gradient


def _has_floats(nest: Nest) -> bool:
    return any(is_array(leaf) and is_float(leaf) for leaf in tree.leaves(nest))


def _name(block: Any) -> str:
    if isinstance(block, functools.partial):
        return _name(block.func)
    return str(getattr(block, "__name__", type(block).__name__))


def _names(block: Any, count: int) -> list[str]:
    """The names of the first `count` arguments in the block's signature."""
    try:
        found = [
            p.name
            for p in inspect.signature(block).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        found = []
    return [found[i] if i < len(found) else f"args{i}" for i in range(count)]


def _described(nest: Any) -> str:
    if isinstance(nest, dict):
        return f"the keys {list(nest)}"
    return f"{len(nest)} items" if isinstance(nest, (list, tuple)) else type(nest).__name__
