"""The protocol of a group of workers, with sums whose bits do not depend on the number of workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .._array import namespace
from ..errors import WorkerError


class Group:
    """The workers of one job, as one of them sees them. This class is the group of a worker alone.

    rank : the number of this worker, from 0. size : the number of workers. local_size : the workers of this machine.
    local_rank : the number of this worker among those, from 0.

    Every method but `abort` is collective: all workers call it, in the same order, with arrays of the same shape and
    dtype. An engine overrides `sum`, `slices`, `joined`, `swap`, `bcast`, `gather` and `abort`.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    name: str = "alone"
    #: whether a worker that fails reports it in one line, without the traceback
    brief: bool = False

    def keeps(self, array: Any) -> bool:
        """Whether the group adds up arrays such as this one where they lie. Others go through the host's memory."""
        return False

    def sum(self, flat: np.ndarray) -> np.ndarray:
        """The sum over the workers, in the engine's own order. flat : (n,), contiguous; it is consumed."""
        return flat

    def exact(self, flat: np.ndarray) -> np.ndarray:
        """The sum over the workers in a balanced tree, in the order of their ranks. flat : (n,); it is consumed.

        Slices are exchanged, each worker adds up the one that is its own, and the results are gathered: 2 (W - 1) / W
        of the bytes, as in a ring. Addition is not associative, so an engine's own sum has other bits for another
        number of workers; this one has the same wherever the number is a power of two.
        """
        if self.size == 1:
            return flat
        length = -(-flat.size // self.size)
        padded = namespace(flat).zeros(length * self.size, dtype=flat.dtype)
        padded[: flat.size] = flat
        parts = namespace(flat).reshape(self.slices(padded), (self.size, length))
        return self.joined(pairwise([parts[rank] for rank in range(self.size)]))[: flat.size]

    def slices(self, padded: np.ndarray) -> np.ndarray:
        """Slice `rank` of every worker's array, one after another. padded : (size · n,); returns the same shape."""
        return padded

    def joined(self, part: np.ndarray) -> np.ndarray:
        """Every worker's array (n,), one after another: (size · n,)."""
        return part

    def swap(self, parts: list[np.ndarray], sizes: list[int]) -> list[np.ndarray]:
        """The bytes that every worker sends to this one. parts : by rank, the bytes for that worker, uint8 (n,).
        sizes : by rank, the number of bytes that come from that worker."""
        return parts

    def bcast(self, value: Any) -> Any:
        """Worker 0's value, on every worker. value : anything that can be pickled."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Every worker's value, in the order of their ranks, on every worker."""
        return [value]

    def rows(self, total: int) -> slice:
        """This worker's even share of `total` rows, see `Shard`. The shares of all workers cover them once."""
        return slice(total * self.rank // self.size, total * (self.rank + 1) // self.size)

    def abort(self, error: BaseException) -> None:
        """End the other workers, which wait for this one. error : the error of this one. It may not return."""

    def part(self, error: BaseException, everywhere: bool) -> None:
        """Leave with an error. everywhere : all workers raise it; they wait for each other, so that none ends before
        worker 0 has saved. Else the others know nothing of it, and are ended."""
        if everywhere:
            told_by(error, 0)
            self.gather(None)
        else:
            self.abort(error)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Context in which an error on one worker is raised on all: that one raises its own, the others a WorkerError
        that names the worker and quotes its error. Nothing within may be collective."""
        own: Exception | None = None
        try:
            yield
        except Exception as error:
            own = error
        self.heard(self.gather(said(own)), own)

    def heard(self, everyone: list[str | None], own: Exception | None) -> None:
        """Raise where a worker has failed: that one its own error, the others a WorkerError.

        everyone : by rank, the worker's error in words, from `said`. own : this worker's error.
        """
        for rank, words in enumerate(everyone):
            if words is not None:
                raise told_by(own or WorkerError(f"worker {rank} of {self.size} failed: {words}"), rank)

    def agreed(self, facts: dict[str, str]) -> None:
        """Raise WorkerError, on every worker, unless all have the same facts. facts : by name, the values compared."""
        everyone = self.gather(facts)
        for name in dict.fromkeys(name for theirs in everyone for name in theirs):
            for rank, theirs in enumerate(everyone):
                if theirs.get(name) != (value := everyone[0].get(name)):
                    differ = WorkerError(
                        f"worker {rank} has {name} other than worker 0: {theirs.get(name)}, not {value}. All workers "
                        f"run the same program on the same data, and each takes its own rows of every batch"
                    )
                    raise told_by(differ, 0)

    def __repr__(self) -> str:
        return f"<worker {self.rank} of {self.size}, {self.name}>"


def said(error: Exception | None) -> str | None:
    """An error in words, for the other workers; None where there is none."""
    return None if error is None else f"{type(error).__name__}: {error}"


def told_by(error: Exception | BaseException, rank: int) -> Any:
    """The error, with the rank of the worker that is to report it, of all those that raise it."""
    vars(error)["told_by"] = rank
    return error


def pairwise(parts: list[np.ndarray]) -> np.ndarray:
    """The sum of the parts as a balanced tree, first half plus second half. Consumes parts.

    Where their number is cut into 2, 4, 8, … equal runs, the sums of the runs are inner nodes of the tree. So the whole
    has the same bits, whichever worker adds up each run.
    """
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    total = pairwise(parts[:half])
    total += pairwise(parts[half:])
    return total
