"""Ctrl-C, and the signal to end, that wait for the step in progress."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

#: the signals that wait, and the handler that each must have to be ours
DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Interrupt:
    """Which signal has come, 0 for none; `check` raises what it stands for, at a moment when all is consistent."""

    requested: int = 0
    #: whether `check` has raised
    leaving = False

    def check(self) -> None:
        if self.requested:
            self.leaving = True
            self.leave(self.requested)

    def agreed(self, number: int) -> None:
        """`check`, by what all workers know: one of them has got this signal, or none (0)."""
        if number:
            self.requested = number
            self.check()

    @staticmethod
    def leave(number: int) -> None:
        """Raise KeyboardInterrupt for Ctrl-C (which a shell sees as 130), SystemExit(143) for SIGTERM."""
        if number == signal.SIGTERM:
            raise SystemExit(128 + number)
        raise KeyboardInterrupt


@contextmanager
def deferred_interrupts() -> Iterator[Interrupt]:
    """Within it, a first Ctrl-C or SIGTERM is noted and a second one raises at once; one that nobody checked for is
    raised at the end. Off the main thread, and where somebody else handles the signal, nothing changes."""
    interrupt = Interrupt()

    def note(number: int, frame: Any) -> None:
        if interrupt.requested:
            interrupt.leave(number)
        interrupt.requested = number

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number, default in DEFAULTS.items():
                # None is a handler that was not installed from Python; what is not the default is somebody's choice
                if signal.getsignal(number) is default:
                    signal.signal(number, note)
                    stack.callback(signal.signal, number, default)
        yield interrupt
    interrupt.check()
