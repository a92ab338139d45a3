"""A machine that is not ours alone: busy processes beside the lanes, and a quota of processor time around them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD = 100_000  #: µs, over which a control group counts
BUSY = "while True: pass"


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    others = [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in others:
            process.kill()
        for process in others:
            process.wait()


class Quota:
    """What holds the lanes to so many CPUs: `enter` is called in each lane. kind : "control group" or "affinity"."""

    def __init__(self, cpus: float, group: Path | None) -> None:
        self.cpus, self.group = cpus, group
        self.kind = "affinity" if group is None else "control group"

    def enter(self) -> None:
        if self.group is not None:
            (self.group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        elif hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: math.ceil(self.cpus)]))


@contextmanager
def quota(cpus: float) -> Iterator[Quota]:
    """A control group of this many CPUs, or, where none may be made, as many cores, rounded up."""
    group = _made(cpus)
    try:
        yield Quota(cpus, group)
    finally:
        if group is not None:
            group.rmdir()


def _made(cpus: float) -> Path | None:
    for top, limits in (
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": f"{PERIOD}", "cpu.cfs_quota_us": f"{cpus * PERIOD:.0f}"}),
        (Path("/sys/fs/cgroup"), {"cpu.max": f"{cpus * PERIOD:.0f} {PERIOD}"}),
    ):
        group = top / f"bench-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            for name, text in limits.items():
                if not (group / name).exists():
                    raise FileNotFoundError(name)
                (group / name).write_text(text, encoding="ascii")
            return group
        except OSError:
            group.rmdir()
    return None
