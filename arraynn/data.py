"""The border of training: data are checked, cast and moved once, and come back as batches on the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

from . import tree
from ._array import is_array, is_float, namespace
from ._types import Array, Nest, Shape
from .backends import Backend, number, of
from .errors import DataError, ShapeError
from .losses import Loss
from .training import Batch

CHUNK = 1 << 20  #: numbers looked at together when host arrays are checked, so that a memory-mapped file streams


@dataclass(frozen=True)
class Border:
    """What data must become to be trained on: where, in which dtype, for which loss and which outputs.

    integer_input : the network looks numbers up (an embedding), so integers stay integers.
    """

    backend: Backend
    dtype: str
    loss: Loss
    output_shape: Shape
    integer_input: bool = False

    def inputs(self, x: Nest) -> Nest:
        """x on the backend, floats in the dtype; memory-mapped arrays stay where they are."""
        return tree.map(lambda leaf: leaf if isinstance(leaf, np.memmap) else self.input(leaf), x)

    def input(self, leaf: Array) -> Array:
        whole = namespace(leaf).isdtype(leaf.dtype, "integral")
        return self.backend.asarray(leaf, self.backend.index_dtype if whole and self.integer_input else self.dtype)

    def targets(self, y: Array) -> Array:
        """y on the backend, checked against the loss: classes in the index dtype, all else in the model's dtype."""
        kind, shape = self.loss.targets, tuple(y.shape)
        expected = (shape[0], *self.output_shape)
        whole = namespace(y).isdtype(y.dtype, ("integral", "bool"))
        if kind == "classes" and shape != expected:
            classes = self.output_shape[-1]
            if len(shape) != 1:
                raise ShapeError(f"class labels must have shape ({shape[0]},), or {expected} for distributions, got {shape}")
            if not whole:
                raise DataError(f"class labels must be integers in [0, {classes}), got {y.dtype}; convert them, as by y.astype(int)")
            _in_range("labels", y, 0, classes - 1, self.loss)
            return self.backend.asarray(y, self.backend.index_dtype)
        if kind != "any" and shape != expected:
            if math.prod(shape) != shape[0] or math.prod(expected) != shape[0]:
                raise ShapeError(f"targets have shape {shape}, the network's outputs {expected}; they must be the same")
            y = namespace(y).reshape(y, expected)  # one output a row: (N,) and (N, 1) mean the same
        if kind in ("classes", "binary"):
            _in_range("targets", y, 0, 1, self.loss)
        _finite("targets", y)
        return self.backend.asarray(y, self.backend.index_dtype if kind == "any" and whole else self.dtype)

    def weights(self, weight: Array | None, rows: int) -> Array | None:
        """Sample weights on the backend: (rows,), finite, at least 0, not all 0."""
        if weight is None:
            return None
        if tuple(weight.shape) != (rows,):
            raise ShapeError(f"sample_weight must have one number a row, shape ({rows},), got {tuple(weight.shape)}")
        _finite("sample_weight", weight)
        xp = namespace(weight)
        low, high = number(xp.min(weight)), number(xp.max(weight))
        if low < 0 or high == 0:
            raise DataError(f"sample_weight must be at least 0 and not all 0, got values from {low:g} to {high:g}")
        return self.backend.asarray(weight, self.dtype)


@dataclass(frozen=True)
class Rows:
    """A data set whose rows can be picked: x and targets and weights at the border's backend."""

    border: Border
    x: Nest
    targets: Array
    weight: Array | None
    batch_size: int | None = None
    seed: int | None = None  #: None does not shuffle

    @property
    def count(self) -> int:
        return int(self.targets.shape[0])

    def epoch(self, epoch: int) -> Iterator[Callable[[], Batch]]:
        """Functions that make this epoch's batches; the permutation of epoch e comes from default_rng([seed, e])."""
        if self.batch_size is None:
            yield lambda: self.take(slice(0, self.count))
            return
        if self.seed is None:
            for part in blocks(self.count, self.batch_size):
                yield lambda part=part: self.take(part)
            return
        host = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        order = self.border.backend.asarray(host, self.border.backend.index_dtype)
        for part in blocks(self.count, self.batch_size):
            yield lambda part=part: self.take(order[part], host[part])

    def take(self, rows: Any, host: Any = None) -> Batch:
        """The rows of a slice, or of an index array (`host` is the same for what is memory-mapped)."""
        weight = None if self.weight is None else _pick(self.weight, rows, host)
        return self.inputs(rows, host), _pick(self.targets, rows, host), weight

    def inputs(self, rows: Any, host: Any = None) -> Nest:
        """x alone, of these rows."""

        def read(leaf: Array) -> Array:
            if not isinstance(leaf, np.memmap):
                return _pick(leaf, rows, host)
            part = np.asarray(leaf[rows if host is None else host])
            _finite("x", part)
            return self.border.input(part)

        return tree.map(read, self.x)


def _pick(leaf: Array, rows: Any, host: Any) -> Array:
    if host is not None:
        return namespace(leaf).take(leaf, rows, axis=0)
    whole = rows.start == 0 and (rows.stop is None or rows.stop >= leaf.shape[0])
    return leaf if whole else leaf[(rows, *[slice(None)] * (len(leaf.shape) - 1))]


@dataclass(frozen=True)
class Stream:
    """An iterable of (x, targets) or (x, targets, sample_weight) batches, gone through once an epoch."""

    border: Border
    batches: Iterable[Any]
    class_weight: Any = None

    def epoch(self, epoch: int) -> Iterator[Callable[[], Batch]]:
        found = False
        for item in self.batches:
            found = True
            batch = rows_of(self.border, *unpack(item), class_weight=self.class_weight).take(slice(0, None))
            yield lambda batch=batch: batch
        if not found:
            raise DataError(f"the iterable gave no batch in epoch {epoch}: it must start anew each time it is iterated")


def rows_of(
    border: Border,
    x: Nest,
    y: Any,
    sample_weight: Any = None,
    *,
    class_weight: Any = None,
    batch_size: int | None = None,
    seed: int | None = None,
) -> Rows:
    """Data checked, cast and moved. Raises DataError or ShapeError, each naming what is wrong and what would be right."""
    x, y = as_inputs(x), as_array("targets", y)
    weight = None if sample_weight is None else as_array("sample_weight", sample_weight)
    same_place(border.backend, x, y, weight)
    rows = count_rows(x)
    if not y.shape or y.shape[0] != rows:
        raise ShapeError(f"x has {rows} rows, the targets have shape {tuple(y.shape)}; they must agree")
    for leaf in tree.leaves(x):
        if not isinstance(leaf, np.memmap):
            _finite("x", leaf)
    targets = border.targets(y)
    if class_weight is not None:
        weight = _with_classes(class_weight, y, weight, border)
    return Rows(border, border.inputs(x), targets, border.weights(weight, rows), batch_size, seed)


def as_inputs(x: Nest) -> Nest:
    """x as arrays: an array, nested lists of numbers, or a tuple of these for a network with several inputs."""
    return tuple(as_inputs(part) for part in x) if isinstance(x, tuple) else as_array("x", x)


def as_array(what: str, values: Any) -> Array:
    """values as an array of numbers of some library; lists become NumPy's. DataError where they are not numbers."""
    if not is_array(values):
        try:
            values = np.asarray(values)
        except ValueError as error:
            raise DataError(f"{what} cannot be made an array: {error}") from None
    if isinstance(values, np.ndarray) and values.dtype.kind not in "fiub":
        raise DataError(f"{what} must hold real numbers, got dtype {values.dtype}")
    return values


def count_rows(x: Nest) -> int:
    """The number of rows, the same in every part of x; DataError where there are none."""
    counts = {int(leaf.shape[0]) if leaf.shape else None for leaf in tree.leaves(x)}
    if len(counts) != 1 or None in counts:
        raise ShapeError(f"every part of x must have the same number of rows, got {sorted(map(str, counts))}")
    (rows,) = counts
    if not rows:
        raise DataError("x is empty: it has 0 rows, at least 1 is needed")
    return int(rows)


def same_place(backend: Backend, x: Nest, *others: Array | None) -> None:
    """Raise DataError where arrays of two libraries or devices are mixed. NumPy arrays go along with any."""
    home: Array | None = None
    for leaf in [*tree.leaves(x), *others]:
        if leaf is None or isinstance(leaf, np.ndarray):
            continue
        if home is None:
            home = leaf
        elif place(leaf) != place(home):
            raise DataError(
                f"the data are mixed: {' on '.join(place(home))} and {' on '.join(place(leaf))}; bring them to one "
                f"place, as by nn.backend(x).asarray(y), or pass NumPy arrays"
            )


def place(x: Array) -> tuple[str, str]:
    """(library, device) of an array, to compare and to show."""
    return of(x).name, str(array_api_compat.device(x))


def unpack(item: Any) -> tuple[Any, Any, Any]:
    """(x, targets, sample_weight or None) of one batch of an iterable."""
    if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
        raise DataError(f"an iterable must give (x, targets) or (x, targets, sample_weight), got {type(item).__name__}")
    return item[0], item[1], item[2] if len(item) == 3 else None


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices that cover `count` rows, `size` at a time."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _with_classes(class_weight: Any, y: Array, weight: Array | None, border: Border) -> Array:
    """Sample weights times the weight of each row's class; "balanced" weighs a class by N / (K · its rows)."""
    labels = of(y).to_numpy(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iub" or border.loss.targets not in ("classes", "binary"):
        raise DataError("class_weight needs integer class labels of shape (N,); give sample_weight instead")
    labels = labels.astype(np.int64)
    classes = max(int(border.output_shape[-1]), 2)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise DataError(f"class_weight must be 'balanced' or a mapping from class to weight, got {class_weight!r}")
        counts = np.bincount(labels, minlength=classes)
        table = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    elif isinstance(class_weight, Mapping):
        table = np.ones(classes)
        for label, value in class_weight.items():
            if label not in range(classes) or not 0 <= value < math.inf:
                raise DataError(f"class_weight has {label!r}: {value!r}; classes are 0 to {classes - 1}, weights at least 0")
            table[label] = value
    else:
        raise DataError(f"class_weight must be 'balanced' or a mapping from class to weight, got {class_weight!r}")
    own = np.ones(len(labels)) if weight is None else np.asarray(of(weight).to_numpy(weight), dtype=np.float64)
    if own.shape != labels.shape:
        raise ShapeError(f"sample_weight must have one number a row, shape {labels.shape}, got {own.shape}")
    product: Array = own * table[labels]
    return product


def _finite(what: str, x: Array) -> None:
    """Raise DataError naming the first row that is not finite. One look at the device for its arrays."""
    if not is_float(x) or not math.prod(x.shape):
        return
    if not isinstance(x, np.ndarray):
        xp = namespace(x)
        if number(xp.all(xp.isfinite(x))):
            return
        x = of(x).to_numpy(x)
    step = max(CHUNK // max(math.prod(x.shape[1:]), 1), 1)
    for part in blocks(x.shape[0], step):
        bad = ~np.isfinite(x[part])
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            value = x[part][row][bad[row]] if x.ndim > 1 else x[part][row : row + 1]
            raise DataError(f"{what} holds {value.flat[0]} in row {part.start + row}; every number must be finite: "
                            f"drop such rows, or fill them in")


def _in_range(what: str, y: Array, low: int, high: int, loss: Loss) -> None:
    xp = namespace(y)
    values = xp.astype(y, xp.int8) if xp.isdtype(y.dtype, "bool") else y
    least, most = number(xp.min(values)), number(xp.max(values))
    if least < low or most > high:
        wrong = least if least < low else most
        raise DataError(f"{what} must lie in [{low}, {high}] for {type(loss).__name__} and this network, got {wrong:g}")
