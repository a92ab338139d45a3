"""Data sets: arrays are checked, cast and moved to the device once, and come back as batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from .._array import namespace
from .._text import row_shape
from .._types import Array, Nest, Shape
from ..backends import Backend, number, of
from ..distributed import Team
from ..encoding import TableEncoding, is_table, rows_of_table
from ..errors import DataError, ShapeError
from ..losses import Domain, Loss
from .columns import batch_of, column_names, not_a_list_of_inputs, same_columns
from .host_array import HostArray
from .labels import as_numbers, class_table, weights_by_place
from .lengths import check_lengths
from .sharded_array import ShardedArray, is_sharded
from .validation import as_array, as_inputs, count_rows, distributions, finite, in_domain, in_range, same_place


@dataclass(frozen=True)
class InputSpec:
    """What training data must be: backend, dtype, the loss they are for, shapes of inputs and outputs.

    input_shape, output_shape : of a row. first : class and path of the layer that takes x, for errors.
    integer_input : the network looks numbers up (an embedding), so integers stay integers. vocabulary : how many there
        are to look up, where that is known. Both are tuples, by part of x, where its parts differ in that.
    longest : by part of x, the largest length that it may hold, None of a part that holds no lengths.
    columns : the names of x's columns, where they are known; x with others, or in another order, is refused.
    partial : these are batches of a whole that is never seen; the weights of one of them may all be 0.
    classes : the labels that targets are given by, in the order of the outputs; None takes the outputs' numbers.
    encoding : of tables, where the model takes them.
    """

    backend: Backend
    dtype: str
    loss: Loss
    input_shape: Any
    output_shape: Shape
    first: tuple[str, str] = ("", "")
    integer_input: bool | tuple[bool, ...] = False
    vocabulary: int | tuple[int | None, ...] | None = None
    longest: tuple[int | None, ...] | None = None
    columns: Any = None
    partial: bool = False
    classes: tuple[Any, ...] | None = None
    encoding: TableEncoding | None = None

    def inputs(self, x: Nest) -> Nest:
        """x on the backend, floats in the dtype, all finite. Memory-mapped arrays stay where they are, unread, and so
        do NumPy's that would take more than half of the room there: they are moved a batch at a time."""
        self.check_shape(x)
        most = self.backend.room() / 2 / np.dtype(self.dtype).itemsize  # the other half is for the training

        def taken(leaf: Any, part: int | None) -> Any:
            if isinstance(leaf, ShardedArray):
                return leaf.of_part(part, self)
            return HostArray(leaf, part=part) if _stays(leaf, most) else self.input(leaf, part=part)

        return self.by_part(taken, x)

    def check_shape(self, x: Nest) -> None:
        """Raise ShapeError unless the rows of x have the shape that the network takes."""
        shape = shape_of_rows(x)
        if shape != self.input_shape:
            layer, path = self.first
            remedy = batch_of(x, self.input_shape)
            raise ShapeError(
                f"expected input {row_shape(self.input_shape)}, got {row_shape(shape)}{remedy}", layer=layer, path=path
            )

    def by_part(self, function: Callable[[Array, int | None], Any], x: Nest) -> Nest:
        """function(leaf, part) of each leaf of x; the part is None where all of x is taken in the same way."""
        if not isinstance(self.integer_input, tuple) and self.longest is None:
            return tree.map(lambda leaf: function(leaf, None), x)
        return tuple(tree.map(lambda leaf, i=i: function(leaf, i), part) for i, part in enumerate(x))

    def input(self, leaf: Array, rows: Any = None, part: int | None = None) -> Array:
        """One leaf of x. rows : the numbers that its rows go by in an error. part : of x, where parts differ."""
        finite("x", leaf, self.dtype, rows)
        integers, words = (
            one[part] if isinstance(one, tuple) and part is not None else one
            for one in (self.integer_input, self.vocabulary)
        )
        whole = integers and namespace(leaf).isdtype(leaf.dtype, "integral")
        if whole and isinstance(words, int) and math.prod(leaf.shape):
            in_range("x", leaf, 0, words - 1, f"the embedding has {words} words")
        check_lengths(leaf, self.longest[part] if self.longest and part is not None else None)
        return self.backend.asarray(leaf, self.backend.index_dtype if whole else self.dtype)

    def numbers(self, y: Any) -> Array:
        """y as an array of numbers: labels as their places among the classes."""
        return as_numbers(self.classes, self.loss, y)

    def targets(self, y: Array) -> Array:
        """y on the backend, checked against the loss: classes in the index dtype, all else in the model's dtype."""
        kind, shape = self.loss.targets, tuple(y.shape)
        expected = (shape[0], *self.output_shape)
        whole = namespace(y).isdtype(y.dtype, ("integral", "bool"))
        if kind == "classes" and self.output_shape == (1,):
            raise ShapeError(
                f"{type(self.loss).__name__} needs an output for each class, and the network has one: give its last "
                f"layer as many units as there are classes, or take nn.sigmoid_cross_entropy, whose one output tells "
                f"two classes apart"
            )
        if kind == "classes" and shape != expected:
            return self._labels(y, expected, whole)
        if kind != "any" and shape != expected:
            if math.prod(shape) != shape[0] or math.prod(expected) != shape[0]:
                raise ShapeError(
                    f"targets have shape {row_shape(shape[1:])}, the network's outputs {row_shape(self.output_shape)}; "
                    f"they must be the same"
                )
            y = namespace(y).reshape(y, expected)  # one output a row: (N,) and (N, 1) mean the same
        finite("y", y, self.dtype)
        domain = self.loss.domain
        if kind in ("classes", "binary") and domain == Domain():
            domain = Domain(0, 1)
        if domain != Domain():
            in_domain("y", y, domain, type(self.loss).__name__)
        if kind == "classes":
            distributions(y)
        return self.backend.asarray(y, self.backend.index_dtype if kind == "any" and whole else self.dtype)

    def _labels(self, y: Array, expected: Shape, whole: bool) -> Array:
        if len(expected) < 2:
            raise ShapeError(
                f"{type(self.loss).__name__} takes outputs (N, K), the network's are {row_shape(expected[1:])}"
            )
        (*places, classes), shape = expected, tuple(y.shape)
        if shape != tuple(places):
            rows = places[0]
            remedy = "; flatten them, as by y.reshape(-1)" if (*places,) == (rows,) and shape == (rows, 1) else ""
            if len(places) > 1 and shape == (rows,):
                remedy = "; one label a row takes outputs (N, K): put Flatten() before the last layer"
            raise ShapeError(
                f"class labels must have shape {row_shape(places[1:])}, or {row_shape(expected[1:])} for "
                f"distributions, got {shape}{remedy}"
            )
        if not whole:
            raise DataError(
                f"class labels must be integers in [0, {classes}), got {y.dtype}; convert them, as by y.astype(int)"
            )
        ignored = getattr(self.loss, "ignore_label", None)
        with of(y).context():
            counted = y if ignored is None else namespace(y).where(y == ignored, y * 0, y)
        in_range(
            "class labels",
            counted,
            0,
            classes - 1,
            f"the network has {classes} outputs; number classes from 0, or widen it",
        )
        return self.backend.asarray(y, self.backend.index_dtype)

    def weights(self, weight: Array | None, rows: int) -> Array | None:
        """Sample weights on the backend: (rows,), or for classes of sequences one for each label; finite, at least 0,
        not all 0."""
        if weight is None:
            return None
        places = self.output_shape[:-1] if self.loss.targets == "classes" else ()
        if tuple(weight.shape) not in ((rows,), (rows, *places)):
            raise ShapeError(f"sample_weight must have one number a row, shape ({rows},), got {tuple(weight.shape)}")
        finite("sample_weight", weight, self.dtype)
        weight, xp = self.backend.asarray(weight, self.dtype), self.backend.xp
        with self.backend.context():
            low, high = number(xp.min(weight)), number(xp.max(weight))
        if low < 0 or (high == 0 and not self.partial):
            raise DataError(f"sample_weight must be at least 0 and not all 0, got values from {low:g} to {high:g}")
        return weight


@dataclass(frozen=True)
class ArrayDataset:
    """Arrays of x, targets and weights on the spec's backend, whose rows are taken in batches."""

    spec: InputSpec
    x: Nest
    targets: Array
    weight: Array | None
    batch_size: int | None = None
    seed: int | None = None  #: None does not shuffle

    @property
    def count(self) -> int:
        return int(self.targets.shape[0])

    def epoch(self, epoch: int) -> Iterator[Callable[..., Any]]:
        """Functions that make this epoch's batches or, given a team, a worker's share of them.

        The permutation of epoch e comes from default_rng([seed, e]).
        """
        if self.batch_size is None:
            yield partial(self.take, slice(0, self.count))
            return
        if self.seed is None:
            for part in blocks(self.count, self.batch_size):
                yield partial(self.take, part)
            return
        host, backend = _permutation([self.seed, epoch], self.count), self.spec.backend
        order = host if backend.owns(host) else backend.asarray(host, backend.index_dtype)
        for part in blocks(self.count, self.batch_size):
            yield partial(self._shuffled, order, host, part)

    def _shuffled(self, order: Array, host: np.ndarray, part: slice, team: Team | None = None) -> Any:
        return self.take(order[part], host[part], team)

    def take(self, rows: Any, host: Any = None, team: Team | None = None) -> Any:
        """The rows of a slice, or of an index array (`host` is the same for what is memory-mapped), as a Batch; with a
        team, this worker's Share of them: of x, no other rows are read."""
        if team is None:
            return self.inputs(rows, host), *self.answers(rows, host)
        targets, weight = self.answers(rows, host)
        shares = team.rows_by_worker(int(targets.shape[0]))
        everyone = [_part_of(rows if host is None else host, share) for share in shares]
        own = shares[team.group.rank]
        x = self.inputs(_part_of(rows, own), None if host is None else host[own], everyone)
        return team.share(self.spec.loss, ((), targets, weight), x)

    def answers(self, rows: Any, host: Any = None) -> tuple[Array, Array | None]:
        """Targets and weights of these rows."""
        return _pick(self.targets, rows, host), None if self.weight is None else _pick(self.weight, rows, host)

    def inputs(self, rows: Any, host: Any = None, everyone: Any = None) -> Nest:
        """x alone, of these rows. everyone : the rows that each worker wants at the same time, these by default."""
        own = rows if host is None else host

        def read(leaf: Any) -> Array:
            if isinstance(leaf, ShardedArray):
                return leaf.read([own] * leaf.group.size if everyone is None else everyone, self.spec)
            return leaf.read(own, self.spec) if isinstance(leaf, HostArray) else _pick(leaf, rows, host)

        return tree.map(read, self.x)

    @property
    def sharded(self) -> bool:
        """Whether to read rows is an exchange between workers, which all of them take part in."""
        return is_sharded(self.x)

    @property
    def fetch_steps(self) -> int | None:
        """Steps between fetches, at most, where that is less than usual: a replay then reads whole batches."""
        return 64 if self.sharded else None

    def split(self, fraction: float, seed: int) -> tuple[ArrayDataset, ArrayDataset]:
        """(the rest, this fraction of the rows, drawn by the seed); each keeps the order of the whole."""
        held = round(self.count * fraction)
        if not 0 < held < self.count:
            raise DataError(f"validation_split {fraction} of {self.count} rows leaves no row on one side")
        order = _permutation([seed, 2**32], self.count)  # no epoch has this number

        def part(rows: np.ndarray) -> ArrayDataset:  # within the backend's context
            places = self.spec.backend.asarray(rows, self.spec.backend.index_dtype)

            def pick(leaf: Any) -> Any:
                return leaf.take(rows) if isinstance(leaf, (HostArray, ShardedArray)) else _pick(leaf, places, rows)

            weight = None if self.weight is None else self.spec.weights(pick(self.weight), len(rows))
            return replace(self, x=tree.map(pick, self.x), targets=pick(self.targets), weight=weight)

        with self.spec.backend.context():
            return part(np.sort(order[held:])), part(np.sort(order[:held]))

    def with_classes(self, class_weight: Any) -> ArrayDataset:
        """Sample weights times the weight of each row's class; "balanced" weighs a class by N / (K · its rows)."""
        if class_weight is None:
            return self
        labels = of(self.targets).to_numpy(self.targets).reshape(self.count, -1)
        binary = self.spec.loss.targets == "binary" and bool(np.isin(labels, (0, 1)).all())
        if labels.shape[1] != 1 or not (binary or self.spec.loss.targets == "classes"):
            raise DataError("class_weight needs class labels of shape (N,); give sample_weight instead")
        labels = labels[:, 0].astype(np.int64)
        counted = labels != getattr(self.spec.loss, "ignore_label", None)
        if self.spec.classes is not None:
            class_weight = weights_by_place(self.spec.classes, class_weight)
        table = class_table(class_weight, labels[counted], 2 if binary else int(self.spec.output_shape[-1]))
        own = 1.0 if self.weight is None else of(self.weight).to_numpy(self.weight)
        weight = own * table[np.where(counted, labels, 0)]  # of an ignored row, any: it does not count
        return replace(self, weight=self.spec.weights(weight, self.count))


def _permutation(seed: list[int], count: int) -> np.ndarray:
    """default_rng(seed).permutation(count), in four bytes a row where they do."""
    order = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    np.random.default_rng(seed).shuffle(order)
    return order


def _stays(leaf: Array, most: float) -> bool:
    """Whether an array of x stays on the host: one on disk, or one of more numbers than that."""
    return isinstance(leaf, np.ndarray) and (isinstance(leaf, np.memmap) or leaf.size > most)


def _part_of(rows: Any, part: slice) -> Any:
    """A part of the rows of a slice with both ends, or of an index array."""
    return slice(rows.start + part.start, rows.start + part.stop) if isinstance(rows, slice) else rows[part]


def _pick(leaf: Array, rows: Any, host: Any) -> Array:
    if host is not None:
        return namespace(leaf).take(leaf, rows, axis=0)
    whole = rows.start == 0 and (rows.stop is None or rows.stop >= leaf.shape[0])
    return leaf if whole else leaf[(rows, *[slice(None)] * (len(leaf.shape) - 1))]


def rows_of(spec: InputSpec, x: Nest, y: Any, sample_weight: Any = None) -> ArrayDataset:
    """Data checked, cast and moved. DataError or ShapeError says what is wrong and what would be right."""
    x, y = rows_of_table(spec.encoding, x, y)
    y = spec.numbers(y)
    not_a_list_of_inputs(x, spec.input_shape, y)
    same_columns(spec.columns, column_names(x))
    x = as_inputs(x)
    weight = None if sample_weight is None else as_array("sample_weight", sample_weight)
    same_place(*tree.leaves(x), y, weight)
    rows = count_rows(x)
    if not y.shape or y.shape[0] != rows:
        remedy = batch_of(x, spec.input_shape)
        raise ShapeError(f"x has {rows} rows, the targets have shape {tuple(y.shape)}; they must agree{remedy}")
    targets = spec.targets(y)
    return ArrayDataset(spec, spec.inputs(x), targets, spec.weights(weight, rows))


def shape_of_rows(x: Nest) -> Any:
    """The shape of x without the batch axis; a tuple of shapes for a tuple."""
    return tuple(shape_of_rows(part) for part in x) if isinstance(x, tuple) else tuple(x.shape[1:])


def unpack(what: str, item: Any) -> tuple[Any, Any, Any]:
    """(x, targets, sample_weight or None) of one batch of an iterable, or of validation data; a table holds both."""
    if is_table(item):
        return item, None, None
    if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
        shown = f"{len(item)} items" if isinstance(item, (tuple, list)) else type(item).__name__
        raise DataError(f"{what} must give (x, targets) or (x, targets, sample_weight), got {shown}")
    return item[0], item[1], item[2] if len(item) == 3 else None


def blocks(count: int, size: int) -> list[slice]:
    """Slices that cover `count` rows, `size` at a time."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
