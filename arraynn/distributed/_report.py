"""A worker that fails reports it once and ends the others, which wait for it."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ..errors import WorkerError

#: seconds that a worker waits for another one that may have failed first, so that this one reports and ends all
PATIENCE = 2.0

#: where launchers say which of its machine's processes this one is
PLACES = (
    "MPI_LOCALRANKID",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MV2_COMM_WORLD_LOCAL_RANK",
    "SLURM_LOCALID",
    "LOCAL_RANK",
)


def first_of_machine() -> bool:
    """Whether this process is the first of its job on this machine, as the launcher says: what a machine lacks, one
    process of it reports."""
    return all(os.environ.get(name, "0") == "0" for name in PLACES)


def report(rank: int, size: int, error: BaseException, full: bool = True) -> None:
    """Print to stderr which worker has failed, with the traceback or in one line.

    A worker that only found another one gone waits for the report of that one.
    """
    if isinstance(error, WorkerError):
        time.sleep(PATIENCE)
    lines = "".join(traceback.format_exception(error)) if full else ""
    said = "" if full else f": {' '.join(f'{type(error).__name__}: {error}'.split())}"
    print(f"{lines}worker {rank} of {size} has failed, so all end{said}", file=sys.stderr, flush=True)
    sys.stdout.flush()


def code_of(error: BaseException) -> int:
    """The exit code for an error: that of SystemExit, 130 for Ctrl-C, else 1."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def end_all_when_uncaught(rank: int, abort: Callable[[BaseException], Any]) -> None:
    """Make an uncaught error end every worker. The others would wait for this one for ever.

    Where all workers raise, as on a divergence, worker 0 reports it and ends the others, which wait before they report.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        time.sleep(PATIENCE if rank else 0)
        abort(error)
        before(kind, error, where)  # where the engine cannot end the others, as Python would

    sys.excepthook = hook
