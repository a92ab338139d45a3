"""arraynn's own threads, and BLAS at one thread while arraynn computes.

The bits of a product depend on how many threads BLAS takes for it. So BLAS has one, always, and what there is to do at
the same time goes to threads of arraynn's own. One pool for the process, made when first needed, remade after a fork.
Its threads block while idle, and never spin.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np

from .cores import Blas, available, blas_libraries, cores, share_machine

__all__ = ["available", "cores", "helpers", "limit", "run", "share_machine", "together"]

_lock = threading.Lock()
_holders = 0  #: threads that are within `limit`
_workers: int | None = None  #: threads that may compute at once; None until they are asked for
_found: list[tuple[Blas, int]] = []  #: the BLAS libraries that are held, and the threads that each had
_pool: Pool | None = None
_forks = 0  #: how often the process was forked, from its first ancestor on


class _Inside(threading.local):
    """held : the innermost `limit` of this thread. working : whether it is at a task."""

    held: limit | None = None
    working = False


_inside = _Inside()


class limit:  # noqa: N801 - used as `with limit():`
    """BLAS at one thread, for the process, while any thread is within it; then as it was found."""

    __slots__ = ("forks", "outer")

    def __enter__(self) -> limit:
        self.outer, self.forks = _inside.held, _forks
        if self.outer is None:
            _hold()
        _inside.held = self
        return self

    def __exit__(self, *error: object) -> None:
        if self.forks != _forks:
            return  # a child that was forked within it holds nothing
        _inside.held = self.outer
        if self.outer is None:
            _give_back()


def within() -> bool:
    """Whether this thread is within `limit`."""
    return _inside.held is not None


def _hold() -> None:
    global _found, _holders, _workers
    with _lock:
        if not _holders:
            _workers = None
            _found = [(library, library.threads()) for library in blas_libraries()]
        for library, threads in _found:
            if threads != 1 and (not _holders or library.by_thread):
                library.limit(1)
        _holders += 1


def _allowed() -> int:
    """How many threads may compute at once, within `limit`. A step without tasks never asks."""
    global _workers
    if _workers is None:
        _workers = available([threads for _, threads in _found])
    return _workers


def _give_back() -> None:
    global _holders
    with _lock:
        _holders -= 1
        for library, threads in _found:
            if threads != 1 and (not _holders or library.by_thread):
                library.limit(threads)


# ---------------------------------------------------------------- tasks


def helpers() -> int:
    """How many threads would help this one: none outside of `limit`, within a task, and where the others that are
    within `limit` have all cores."""
    if _inside.held is None or _inside.working:
        return 0
    return max(_allowed() - _holders, 0)


def run(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """[function(item) for item in items], by `together`. Results stand in the order of the items, whichever thread
    computed them, so a fold over them does not depend on the threads."""
    if len(items) < 2 or not helpers():
        return list(map(function, items))
    results: list[Any] = [None] * len(items)

    def one(i: int, item: Any) -> None:
        results[i] = function(item)

    together([partial(one, i, item) for i, item in enumerate(items)])
    return results


def together(tasks: Sequence[Callable[[], Any]]) -> None:
    """Call the tasks, which have nothing to do with each other: within `limit` in the caller's thread and the pool's,
    each free thread takes the next one, the caller first.

    When no task is left, it waits only for tasks that have begun. When one fails, or is interrupted, no other one is
    begun, and all have ended when the error is raised.
    """
    count = min(helpers(), len(tasks) - 1)
    if count < 1:
        for task in tasks:
            task()
        return
    work = Work(tasks, count)
    pool = _of(_allowed() - 1)
    for _ in range(count):
        pool.calls.put(work)
    _inside.working = True
    try:
        work.lead()
    finally:
        _inside.working = False


class Work:
    """Tasks, and up to so many helpers, who may come too late."""

    def __init__(self, tasks: Sequence[Callable[[], Any]], count: int) -> None:
        self.left, self.count = deque(tasks), len(tasks)
        self.ended: list[None] = []  # one for each task that has ended
        self.seats, self.seated = deque(range(count)), count  # for helpers; one that finds none stays away
        self.gone: SimpleQueue[None] = SimpleQueue()  # one for each helper that came and left
        self.errors: list[BaseException] = []

    def take(self) -> None:
        while True:
            try:
                task = self.left.popleft()
            except IndexError:
                return
            task()
            self.ended.append(None)

    def help(self) -> None:
        try:
            self.seats.pop()
        except IndexError:
            return
        try:
            self.take()
        except BaseException as error:
            self.errors.append(error)
            self.left.clear()
        finally:
            self.gone.put(None)

    def lead(self) -> None:
        gone = 0
        try:
            self.take()
            while len(self.ended) < self.count and not self.errors:  # a helper is at the rest
                self.gone.get()
                gone += 1
        except BaseException as error:
            self.errors.insert(0, error)
        if self.errors:
            self.left.clear()
            for _ in range(self._came() - gone):
                self.gone.get()
            raise self.errors[0]

    def _came(self) -> int:
        """How many helpers have come. No other will."""
        came = self.seated
        while True:
            try:
                self.seats.pop()
            except IndexError:
                return came
            came -= 1


class Pool:
    """So many threads, which help with what stands in `calls`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.calls: SimpleQueue[Work | None] = SimpleQueue()
        for i in range(size):
            thread = threading.Thread(target=self._serve, daemon=True, name=f"arraynn_{i}")
            try:
                thread.start()
            except RuntimeError:  # no more threads here: those that there are, and the caller, do it all
                break

    def _serve(self) -> None:
        np.seterr(all="ignore")  # the caller's setting does not reach other threads
        _inside.held, _inside.working = limit(), True
        for library, _ in _found:
            if library.by_thread:
                library.limit(1)
        while True:
            work = self.calls.get()
            if work is None:
                return
            work.help()
            del work  # or its arrays would stay alive until the next call

    def close(self) -> None:
        for _ in range(self.size):
            self.calls.put(None)


def _of(size: int) -> Pool:
    global _pool
    with _lock:
        if _pool is None or _pool.size != size:
            if _pool is not None:
                _pool.close()
            _pool = Pool(size)
        return _pool


def _after_fork() -> None:
    # The threads did not come along, the lock may be held by one of them, and whoever limited BLAS is not here.
    global _forks, _found, _holders, _lock, _pool
    _forks += 1
    if _holders:
        for library, threads in _found:
            library.limit(threads)
    _found, _holders, _lock, _pool = [], 0, threading.Lock(), None
    _inside.held, _inside.working = None, False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
