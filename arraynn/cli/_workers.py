"""`--workers`: runs one command line in several processes that train together."""

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
    """Parse the argument of --workers: a number of processes, or the engine of the job of this process."""
    if text in ("mpi", "nccl", "torch"):
        return text
    if text.isdigit() and int(text) >= 1:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither mpi, nccl, torch, nor an integer of at least 1; try 4")


def start(count: int) -> int:
    """Replace this process by `mpiexec -n count` of this command line, with --workers mpi. Raises WorkerError."""
    installed_beside = Path(sys.executable).with_name("mpiexec")  # from the wheel that the extra installs
    launcher = str(installed_beside) if installed_beside.exists() else shutil.which("mpiexec")
    if launcher is None or not installed("mpi4py"):
        missing = "mpiexec" if launcher is None else "mpi4py"
        raise WorkerError(
            f'--workers {count} needs {missing}, which is not installed: pip install "arraynn[mpi]"; on a cluster, '
            f"load its MPI, pip install mpi4py, and start the processes by its launcher, with --workers mpi"
        )
    words = sys.argv[1:]
    index = max(i for i, word in enumerate(words) if word.partition("=")[0] == "--workers")
    words[index : index + (1 if "=" in words[index] else 2)] = ["--workers", "mpi"]
    sys.stdout.flush()
    os.execv(launcher, [launcher, "-n", str(count), sys.executable, "-m", "arraynn", *words])


def run_as_worker(train: Callable[[argparse.Namespace, Group], int], arguments: argparse.Namespace) -> int:
    """Call train(arguments, group) in each worker of the job. An error that all of them raise is reported by one."""
    if isinstance(arguments.workers, int):
        return start(arguments.workers)
    try:
        group = workers(arguments.workers)
    except WorkerError:
        if first_of_machine():
            raise
        return 1  # the first process reports the error
    group.brief = os.environ.get("ARRAYNN_TRACEBACK") != "1"
    if group.rank:
        arguments.quiet = True
    try:
        return train(arguments, group)
    except Exception as error:
        if getattr(error, "told_by", group.rank) == group.rank:
            raise
        return 0  # mpiexec combines all exit codes with a bitwise or: the reporting worker's is the job's


def on_first_worker(group: Group, act: Callable[[], Any]) -> Any:
    """Call act() in worker 0. All workers get its result, or its exception."""
    found = None
    with group.together():
        if group.rank == 0:
            found = act()
    return group.bcast(found)
