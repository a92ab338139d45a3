"""A network with its loss, optimizer, weights and history: the one convenient object with state."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import tree
from ._array import is_array, namespace
from ._types import Array, LayerLike, Nest, Shape
from .backends import Backend, of
from .backends import backend as resolve
from .callbacks import Callback
from .data import Border, Rows, Stream, as_inputs, blocks, count_rows, rows_of, unpack
from .errors import DataError, ShapeError
from .fitting import Fit
from .losses import as_loss, softmax_cross_entropy
from .metrics import Metric, as_metric
from .optimizers import Adam, Optimizer
from .progress import progress_for

log = logging.getLogger("arraynn")

#: multiplications in a step below which launching a GPU's kernels takes longer than a CPU takes to do it all
SMALL_STEP = 10_000_000


class Model:
    """Trains a network.

    network : a layer, most often a Sequential. loss : a loss block (nn.softmax_cross_entropy) or a Loss with
        hyperparameters. optimizer : an Optimizer. metrics : None for the loss's own; else names, Metrics, functions.
    backend : "auto", a name ("numpy", "cupy:1", "torch:cuda", …), a module or a Backend. "auto" is resolved at first
        use: arrays that are not NumPy's keep their library and device, NumPy's go where the engine proves a GPU.
    dtype : "float32" or "float64", of weights and of data at the border.
    seed : integer, NumPy Generator or RandomState; draws the weights, and fixes shuffles and dropout masks.
    clip_norm, clip_value : gradient clipping, see `make_train_step`.

    params, state : weights and optimizer state, nests of arrays; history : {"loss": [...], …}, a float an epoch;
    epoch, step : done so far. loss = data_loss + penalty; val_loss has no penalty, as in the book. Metrics and losses
    of an epoch are means over its batches, each taken before its update.
    """

    def __init__(
        self,
        network: LayerLike,
        loss: Any = softmax_cross_entropy,
        optimizer: Optimizer | None = None,
        *,
        metrics: Sequence[Any] | None = None,
        backend: Any = "auto",
        dtype: str = "float32",
        seed: Any = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        if not isinstance(network, LayerLike) or isinstance(network, type):
            raise TypeError(f"network must be a layer, such as nn.Sequential(nn.Dense(3)), got {network!r}")
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, such as nn.Adam(), got {optimizer!r}")
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
        self.network, self.loss = network, as_loss(loss)
        self.optimizer = Adam() if optimizer is None else optimizer
        own = [] if self.loss.metric is None else [self.loss.metric]
        self.metrics: tuple[Metric, ...] = tuple(as_metric(m) for m in (own if metrics is None else metrics))
        self.prepared_metrics = self.metrics
        self.dtype, self.clip_norm, self.clip_value = dtype, clip_norm, clip_value
        self.rng, self.seed = _seeded(seed)
        self._wanted, self._backend = backend, None
        self.input_shape: Any = None
        self.output_shape: Shape = ()
        self._params: Nest = None
        self.state: dict[str, Any] = {}
        self.epoch = 0
        self.history: dict[str, list[float]] = {}

    # Where it runs, and what it holds.

    @property
    def backend(self) -> Backend:
        """The backend in use; before the first data, what `backend=` resolves to without them."""
        if self._backend is None:
            self._backend = resolve(self._wanted)
        found: Backend = self._backend
        return found

    def to(self, backend: Any) -> Model:
        """Move weights and optimizer state to another backend; returns the model itself."""
        target = resolve(backend)
        if self._params is not None:
            # all moved before anything is replaced, so that a failure leaves the model whole
            moved = tree.map(lambda leaf: target.asarray(leaf, copy=True), [self._params, self.state["slots"]])
            self._params, self.state = moved[0], {**self.state, "slots": moved[1]}
        self._wanted = self._backend = target
        return self

    @property
    def params(self) -> Nest:
        """The weights; None before the first use. Assigning copies them to the backend and in the dtype of the model."""
        return self._params

    @params.setter
    def params(self, nest: Nest) -> None:
        self._params = nest

    def set_params(self, nest: Nest) -> None:
        """Start from these weights, of any library. They are copied; the optimizer's state begins anew."""
        self._params = tree.map(lambda leaf: self.backend.asarray(leaf, self.dtype, copy=True), nest)
        self.state = self.optimizer.init(self._params)

    @property
    def step(self) -> int:
        """Updates done so far."""
        return int(self.state["step"]) if self.state else 0

    def build(self, input_shape: Any, *, like: Any = None) -> Model:
        """Draw the weights for inputs of this shape (without the batch axis; a tuple of shapes for several inputs)."""
        if self._backend is None and self._wanted == "auto" and like is not None and not isinstance(like, np.ndarray):
            self._backend = resolve(like)
        host, output_shape = self.network.init(self.rng, input_shape, self.dtype)
        if self._params is None:
            self.set_params(host)
        self.input_shape, self.output_shape = input_shape, tuple(output_shape)
        if self.seed is None:  # after the weights, so that a legacy stream gives what it gave elsewhere
            self.seed = int(self.rng.integers(2**32) if hasattr(self.rng, "integers") else self.rng.randint(2**31))
        return self

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
        border = self._border()
        zeros = tuple(border.input(np.zeros((1, *shape), np.int64)) for shape in shapes)
        with self.backend.context():
            outputs, _ = self.network(weights, zeros if shapes is input_shape else zeros[0])
        self._params, self.state, self.epoch = weights, {"step": step, "slots": slots}, epoch
        self.input_shape, self.output_shape = input_shape, tuple(outputs.shape[1:])

    def summary(self) -> str:
        """The network as a table; the shapes are known from the first data, or from `build`."""
        if self.input_shape is None:
            raise DataError("the model has seen no data yet; call build(input_shape) first")
        table: str = self.network.summary(self.input_shape, self.dtype)  # type: ignore[attr-defined]
        return table

    # Training.

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        batch_size: int | None = 32,
        validation_data: Any = None,
        validation_split: float = 0.0,
        validation_freq: int = 1,
        sample_weight: Any = None,
        class_weight: Any = None,
        shuffle: bool = True,
        callbacks: Iterable[Callback] = (),
        verbose: int | str = "auto",
    ) -> dict[str, list[float]]:
        """Train, and return the history, to which each epoch adds a float to each list.

        x : (N, …) array of any library, nested lists, or a tuple of arrays; or, with y None, an iterable of
            (x, y) or (x, y, sample_weight) batches that starts anew each epoch. Integers (images) are cast to the
            dtype. Memory-mapped arrays are read a batch at a time.
        y : (N,) integer classes, (N, K) distributions, or what the loss takes; a target (N,) fits one output (N, 1).
        epochs : at least 1, more than before where the model was fitted already. batch_size : at least 1; None is the
            whole set, unshuffled.
        validation_data : (x, y) or (x, y, sample_weight). validation_split : instead, this fraction in [0, 1) of the
            rows, drawn by the seed (Keras takes the last rows, which in sorted data are one class). Measured each
            validation_freq epochs and at the last; in between, history holds nan.
        sample_weight : (N,), at least 0. class_weight : {class: weight} or "balanced".
        shuffle : a new permutation each epoch, that of epoch e from default_rng([seed, e]).
        callbacks : see `Callback`. verbose : 0 silent, 1 progress, "auto" progress where someone is looking.

        Ctrl-C stops between two steps, keeps weights and history, and raises KeyboardInterrupt.
        Raises DataError or ShapeError for data that do not fit, before anything is trained; DivergedError when the
        numbers leave the finite, keeping the last finite weights.
        """
        _at_least("epochs", epochs, 1)
        _at_least("validation_freq", validation_freq, 1)
        if batch_size is not None:
            _at_least("batch_size", batch_size, 1, " (None is the whole set)")
        if not 0 <= validation_split < 1:
            raise DataError(f"validation_split must lie in [0, 1), got {validation_split!r}")
        if validation_split and (validation_data is not None or y is None):
            raise DataError("validation_split needs x and y as arrays and no validation_data beside it")
        validation = None if validation_data is None else unpack(validation_data)
        batches: Any
        if y is None:
            if sample_weight is not None or is_array(x):
                raise DataError("y is missing: give fit(x, y), or an iterable of (x, y) batches")
            batches = self._stream(x, epochs, class_weight)
        else:
            x, y = as_inputs(x), y if is_array(y) else np.asarray(y)
            if validation_split:
                x, y, sample_weight, validation = self._split(x, y, sample_weight, validation_split)
            seed = self._ready(x).seed if shuffle else self._ready(x) and None
            border = self._border()
            batches = rows_of(
                border, x, y, sample_weight, class_weight=class_weight, batch_size=batch_size, seed=seed
            )
            self.prepared_metrics = tuple(metric.prepare(batches.targets) for metric in self.metrics)
            self._warn_if_small(batches.count if batch_size is None else batch_size)
        validate = None
        if validation is not None:
            rows = rows_of(self._border(), *validation)
            validate = lambda: self._measure(rows)  # noqa: E731 - one line says it
        watchers = [*callbacks, *progress_for(verbose, epochs)]
        Fit(self, batches, watchers, validate, validation_freq).run(epochs)
        return self.history

    def append(self, logs: Mapping[str, float]) -> None:
        """Add an epoch's logs to the history; a name that is new, or missing, is nan where it has no number."""
        done = max((len(values) for values in self.history.values()), default=0)
        for name in [*self.history, *(name for name in logs if name not in self.history)]:
            self.history.setdefault(name, [math.nan] * done).append(float(logs.get(name, math.nan)))

    # Answers.

    def evaluate(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """{"loss": …, "accuracy": …}: the loss without penalty, and the metrics, over all rows, as Python floats."""
        x = as_inputs(x)
        self._ready(x)
        return self._measure(rows_of(self._border(), x, y, sample_weight))

    def __call__(self, x: Any) -> Nest:
        """The network's raw outputs (logits, values) in inference, in the library and on the device of x."""
        return self._answer(x, lambda outputs: outputs)

    def predict(self, x: Any) -> Array:
        """Labels (N,) of a classifier, values of a regression; one output a row is answered as (N,)."""
        loss = self.loss

        def prediction(outputs: Array) -> Array:
            answer = loss.prediction(outputs)
            xp = namespace(answer)
            if xp.isdtype(answer.dtype, "bool"):
                answer = xp.astype(answer, self.backend.index_dtype)
            return xp.reshape(answer, (-1,)) if tuple(answer.shape[1:]) == (1,) else answer

        return self._answer(x, prediction)

    def predict_proba(self, x: Any) -> Array:
        """Probabilities, as the loss's link makes them: (N, K), or (N, D) for D yes-or-no outputs.

        Raises DataError for a loss over values.
        """
        return self._answer(x, self.loss.probabilities)

    def save(self, path: str | Path) -> None:
        """Write architecture, weights, optimizer state and history to one safetensors file. See `arraynn.files`."""
        from .files import save

        save(self, path)

    @staticmethod
    def load(path: str | Path, backend: Any = "auto", dtype: str | None = None) -> Model:
        """A model saved by `save`, on any backend. Nothing in the file is run: CheckpointError for what is unknown."""
        from .files import load

        model: Model = load(path, backend, dtype)
        return model

    # Inside.

    def _ready(self, x: Nest) -> Model:
        """Resolve the backend and draw the weights, where that has not been done, and check the shape of x."""
        count_rows(x)
        shape = tree.map(lambda leaf: list(leaf.shape[1:]), x)
        shape = tuple(map(tuple, shape)) if isinstance(x, tuple) else tuple(shape)
        if self._params is None or self.seed is None:
            self.build(shape, like=tree.leaves(x)[0])
        elif self.input_shape is None:
            self.build(shape)
        elif shape != self.input_shape:
            raise ShapeError(f"the model takes inputs of shape (N, {', '.join(map(str, self.input_shape))}), got {shape} a row")
        return self

    def _border(self) -> Border:
        integers = bool(getattr(self.network, "integer_input", False))
        return Border(self.backend, self.dtype, self.loss, self.output_shape, integers)

    def _stream(self, batches: Any, epochs: int, class_weight: Any) -> Stream:
        try:
            iterator = iter(batches)
        except TypeError:
            raise DataError(f"x must be an array, or an iterable of (x, y) batches, got {type(batches).__name__}") from None
        if iterator is batches:
            if epochs > 1:
                raise DataError(
                    f"a generator is spent after one epoch and cannot give {epochs}; pass a list, or an object "
                    f"whose __iter__ starts anew"
                )
            first = next(iterator, None)
            batches = [] if first is None else _Rejoined(first, iterator)
        else:
            first = next(iterator, None)
        if first is None:
            raise DataError("the iterable gave no batch: it is empty, or a generator that is spent already")
        self._ready(as_inputs(unpack(first)[0]))
        return Stream(self._border(), batches, class_weight)

    def _split(self, x: Nest, y: Array, weight: Any, fraction: float) -> tuple[Nest, Array, Any, Any]:
        rows = count_rows(x)
        held = round(rows * fraction)
        if not 0 < held < rows:
            raise DataError(f"validation_split {fraction} of {rows} rows leaves no row on one side")
        seed = self._ready(x).seed
        order = np.random.default_rng([seed, 2**32]).permutation(rows)

        def pick(leaf: Array, part: np.ndarray) -> Array:
            if isinstance(leaf, np.ndarray):
                return leaf[np.sort(part)]
            place = of(leaf)
            return namespace(leaf).take(leaf, place.asarray(np.sort(part), place.index_dtype), axis=0)

        everything = [x, y] if weight is None else [x, y, weight if is_array(weight) else np.asarray(weight)]
        train, validation = (tree.map(lambda leaf: pick(leaf, part), everything) for part in (order[held:], order[:held]))
        return train[0], train[1], None if weight is None else train[2], tuple(validation)

    def _measure(self, rows: Rows) -> dict[str, float]:
        total = self.loss.total(rows.targets, rows.weight)
        metrics = [m if m in self.prepared_metrics else m.prepare(rows.targets) for m in self.prepared_metrics]
        parts = []
        with self.backend.context():
            for part in blocks(rows.count, self.backend.inference_rows):
                x, targets, weight = rows.take(part)
                outputs, _ = self.network(self._params, x)
                loss = self.loss(outputs, targets, sample_weight=weight, total=total)[0]
                parts.append({"loss": loss, **{m.name: m.sums(outputs, targets, weight) for m in metrics}})
            fetched = iter(self.backend.fetch(tree.leaves(parts)))
        host = tree.map(lambda _: next(fetched), parts)
        summed = tree.map(lambda *values: math.fsum(values), *host)
        return {"loss": summed["loss"], **{m.name: m.value(summed[m.name]) for m in metrics}}

    def _answer(self, x: Any, function: Callable[[Nest], Nest]) -> Nest:
        x = as_inputs(x)
        self._ready(x)
        home, border = tree.leaves(x)[0], self._border()
        rows = Rows(border, border.inputs(x), home, None)
        with self.backend.context():
            outputs = [
                function(self.network(self._params, rows.inputs(part))[0])
                for part in blocks(rows.count, self.backend.inference_rows)
            ]
        joined = tree.map(lambda *parts: parts[0] if len(parts) == 1 else self.backend.xp.concat(parts, axis=0), *outputs)
        return tree.map(of(home).asarray, joined)

    def _warn_if_small(self, batch: int) -> None:
        work = batch * sum(math.prod(leaf.shape) for leaf in tree.leaves(self._params))
        if self._wanted == "auto" and self.backend.name == "cupy" and work < SMALL_STEP:
            log.info("this step is small (%d multiplications): the CPU, backend='numpy', is likely faster", work)


class _Rejoined:
    """A generator with the batch that was already taken from it put back, to be gone through once."""

    def __init__(self, first: Any, rest: Any) -> None:
        self.first, self.rest = first, rest

    def __iter__(self) -> Any:
        yield self.first
        yield from self.rest


def _seeded(seed: Any) -> tuple[Any, int | None]:
    """(generator of the weights, integer seed, None where the generator gives it once the weights are drawn)."""
    if isinstance(seed, (np.random.Generator, np.random.RandomState)):
        return seed, None
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, a Generator or a RandomState, got {seed!r}")
    return np.random.default_rng(int(seed)), int(seed)


def _at_least(name: str, value: Any, low: int, more: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise DataError(f"{name} must be an integer of at least {low}{more}, got {value!r}")
