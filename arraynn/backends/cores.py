"""How many threads may compute: the share of the machine that this process has."""

from __future__ import annotations

import math
import os
import sys
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import threadpoolctl

_sharing = 1  #: processes of one job on this machine, which share its cores


def available(allowed: list[int] | None = None) -> int:
    """How many threads may compute at once. allowed : the threads of each BLAS library; None asks the libraries.

    What ARRAYNN_NUM_THREADS says, or the cores this process may use, but no more than BLAS was allowed (joblib and
    OMP_NUM_THREADS speak to it). 1 where BLAS cannot be held to one thread. ValueError as of `requested`.
    """
    wanted = requested()
    if allowed is None:
        allowed = [library.threads() for library in blas_libraries()]
    if not allowed or sys.platform == "emscripten":
        return 1
    return wanted or max(min(*allowed, cores()) // _sharing, 1)


def requested() -> int | None:
    """What ARRAYNN_NUM_THREADS says; None where it is not set. ValueError for what is no number of threads."""
    wanted = os.environ.get("ARRAYNN_NUM_THREADS", "")
    if not wanted:
        return None
    if not (wanted.isdigit() and int(wanted) > 0):
        raise ValueError(f"ARRAYNN_NUM_THREADS must be an integer of at least 1, got {wanted!r}")
    return int(wanted)


def share_machine(processes: int) -> None:
    """Take only this process's part of the cores from now on. processes : how many of one job share the machine."""
    global _sharing
    _sharing = max(processes, 1)


class Blas:
    """A BLAS library of the process. threads() is the number of its threads; limit(n) sets it.

    by_thread : each thread has a number of its own, as with OpenMP; else it is the process's.
    """

    def __init__(self, found: Any) -> None:
        self.by_thread = getattr(found, "threading_layer", None) == "openmp"
        self.threads, self.limit = found.get_num_threads, found.set_num_threads
        if found.internal_api != "openblas" or self.by_thread:
            return
        # OpenBLAS's own functions: they take 0.2 µs where threadpoolctl takes 5, and they can be called from any
        # thread, where threadpoolctl lets only the thread that called first.
        for prefix, suffix in product(("", "scipy_"), ("", "64_", "_64")):
            names = [f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set")]
            if all(hasattr(found.dynlib, name) for name in names):
                self.threads, self.limit = (getattr(found.dynlib, name) for name in names)
                return


def blas_libraries() -> list[Blas]:
    """The BLAS libraries of the process. Looking for them takes milliseconds, so that is done again only when modules
    have been imported since: SciPy, or Numba, may have brought one along."""
    return _blas(len(sys.modules))


@lru_cache(maxsize=1)
def _blas(modules: int) -> list[Blas]:
    return [Blas(found) for found in threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers]


def cores() -> int:
    """The cores that this process may use: its affinity, and its control groups' share, rounded up."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _quota()
    return found if share >= found else max(math.ceil(share), 1)


@lru_cache(maxsize=1)
def _quota() -> float:  # read once: a small step would wait for the files
    return quota()


def quota(root: str = "/") -> float:
    """The CPUs that the control groups of this process may use at a time, infinity where none sets a limit: the least
    of its group's and of those around it, version 2 (cpu.max) or 1 (cpu.cfs_quota_us).

    root : where proc and sys are. A container may see its host's path, and its own group as the outermost one.
    """
    try:
        lines = Path(root, "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf  # no control groups here
    least = math.inf
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in {"", "unified"} if not controllers else {controllers, "cpu"}:
            top = Path(root, "sys/fs/cgroup", mount)
            own = top if ".." in path.split("/") else top / path.strip("/")  # a group outside of the container
            least = min([least, *map(_limit, [own, *(p for p in own.parents if p == top or top in p.parents)])])
    return least


def _limit(group: Path) -> float:
    """The CPUs of one control group; infinity where it sets no limit, or does not exist."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((group / name).read_text(encoding="ascii") for name in names).split()
            if quota != "max" and int(quota) > 0 and int(period) > 0:
                return int(quota) / int(period)
        except (OSError, ValueError):
            continue
    return math.inf
