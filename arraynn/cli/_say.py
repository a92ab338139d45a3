"""What the commands share in speaking: tables, notes of the library, and how to fall silent."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from .._text import table
from ..errors import DataWarning
from ..training.progress import short


class UsageError(Exception):
    """The command line asks for something that cannot be: exit code 2."""


def figure_table(lines: Sequence[tuple[str, str, Mapping[str, str]]]) -> str:
    """A table of figures: of each line its name, its number of rows or "", and {figure: text}. A figure that a line
    does not have is an empty cell.

    >>> print(figure_table([("training", "80", {"R²": "0.9", "MAE": "3"}), ("mean, on test", "", {"R²": "0"})]))
                   rows   R²  MAE
    training         80  0.9    3
    mean, on test          0
    """
    names = list(dict.fromkeys(name for _, _, values in lines for name in values))
    counted = any(count for _, count, _ in lines)
    rows = [["", *["rows"] * counted, *names]]
    rows += [[line, *[count] * counted, *(values.get(name, "") for name in names)] for line, count, values in lines]
    return table(rows, right=range(1, len(rows[0])))


#: figures of which 1 is the best, so that a small value is as good as 0
SHARES = ("accuracy", "R²", "r2")


def figure_text(value: float, name: str = "") -> str:
    """A figure in a table: as in the lines of training, but a large one, such as an error in dollars, has no exponent,
    nor has a small one whose name is one of SHARES.

    >>> figure_text(0.93456), figure_text(123456.7), figure_text(-8.7e-4), figure_text(-8.7e-4, "R²")
    ('0.9346', '123,457', '-8.70e-04', '-0.0009')
    """
    if name in SHARES and abs(value) < 1e-3:
        return f"{round(value, 4) + 0.0:.4f}"  # plus 0: without the sign of -0.0
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else short(value)


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
