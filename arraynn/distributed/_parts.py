"""Shards of a batch whose layers exchange numbers in the middle of a pass; each runs in a thread of its own."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .._array import namespace
from ..backends import of
from ._group import Group


class Parts:
    """The shards of one batch. `run` calls a function for each shard of this worker. The function may call `gather`,
    which stacks an array of every shard of the batch, on every worker.

    count : shards of the whole batch. mine : the numbers of this worker's.
    Only the caller's thread exchanges with other workers. So an engine need not be thread-safe, and signals arrive in
    the thread that handles them.
    """

    def __init__(self, group: Group, count: int, mine: Sequence[int]) -> None:
        self.group, self.count, self.mine = group, count, mine
        self.turn = threading.Condition()
        self.asked: dict[int, Any] = {}  #: by shard, the array that waits to be exchanged
        self.given: Any = None
        self.round = 0
        self.ended = 0
        self.failed: list[BaseException] = []
        self.current = threading.local()

    def gather(self, array: Any) -> Any:
        """(count, …): this array of every shard, in the order of the rows. All shards call it, in the same order."""
        backend = of(array)
        with self.turn:
            if self.failed:
                raise _Broken
            before = self.round
            self.asked[self.current.shard] = array if self.group.keeps(array) else backend.to_numpy(array)
            self.turn.notify_all()
            while self.round == before and not self.failed:
                self.turn.wait()
            if self.failed:
                raise _Broken
            given = self.given
        return backend.asarray(given, array.dtype, copy=True)

    def run(self, function: Callable[[int], Any]) -> list[Any]:
        """[function(shard) for each of this worker's shards]."""
        results: dict[int, Any] = {}

        def work(shard: int) -> None:
            self.current.shard = shard
            error = None
            try:
                with np.errstate(all="ignore"):  # the caller's setting does not reach other threads
                    results[shard] = function(shard)
            except BaseException as raised:
                error = raised
            with self.turn:
                self.ended += 1
                if error is not None and not isinstance(error, _Broken):
                    self.failed.append(error)
                self.turn.notify_all()

        threads = [threading.Thread(target=work, args=(shard,), daemon=True) for shard in self.mine]
        for thread in threads:
            thread.start()
        try:
            while self._exchange():
                pass
        except BaseException as error:
            with self.turn:
                self.failed.append(error)
                self.turn.notify_all()
        for thread in threads:
            thread.join()
        if self.failed:
            raise self.failed[0]
        return [results[shard] for shard in self.mine]

    def _exchange(self) -> bool:
        """Wait until every shard has asked or ended, then answer those that asked. Returns whether more may come."""
        with self.turn:
            while len(self.asked) + self.ended < len(self.mine) and not self.failed:
                self.turn.wait()
            if self.failed or self.ended == len(self.mine):
                return False
            if self.ended:
                raise RuntimeError("the shards of a batch do not make the same exchanges: a layer depends on values")
            asked = dict(self.asked)
        one = next(iter(asked.values()))
        everyone = namespace(one).zeros((self.count, *one.shape), dtype=one.dtype)
        for shard, array in asked.items():
            everyone[shard] = array
        # a sum of zeros and one array each: exact in whatever order it is added, but for the sign of a zero
        everyone += 0
        xp = namespace(everyone)
        summed = xp.reshape(self.group.exact(xp.reshape(everyone, (-1,))), everyone.shape)
        with self.turn:
            self.asked, self.given, self.round = {}, summed, self.round + 1
            self.turn.notify_all()
        return True


class _Broken(Exception):
    """Another shard has failed."""


def joined(nest: Any) -> Any:
    """The numbers of a nest's arrays, end to end, in a new array (n,) of their library; None where there are none.

    They stand in the order of the sorted keys, as a dict may have them in another order: JAX's jit sorts them.
    """
    leaves = [*_in_order(nest)]
    if not leaves:
        return None
    xp = namespace(leaves[0])
    return xp.concat([xp.reshape(leaf, (-1,)) for leaf in leaves])


def _in_order(nest: Any) -> Iterator[Any]:
    if isinstance(nest, (dict, list, tuple)):
        for value in (nest[key] for key in sorted(nest)) if isinstance(nest, dict) else nest:
            yield from _in_order(value)
    else:
        yield nest


def parted(numbers: Any, like: Any) -> Any:
    """The nest whose numbers, `joined`, these are: views of them. like : a nest of its form, shapes and dtypes."""
    place = 0

    def part(leaf: Any) -> Any:
        nonlocal place
        if isinstance(leaf, dict):
            found = {key: part(leaf[key]) for key in sorted(leaf)}
            return {key: found[key] for key in leaf}
        if isinstance(leaf, (list, tuple)):
            return type(leaf)(list(map(part, leaf)))
        xp, start = namespace(numbers), place
        place += math.prod(leaf.shape)
        return xp.astype(xp.reshape(numbers[start:place], leaf.shape), leaf.dtype, copy=False)

    return part(like)


def at_group(group: Group, numbers: Any) -> Any:
    """An array as the group adds it up, which it may write to: where it lies, or on the host."""
    if group.keeps(numbers):
        return numbers
    host = of(numbers).to_numpy(numbers)
    return host if host.flags.writeable else host.copy()
