"""A network with its weights and its optimizer's state, on a backend: the part of a Model that is not training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from .. import tree
from .._array import is_array
from .._types import LayerLike, Nest, Shape
from ..backends import Backend
from ..backends import backend as resolve
from ..errors import DataError, ShapeError
from ..layers import Sequential
from ..layers.combinator import check_network
from ..optimizers import as_optimizer
from .dataset import shape_of_rows
from .validation import as_array, count_rows, finite, same_place


class ModelState:
    """Network, weights, optimizer state, backend, dtype and seed of a Model.

    Weights are drawn, and the backend is taken, when the first data come.
    """

    def __init__(self, network: LayerLike, optimizer: Any, backend: Any, dtype: str, seed: Any) -> None:
        check_network(network)
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
        self.network, self.optimizer, self.dtype = network, as_optimizer(optimizer), dtype
        self.rng, self.seed = _seeded(seed)
        self._wanted = "auto" if backend is None else backend
        self._backend: Backend | None = None
        self.input_shape: Any = None
        self.output_shape: Shape = ()
        self.columns: Any = None  # the names of x's columns in fit, where it was given as a data frame
        self._params: Nest = None
        self.state: dict[str, Any] = {}
        self.epoch = 0

    @property
    def backend(self) -> Backend:
        """The backend in use; before the first data, the one that NumPy arrays would go to."""
        return resolve(self._wanted) if self._backend is None else self._backend

    def to(self, backend: Any) -> Self:
        """Move weights and optimizer state to another backend; returns the model itself."""
        target = resolve(backend)
        if self._params is not None:
            # all moved before anything is replaced, so that a failure leaves the model whole
            moved = tree.map(
                lambda leaf: target.asarray(leaf, self.dtype, copy=True), [self._params, self.state["slots"]]
            )
            self._params, self.state = moved[0], {**self.state, "slots": moved[1]}
        self._wanted = self._backend = target
        return self

    @property
    def params(self) -> Nest:
        """The weights, not copied; None before the first use. A running fit writes into them, but never into those
        that stood here before it. Assigning copies, checks, and keeps the optimizer's state."""
        return self._params

    @params.setter
    def params(self, nest: Nest) -> None:
        self.set_params(nest, self.state)

    def set_params(self, nest: Nest, state: Mapping[str, Any] | None = None) -> None:
        """Start from these weights, of any library. They are copied; the optimizer's state begins anew.

        state : of the optimizer, to go on with; it is taken as it is. Raises ShapeError where the weights' form is not
        the network's (known from the first data, or from `build`), DataError where they are not finite.
        """
        if self._params is not None:
            _same_form(nest, self._params)
        for path, leaf in tree.items(nest):
            finite(f"parameter {path!r}", as_array(f"parameter {path!r}", leaf), self.dtype)
        backend = self._resolved(next(iter(tree.leaves(nest)), None))
        params = tree.map(lambda leaf: backend.asarray(leaf, self.dtype, copy=True), nest)
        with backend.context():
            self.state = dict(state) if state else self.optimizer.init(params)
        self._params, self._backend = params, backend

    def hold(self, params: Nest, state: dict[str, Any]) -> None:
        """Take over params and state as they are, without a copy: for what trains the model."""
        self._params, self.state = params, state

    def __getstate__(self) -> dict[str, Any]:
        """What a copy, a pickle or another process gets: arrays as NumPy's, the backend by name and device."""
        found = dict(vars(self))
        if not isinstance(self._wanted, str):
            found["_wanted"] = resolve(self._wanted)
        if self._params is not None:
            found["_backend"] = self.backend
            found["_params"], found["state"] = tree.map(self.backend.to_numpy, self._params), dict(self.state)
            found["state"]["slots"] = tree.map(self.backend.to_numpy, self.state["slots"])
        return found

    def __setstate__(self, found: dict[str, Any]) -> None:
        """Arrays go where they were; BackendUnavailable where that library or device is not there."""
        vars(self).update(found)
        if self._params is not None:
            move = self.backend.asarray
            self._params, slots = (
                tree.map(lambda leaf: move(leaf, copy=True), nest) for nest in (self._params, self.state["slots"])
            )
            self.state = {**self.state, "slots": slots}

    @property
    def step(self) -> int:
        """Updates done so far."""
        return int(self.state["step"]) if self.state else 0

    def build(self, input_shape: Any, *, like: Any = None) -> Self:
        """Draw the weights for inputs of this shape (without the batch axis; a tuple of shapes for several inputs).

        like : an array; where backend is "auto" and it is not NumPy's, the model goes where it lives.
        """
        input_shape, backend = _as_shape(input_shape), self._resolved(like)
        host, output_shape = self.network.init(self.rng, input_shape, self.dtype)
        if self._params is None:
            self._backend = backend
            self.set_params(host)
        else:
            _same_form(self._params, host)
        self.input_shape, self.output_shape = input_shape, tuple(output_shape)
        if self.seed is None:  # after the weights, so that a legacy stream gives what it gave elsewhere
            self.seed = int(self.rng.integers(2**32) if hasattr(self.rng, "integers") else self.rng.randint(2**31))
        return self

    def _resolved(self, like: Any) -> Backend:
        if self._backend is not None:
            return self._backend
        elsewhere = is_array(like) and not isinstance(like, np.ndarray)
        auto = isinstance(self._wanted, str) and self._wanted == "auto"
        found: Backend = resolve(like if auto and elsewhere else self._wanted)
        return found

    def restore(self, params: Nest, slots: Nest, step: int, epoch: int, input_shape: Any) -> None:
        """Go on from saved weights, optimizer slots and counts. A row of zeros is sent through as a check.

        Raises ShapeError (or what the layer raises) where they do not fit the network; the model is unchanged then.
        """
        move = self.backend.asarray
        weights, slots = (tree.map(lambda leaf: move(leaf, self.dtype, copy=True), nest) for nest in (params, slots))
        tree.map(lambda _, own: own, tree.trained(weights), slots)  # the same form
        shapes = input_shape if input_shape and isinstance(input_shape[0], tuple) else (input_shape,)
        room = 1_000_000 + sum(math.prod(leaf.shape) for leaf in tree.leaves(weights))
        if any(math.prod(shape) > room for shape in shapes):
            raise ShapeError(f"inputs of shape {input_shape} are too large for these weights")
        whole = self.integer_input if isinstance(self.integer_input, tuple) else (self.integer_input,) * len(shapes)
        dtypes = [self.backend.index_dtype if one else self.dtype for one in whole]
        zeros = tuple(move(np.zeros((1, *s), np.int64), dtype) for s, dtype in zip(shapes, dtypes, strict=True))
        with self.backend.context():
            outputs, _ = self.network(weights, zeros if shapes is input_shape else zeros[0])
        self._params, self.state, self.epoch = weights, {"step": step, "slots": slots}, epoch
        self.input_shape, self.output_shape = input_shape, tuple(outputs.shape[1:])

    def summary(self) -> str:
        """The network as a table; the shapes are known from the first data, or from `build`."""
        if self.input_shape is None:
            raise DataError("the model has seen no data yet; call build(input_shape) first")
        network = self.network if hasattr(self.network, "summary") else Sequential(self.network)
        table: str = network.summary(self.input_shape, self.dtype)
        return table

    @contextmanager
    def _unless_refused(self) -> Iterator[None]:
        """Where what stands within raises, the model is as it was: no weights drawn, no backend taken."""
        if self._params is not None and self.input_shape is not None:
            yield  # nothing is drawn or taken any more
            return
        before = dict(vars(self))
        drawn = self.rng.get_state(legacy=False) if hasattr(self.rng, "get_state") else self.rng.bit_generator.state
        try:
            yield
        except BaseException:
            vars(self).update(before)
            if hasattr(self.rng, "set_state"):
                self.rng.set_state(drawn)
            else:
                self.rng.bit_generator.state = drawn
            raise

    def _ready(self, x: Nest) -> None:
        """Resolve the backend and draw the weights, where that has not been done."""
        count_rows(x)
        same_place(*tree.leaves(x))
        if self._params is None or self.seed is None or self.input_shape is None:
            self.build(shape_of_rows(x), like=tree.leaves(x)[0])

    @property
    def integer_input(self) -> bool | tuple[bool, ...]:
        """Whether the network looks its input up in a table, so that integers must stay integers; by part of x, where
        parts differ."""
        found = getattr(self.network, "integer_input", False)
        return tuple(map(bool, found)) if isinstance(found, tuple) else bool(found)

    @property
    def vocabulary(self) -> int | tuple[int | None, ...] | None:
        """How many words there are to look up, where the network says so; by part of x, where parts differ."""
        return getattr(self.network, "vocabulary", None)

    @property
    def longest(self) -> tuple[int | None, ...] | None:
        """The largest length that each part of x may hold, None of one that holds none; None of an x without."""
        asked = getattr(self.network, "longest", None)
        found: tuple[int | None, ...] | None = asked(self.input_shape) if asked and self.input_shape else None
        return found


def _seeded(seed: Any) -> tuple[Any, int | None]:
    """(generator of the weights, integer seed, None where the generator gives it once the weights are drawn)."""
    if isinstance(seed, (np.random.Generator, np.random.RandomState)):
        return seed, None
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, a Generator or a RandomState, got {seed!r}")
    return np.random.default_rng(int(seed)), int(seed)


def _as_shape(shape: Any) -> Any:
    """5 and [5] as (5,); a list of shapes as a tuple of them."""
    if isinstance(shape, (int, np.integer)):
        return (int(shape),)
    return tuple(_as_shape(part) if isinstance(part, (tuple, list)) else int(part) for part in shape)


def _same_form(nest: Nest, like: Nest) -> None:
    """Raise ShapeError unless both nests have the same paths, and arrays of the same shapes at them."""
    given, wanted = ({path: _shape(leaf) for path, leaf in tree.items(n)} for n in (nest, like))
    if given != wanted:
        raise ShapeError(f"the weights have the shapes {given}, the network's are {wanted}")


def _shape(leaf: Any) -> Shape:
    return tuple(leaf.shape if is_array(leaf) else np.shape(leaf))
