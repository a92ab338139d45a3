"""Output that all commands share: tables of figures, the library's log messages, one-line warnings."""

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
    """The command line is invalid: exit code 2."""


def figure_table(lines: Sequence[tuple[str, str, Mapping[str, str]]]) -> str:
    """A table of figures. lines : for each line its name, its number of rows or "", and {figure: text}.

    A figure that a line does not have is an empty cell.

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


#: figures whose best value is 1: a value near 0 is printed without an exponent
SHARES = ("accuracy", "R²", "r2")


def figure_text(value: float, name: str = "") -> str:
    """A figure as text for a table.

    It looks as in the progress lines of training, but without an exponent for large values, such as errors in dollars,
    and for small values of a figure in SHARES.

    >>> figure_text(0.93456), figure_text(123456.7), figure_text(-8.7e-4), figure_text(-8.7e-4, "R²")
    ('0.9346', '123,457', '-8.70e-04', '-0.0009')
    """
    if name in SHARES and abs(value) < 1e-3:
        return f"{round(value, 4) + 0.0:.4f}"  # adding 0.0 removes the sign of -0.0
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else short(value)


def discard_output() -> None:
    """Discard standard output after its reader has closed the pipe, so that Python reports no error at exit."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


@contextmanager
def one_line_warnings(command: str) -> Iterator[None]:
    """Within the context, a warning is printed as one line on standard error, without its place in the source.

    Each `DataWarning` is shown, even if it is repeated.
    """

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"{command}: warning: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=DataWarning)
        warnings.showwarning = show
        yield


class _PrintHandler(logging.Handler):
    """Prints each log message as a line."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith("backend 'auto'"):  # the commands print the backend and the reason themselves
            print(text, flush=True)


@contextmanager
def log_printed(enabled: bool) -> Iterator[None]:
    """Within the context, print the library's log messages (a download, a step too small for a GPU), a line each."""
    logger, handler = logging.getLogger("arraynn"), _PrintHandler() if enabled else logging.NullHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
