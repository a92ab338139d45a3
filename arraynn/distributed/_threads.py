"""Workers that are threads of one process, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ..backends import for_type
from ..errors import WorkerError
from ._group import Group


class Threads:
    """Starts `size` workers in this process. `run(function)` calls function(group) in a thread for each."""

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, function: Callable[[Group], Any]) -> list[Any]:
        """[function(group) of each worker]. Worker 0 runs in the caller's thread.

        Where one fails, its error is raised after all have ended. Products run on one BLAS thread meanwhile, as other
        numbers of threads give other bits.
        """
        meeting = _Meeting(self.size)
        results: list[Any] = [None] * self.size

        def work(rank: int) -> None:
            group = _Member(meeting, rank)
            try:
                results[rank] = function(group)
            except BaseException as error:
                meeting.fail(error)

        with for_type(np.ndarray).single_threaded_products():
            others = [threading.Thread(target=work, args=(rank,), daemon=True) for rank in range(1, self.size)]
            for thread in others:
                thread.start()
            work(0)
            for thread in others:
                thread.join()
        if meeting.failed:
            raise next((error for error in meeting.failed if not isinstance(error, WorkerError)), meeting.failed[0])
        return results

    def __repr__(self) -> str:
        return f"<{self.size} workers in threads of this process>"


P = ParamSpec("P")
R = TypeVar("R")


def in_threads(method: Callable[P, R]) -> Callable[P, R]:
    """Makes a method with an argument `workers` take Threads as well. Each thread then calls it: worker 0 on the object
    itself, the others on copies of the object and of its callbacks."""

    @wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        threads = kwargs.get("workers")
        if not isinstance(threads, Threads):
            return method(*args, **kwargs)
        own = (args[0], kwargs.get("callbacks", ()))
        objects = [own, *(deepcopy(own) for _ in range(threads.size - 1))]

        def one(group: Group) -> R:
            itself, callbacks = objects[group.rank]
            options: Any = {**kwargs, "workers": group, "callbacks": callbacks}
            return method(itself, *args[1:], **options)  # type: ignore[arg-type]

        result: R = threads.run(one)[0]
        return result

    return run


class _Meeting:
    """The place where threads exchange values."""

    def __init__(self, size: int) -> None:
        self.size, self.barrier = size, threading.Barrier(size)
        self.values: list[Any] = [None] * size
        self.failed: list[BaseException] = []

    def fail(self, error: BaseException) -> None:
        self.failed.append(error)
        self.barrier.abort()

    def exchange(self, rank: int, value: Any) -> list[Any]:
        """Every worker's value. None of them may be written to."""
        self.values[rank] = value
        try:
            self.barrier.wait()
        except threading.BrokenBarrierError:
            said = f": {type(self.failed[0]).__name__}: {self.failed[0]}" if self.failed else ""
            raise WorkerError(f"another worker has ended{said}") from None
        found = list(self.values)
        with suppress(threading.BrokenBarrierError):  # which the next exchange will tell: this one is done
            self.barrier.wait()  # before anybody puts in the next value
        return found


class _Member(Group):
    name = "threads"

    def __init__(self, meeting: _Meeting, rank: int) -> None:
        self.meeting, self.rank, self.size = meeting, rank, meeting.size
        self.local_rank, self.local_size = rank, meeting.size

    def sum(self, flat: np.ndarray) -> np.ndarray:
        everyone = self.meeting.exchange(self.rank, flat)
        return np.asarray(np.sum(everyone, axis=0, dtype=flat.dtype))

    def slices(self, padded: np.ndarray) -> np.ndarray:
        everyone = self.meeting.exchange(self.rank, padded)
        return np.concatenate([part.reshape(self.size, -1)[self.rank] for part in everyone])

    def joined(self, part: np.ndarray) -> np.ndarray:
        return np.concatenate(self.meeting.exchange(self.rank, part))

    def swap(self, parts: list[np.ndarray], sizes: list[int]) -> list[np.ndarray]:
        return [theirs[self.rank] for theirs in self.meeting.exchange(self.rank, parts)]

    def bcast(self, value: Any) -> Any:
        return self.meeting.exchange(self.rank, value)[0]

    def gather(self, value: Any) -> list[Any]:
        return self.meeting.exchange(self.rank, value)

    def abort(self, error: BaseException) -> None:
        self.meeting.fail(error)
