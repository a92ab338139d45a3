"""Threads for row blocks and slices, and BLAS held to one thread while they work.

One pool for the process, made when first needed, remade after a fork. `limit` may be nested: it counts, takes BLAS down
with the first and gives it back, as found, with the last, all on the main thread.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any

import numpy as np
import threadpoolctl

_lock = threading.Lock()
_holders = 0
_workers = 1
_limiter: Any = None
_pool: ThreadPoolExecutor | None = None
_sharing = 1  #: processes of one job on this machine, which share its cores
_inside = threading.local()


def available() -> int:
    """How many threads may compute at once, asked while BLAS is as it was found.

    What ARRAYNN_NUM_THREADS says, or the cores this process may use, but no more than BLAS was allowed (joblib and
    OMP_NUM_THREADS speak to it). 1 where BLAS cannot be held to one thread. ValueError for a wrong ARRAYNN_NUM_THREADS.
    """
    wanted = os.environ.get("ARRAYNN_NUM_THREADS", "")
    if wanted and not (wanted.isdigit() and int(wanted) > 0):
        raise ValueError(f"ARRAYNN_NUM_THREADS must be an integer of at least 1, got {wanted!r}")
    blas = [library.num_threads for library in _blas().lib_controllers]
    if not blas or sys.platform == "emscripten":
        return 1
    return int(wanted) if wanted else max(min(*blas, cores()) // _sharing, 1)


def share_machine(processes: int) -> None:
    """Take only this process's part of the cores from now on. processes : how many of one job share the machine."""
    global _sharing
    _sharing = max(processes, 1)


def _blas() -> Any:
    """The BLAS libraries of the process, as threadpoolctl knows them. Looking for them takes milliseconds, so that is
    done again only when modules have been imported since: SciPy, or Numba, may have brought one along."""
    return _found(len(sys.modules))


@lru_cache(maxsize=1)
def _found(modules: int) -> Any:
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


def cores() -> int:
    """The cores that this process may use: its affinity, and its control group's share, rounded up."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            found = min(found, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no control groups here
    return max(found, 1)


class limit:  # noqa: N801 - used as `with limit():`
    """BLAS at one thread, for the process, from the first `take` within it to the end of the outermost one.

    A fit that never splits a batch never takes it.
    """

    def __enter__(self) -> limit:
        self.taken = self.asked = False
        self.outer = getattr(_inside, "limit", None)
        _inside.limit = self
        return self

    def __exit__(self, *error: object) -> None:
        global _holders, _limiter
        _inside.limit = self.outer
        if self.taken:
            with _lock:
                _holders -= 1
                if not _holders:
                    _limiter.restore_original_limits()
                    _limiter = None

    def take(self) -> int:
        """Hold BLAS from now on; returns how many threads may work.

        Off the main thread nothing is held: OpenBLAS does not listen there, so what another thread takes, or gives
        back, would be wrong for good.
        """
        global _holders, _limiter
        count = self.threads()
        if not self.taken and threading.current_thread() is threading.main_thread():
            with _lock:
                if not _holders:
                    _limiter = _blas().limit(limits=1)
                _holders += 1
                self.taken = True
        return count

    def threads(self) -> int:
        """How many threads may work: 1 off the main thread, else what `available` says when the limit is entered."""
        global _workers
        if threading.current_thread() is not threading.main_thread():
            return 1
        if not self.asked:
            with _lock:
                if not _holders:
                    _workers = available()
                self.asked = True
        return _workers


def run(function: Callable[[Any], Any], items: Sequence[Any], *, blas: bool = True) -> list[Any]:
    """[function(item) for item in items]; within `limit` by the caller's thread and the pool's, whoever is free first.

    blas : whether the function multiplies matrices, so that BLAS must be held to one thread meanwhile.
    Results stand in the order of the items whoever makes them, so what is folded over them does not depend on that.
    When one of them fails, or is interrupted, no other is begun, and all have ended when the error is raised.
    """
    held = getattr(_inside, "limit", None)
    if held is None or len(items) == 1:
        return list(map(function, items))
    count = held.take() if blas else held.threads()
    if count == 1:
        return list(map(function, items))
    results: list[Any] = [None] * len(items)
    left = deque(enumerate(items))

    def work() -> None:
        try:
            while left:
                try:
                    i, item = left.popleft()
                except IndexError:  # another thread was quicker
                    return
                results[i] = function(item)
        finally:
            left.clear()

    def quiet() -> None:
        with np.errstate(all="ignore"):  # the caller's setting does not reach other threads
            work()

    pool = _executor(count)
    helpers = [pool.submit(quiet) for _ in range(min(count, len(items)) - 1)]
    try:
        work()
    finally:
        late = [helper for helper in helpers if not helper.cancel()]  # the others have not begun, and need not
        wait(late)
    for helper in late:
        helper.result()
    return results


def _executor(count: int) -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None or _pool._max_workers != count - 1:
            _pool = ThreadPoolExecutor(count - 1, thread_name_prefix="arraynn")
        return _pool


def _after_fork() -> None:
    # The threads did not come along, the lock may be held by one of them, and whoever limited BLAS is not here.
    global _holders, _limiter, _lock, _pool
    if _limiter is not None:
        _limiter.restore_original_limits()
    _holders, _limiter, _lock, _pool = 0, None, threading.Lock(), None
    _inside.limit = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
