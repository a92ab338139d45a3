"""`--workers`: one command line, run by several processes that train together."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..backends import installed
from ..distributed import Group, first_of_machine, workers
from ..errors import WorkerError


def engine(text: str) -> int | str:
    """The argument of --workers: an engine whose job this process belongs to, or how many to start."""
    if text in ("mpi", "nccl", "torch"):
        return text
    if text.isdigit() and int(text) >= 1:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither mpi, nccl, torch, nor an integer of at least 1; try 4")


def start(count: int) -> int:
    """Become `mpiexec -n count` of this command line, with --workers mpi. Returns only by raising WorkerError."""
    beside = Path(sys.executable).with_name("mpiexec")  # of the wheel that the extra brings
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None or not installed("mpi4py"):
        missing = "mpiexec" if launcher is None else "mpi4py"
        raise WorkerError(
            f'--workers {count} needs {missing}, which is not here: pip install "arraynn[mpi]"; on a cluster, load its '
            f"MPI, pip install mpi4py, and start the processes as it is done there, with --workers mpi"
        )
    words = sys.argv[1:]
    place = max(i for i, word in enumerate(words) if word.partition("=")[0] == "--workers")
    words[place : place + (1 if "=" in words[place] else 2)] = ["--workers", "mpi"]
    sys.stdout.flush()
    os.execv(launcher, [launcher, "-n", str(count), sys.executable, "-m", "arraynn", *words])


def as_one_of(train: Callable[[argparse.Namespace, Group], int], arguments: argparse.Namespace) -> int:
    """train(arguments, group), by each worker of the job; of what all of them raise, one tells."""
    if isinstance(arguments.workers, int):
        return start(arguments.workers)
    try:
        group = workers(arguments.workers)
    except WorkerError:
        if first_of_machine():
            raise
        return 1  # what is missing here, the first process tells
    group.brief = os.environ.get("ARRAYNN_TRACEBACK") != "1"
    if group.rank:
        arguments.quiet = True
    try:
        return train(arguments, group)
    except Exception as error:
        if getattr(error, "told_by", group.rank) == group.rank:
            raise
        return 0  # mpiexec joins the exit codes of all, bit by bit: that one's is the job's


def only_first(group: Group, act: Callable[[], Any]) -> Any:
    """act(), by worker 0; what it returns, or raises, for all."""
    found = None
    with group.together():
        if group.rank == 0:
            found = act()
    return group.bcast(found)
