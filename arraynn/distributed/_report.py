"""How a worker that fails says so and ends the others, which wait for it: one report, whoever else fails with it."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

#: seconds that the other workers wait with their report: what all raise, worker 0 tells, and ends them meanwhile
PATIENCE = 2.0


def report(rank: int, size: int, error: BaseException) -> None:
    """Say on stderr which worker has failed, and where."""
    if rank:
        time.sleep(PATIENCE)
    lines = "".join(traceback.format_exception(error)).rstrip()
    print(f"{lines}\nworker {rank} of {size} has failed, so all end", file=sys.stderr, flush=True)
    sys.stdout.flush()


def code_of(error: BaseException) -> int:
    """The exit code for what was raised: as Python's own, 130 for Ctrl-C."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def end_all_when_uncaught(abort: Callable[[BaseException], Any]) -> None:
    """An error that nobody catches ends this worker only, and the others would wait for it for ever: end them, too."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        abort(error)
        before(kind, error, where)  # where the engine cannot end the others, as Python would

    sys.excepthook = hook
