"""What the commands share in speaking: tables, notes of the library, and how to fall silent."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import DataWarning


class UsageError(Exception):
    """The command line asks for something that cannot be: exit code 2."""


def silence() -> None:
    """Send standard output nowhere, after its reader has gone; Python would complain of it at exit."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def warnings_in_a_line(command: str) -> Iterator[None]:
    """While it lasts, a warning is one line on standard error, without the place in the source that gave it.

    Each `DataWarning` is shown, also one that was given before.
    """

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"{command}: warning: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=DataWarning)
        warnings.showwarning = show
        yield


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith("backend 'auto'"):  # the command tells which backend, and why, in its own words
            print(text, flush=True)


@contextmanager
def notes_shown(shown: bool) -> Iterator[None]:
    """While it lasts, what the library logs (a download, a step too small for a GPU) is printed, a line each."""
    logger, notes = logging.getLogger("arraynn"), _Notes() if shown else logging.NullHandler()
    before = logger.level
    logger.addHandler(notes)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(notes)
        logger.setLevel(before)
