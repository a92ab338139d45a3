"""How workers share a training step: the rows that each takes, and the sum of their gradients."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from .._coupling import batch_coupled, exchanges_parts
from .._hyperparameters import is_integer
from .._types import Array, Nest
from ..backends import for_type, of
from ..errors import DataError, WorkerError
from ._agreement import Agreed, agreed, filled, vector
from ._group import Group, pairwise, told_by
from ._local_sgd import LocalSGD
from ._parts import Parts, at_group

SHARDS = 8  #: of a batch, unless told

LARGE = 1 << 23  #: numbers of an array, above which its digest looks at some rows only
SAMPLE = 256  #: so many


@dataclass(frozen=True)
class Share:
    """A worker's rows of one batch.

    batch : (x, targets, sample_weight) of these rows. start : the first of them, counted in the batch. rows : of the
    whole batch. total : what the whole batch's loss is divided by; own_total : what these rows' alone would be.
    """

    batch: tuple[Nest, Array, Array | None]
    start: int
    rows: int
    total: Any
    own_total: Any


@dataclass(frozen=True)
class Team:
    """A group that trains together. shards : the number of pieces that each batch is cut into, by its rows alone.

    reduction : "exact", with the same bits for 1, 2, 4, … workers; "fast", the engine's own sum; or a LocalSGD, with
        which a step exchanges no gradients.
    Each worker takes a run of shards and adds up their gradients as a balanced tree. The trees are joined over the
    workers. So the bits do not depend on the number of workers, where it is a power of two that divides `shards`.
    """

    group: Group
    shards: int
    reduction: str | LocalSGD = "exact"

    def __post_init__(self) -> None:
        if not is_integer(self.shards, 1):
            raise DataError(f"shards must be an integer of at least 1, got {self.shards!r}")
        if self.group.size > self.shards:
            few = WorkerError(
                f"there are {self.group.size} workers, and each batch is cut into {self.shards} shards, so some would "
                f"have nothing to do: give shards={self.group.size} or more, or start {self.shards} workers"
            )
            raise told_by(few, 0)
        if self.local is None and self.reduction not in ("exact", "fast"):
            raise DataError(f"reduction must be 'exact', 'fast' or a LocalSGD, got {self.reduction!r}")

    @property
    def local(self) -> LocalSGD | None:
        """The LocalSGD by which each worker takes steps of its own, else None."""
        return self.reduction if isinstance(self.reduction, LocalSGD) else None

    @property
    def mine(self) -> range:
        """The numbers of this worker's shards."""
        return self._of(self.group.rank)

    def _of(self, rank: int) -> range:
        size = self.group.size
        return range(self.shards * rank // size, self.shards * (rank + 1) // size)

    def edge(self, rows: int, shard: int) -> int:
        """The first row of a shard in a batch of so many rows."""
        return rows * shard // self.shards

    def own_rows(self, rows: int) -> slice:
        """This worker's rows of a batch of so many."""
        return self.rows_by_worker(rows)[self.group.rank]

    def rows_by_worker(self, rows: int) -> list[slice]:
        """Every worker's rows of a batch of so many."""
        runs = map(self._of, range(self.group.size))
        return [slice(self.edge(rows, run.start), self.edge(rows, run.stop)) for run in runs]

    def share(self, loss: Any, batch: tuple[Nest, Array, Array | None], own_x: Nest = None) -> Share:
        """This worker's rows of a batch. own_x : of x, where they are picked already, and the batch's x is not read."""
        x, targets, weight = batch
        rows = int(targets.shape[0])
        own = self.own_rows(rows)
        picked, own_targets, own_weight = _rows((x if own_x is None else (), targets, weight), own)
        own_x = picked if own_x is None else own_x
        totals = loss.total(targets, weight), loss.total(own_targets, own_weight)
        return Share((own_x, own_targets, own_weight), own.start, rows, *map(_array, totals))

    def check(self, network: Any, loss: Any, metrics: tuple[Any, ...]) -> None:
        """Raise DataError where a batch cannot be cut before one of these."""
        for block in (network, loss, *metrics):
            if name := _undivided(block):
                raise DataError(
                    f"{name} takes its numbers from all rows of a batch, or does not say that "
                    f"it does not, so a batch cannot be shared out before it: say `batch_coupled = False` in its class "
                    f"where its rows have nothing to do with one another, or train without workers and shards"
                )

    def accumulate(
        self, gradient: Callable[..., Any], params: Nest, share: Share, key: Any, coupled: bool
    ) -> tuple[dict[str, Any], Any, Nest]:
        """(this worker's sums; the gradients of the whole batch, end to end, or with LocalSGD of its own rows; the
        statistics).

        The sums are numbers on the host, or 0-d arrays where the group adds up such arrays on their device.
        gradient(params, rows, key, total) -> sums, gradients end to end, statistics, of some rows. coupled : whether it
        exchanges numbers.
        """
        leaf = tree.first(params)
        backend, engine = of(leaf), for_type(type(leaf))
        parts = Parts(self.group if self.local is None else Group(), self.shards, self.mine) if coupled else None
        total = share.total if self.local is None else share.own_total

        def of_shard(shard: int) -> tuple[dict[str, Any], Any, Nest]:
            first, last = self.edge(share.rows, shard), self.edge(share.rows, shard + 1)
            rows = _rows(share.batch, slice(first - share.start, last - share.start))
            with engine.current(leaf):  # a thread of its own begins with the first device
                sums, numbers, statistics = gradient(params, rows, key.rows(first, parts), total)
                return sums, numbers if numbers is None else at_group(self.group, numbers), statistics

        with engine.single_threaded_products(), engine.current(leaf):
            found = parts.run(of_shard) if parts is not None else backend.parallel_map(of_shard, self.mine)
        sums, whole, statistics = found[0]
        values = pairwise([vector(self.group, tree.leaves(sums), leaf) for sums, _, _ in found])
        if whole is not None:
            whole = pairwise([numbers for _, numbers, _ in found])
            if self.local is None:
                whole = self.group.exact(whole) if self.reduction == "exact" else self.group.sum(whole)
            whole = backend.asarray(whole, leaf.dtype)
        logs = filled(sums, values if self.group.keeps(leaf) else values.tolist())
        if self.local is not None:  # its part of the mean over the whole batch
            own, total = vector(self.group, [share.own_total, share.total], leaf)
            logs["data_loss"] = logs["data_loss"] * (own / (total + (total == 0)))
        return logs, whole, statistics

    def agree(
        self, logs: Mapping[str, Any], flags: Mapping[str, Any] | None = None, like: Array | None = None
    ) -> Agreed:
        """The sums of all workers, and for each of FLAGS whether any of them has raised it: one float64 sum.

        like : where given, an array on whose device the sum stays, if the group adds up such arrays there.
        """
        return agreed(self.group, logs, flags, like)


def team_of(group: Any, shards: int | None, reduction: str | LocalSGD = "exact") -> Team | None:
    """The team of a group (None: alone), or None where neither a group nor shards are given."""
    if group is None and shards is None:
        return None
    group = Group() if group is None else group
    if not isinstance(group, Group):
        raise DataError(f"workers must be what nn.workers(…) returns, got {group!r:.80}")
    if shards is None:
        shards = max(SHARDS, 1 << (group.size - 1).bit_length())
    return Team(group, shards, reduction)


def digest(nest: Nest) -> str:
    """A hash of a nest's arrays: their shapes, dtypes and numbers; of large ones, of rows here and there."""
    found = hashlib.sha256()
    for leaf in tree.leaves(nest):
        leaf = getattr(leaf, "array", leaf)  # of an array that is read a batch at a time
        if leaf is None:
            continue
        found.update(f"{tuple(leaf.shape)} {leaf.dtype}".encode())
        if leaf.shape and math.prod(leaf.shape) > LARGE:
            places = [leaf.shape[0] * i // SAMPLE for i in range(SAMPLE)]
            for place in places:
                row = leaf[place : place + 1]
                found.update(np.ascontiguousarray(of(row).to_numpy(row)).tobytes())
        else:
            found.update(np.ascontiguousarray(of(leaf).to_numpy(leaf)).tobytes())
    return found.hexdigest()[:12]


def _undivided(block: Any, path: str = "") -> str:
    """Class and path of the block that takes whole batches only, as "MyLayer 'layers.1'"; "" where there is none."""
    if not batch_coupled(block) or exchanges_parts(block):
        return ""
    for i, layer in enumerate(getattr(block, "layers", ())):
        if found := _undivided(layer, f"{path}.layers.{i}".lstrip(".")):
            return found
    return f"{type(block).__name__} {path!r}" if path else type(block).__name__


def _rows(batch: Any, rows: slice) -> Any:
    x, targets, weight = batch

    def pick(leaf: Array) -> Array:
        return leaf[(rows, *[slice(None)] * (len(leaf.shape) - 1))]

    return tree.map(pick, x), pick(targets), None if weight is None else pick(weight)


def _array(total: Any) -> Any:
    return np.asarray(total) if isinstance(total, np.generic) else total  # NumPy's sums are no arrays
