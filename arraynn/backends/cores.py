"""How many threads may compute: the share of the machine that this process has."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import Any

import threadpoolctl

_sharing = 1  #: processes of one job on this machine, which share its cores


def available() -> int:
    """How many threads may compute at once, asked while BLAS is as it was found.

    What ARRAYNN_NUM_THREADS says, or the cores this process may use, but no more than BLAS was allowed (joblib and
    OMP_NUM_THREADS speak to it). 1 where BLAS cannot be held to one thread. ValueError for a wrong ARRAYNN_NUM_THREADS.
    """
    wanted = os.environ.get("ARRAYNN_NUM_THREADS", "")
    if wanted and not (wanted.isdigit() and int(wanted) > 0):
        raise ValueError(f"ARRAYNN_NUM_THREADS must be an integer of at least 1, got {wanted!r}")
    allowed = [library.num_threads for library in blas_libraries()]
    if not allowed or sys.platform == "emscripten":
        return 1
    return int(wanted) if wanted else max(min(*allowed, cores()) // _sharing, 1)


def share_machine(processes: int) -> None:
    """Take only this process's part of the cores from now on. processes : how many of one job share the machine."""
    global _sharing
    _sharing = max(processes, 1)


def blas_libraries() -> list[Any]:
    """The BLAS libraries of the process, as threadpoolctl knows them. Looking for them takes milliseconds, so that is
    done again only when modules have been imported since: SciPy, or Numba, may have brought one along."""
    return _blas(len(sys.modules))


@lru_cache(maxsize=1)
def _blas(modules: int) -> list[Any]:
    return list(threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers)


def cores() -> int:
    """The cores that this process may use: its affinity, and its control group's share, rounded up."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(found, _quota()), 1)


@lru_cache(maxsize=1)
def _quota() -> int:
    """The CPUs that the control group may use at a time; read once, as a small step would wait for the file."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return sys.maxsize if quota == "max" else -(-int(quota) // int(period))
    except (OSError, ValueError):
        return sys.maxsize  # no control groups here
