"""Options of tables, shared by `train` and `describe`, and options of reading files, which `predict` takes too."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

#: options that only a table takes
TABLE_OPTIONS = (
    *("target", "task", "numeric", "text", "categories", "drop", "group", "time", "folds"),
    *("separator", "encoding", "decimal", "sheet"),
)

DESCRIBE = """Show what `arraynn train` would do with a table, and why, without training: the file's format, the
encoding of each column, the split of the rows, the network. It takes the same options as train."""


def add_table(command: ArgumentParser, share: Callable[[str], float], folds: Callable[[str], int]) -> None:
    """Add the options of a table, for `train` and `describe`."""
    group = command.add_argument_group("a table")
    group.add_argument("--target", metavar="COLUMN", help="the column to predict, or several of numbers: a,b")
    group.add_argument("--task", choices=("classification", "regression"), help="needed where the target fits both")
    for name, text in (
        ("numeric", "columns to treat as numbers; texts in them are missing values"),
        ("text", "columns to treat as texts, one-hot or embedded"),
        ("categories", "columns to encode one-hot"),
        ("drop", "columns to leave out"),
    ):
        group.add_argument(f"--{name}", metavar="A,B", help=text)
    group.add_argument(
        "--group", metavar="COLUMN", help="rows with equal cells in this column stay together in the split"
    )
    group.add_argument("--time", metavar="COLUMN", help="train on the past: validation and test rows come later")
    group.add_argument(
        "--test-split",
        type=share,
        default=0.2,
        metavar="SHARE",
        help="rows held out for the final figures; 0: none [0.2]",
    )
    group.add_argument(
        "--folds",
        type=folds,
        metavar="K",
        help="train K networks, each validated on one of K folds of the rows, and average them; 1: one network, "
        "validated on --validation-split [5 for 50 to 2,000 rows, else 1]",
    )
    add_reading(command)


def add_reading(command: ArgumentParser) -> None:
    """Add the options of a file's format, which override the detected format."""
    group = command.add_argument_group("a table's file")
    group.add_argument("--separator", metavar="CHAR", help="separator of cells in a text file; tab is a tab [detected]")
    group.add_argument(
        "--encoding", metavar="NAME", help="encoding of a text file: utf-8, cp1252, utf-16-le, ... [detected]"
    )
    group.add_argument("--decimal", choices=(".", ","), help="decimal mark in a text file [detected]")
    group.add_argument("--sheet", metavar="NAME", help="sheet of an Excel workbook [the first]")


def thresholds(text: str) -> Any:
    """A help text, followed by the table of encoding thresholds."""
    from ..encoding import rules_table

    title = "The encoding of a table's columns is chosen from its training rows, by these thresholds:"
    return f"{text}\n\n{title}\n{rules_table()}"
