"""The options of tables, which `train` and `describe` share, and those of reading, which `predict` takes too."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

#: options that only a table takes
TABLE_OPTIONS = (
    *("target", "task", "numeric", "text", "categories", "drop", "group", "time", "folds"),
    *("separator", "encoding", "decimal", "sheet"),
)

DESCRIBE = """What `arraynn train` would do with a table, and why, without training: how the file is written, what
becomes of each column, the split of the rows, the network. It takes the options of train, so that one word of the
command line is all that differs."""


def add_table(command: ArgumentParser, share: Callable[[str], float], folds: Callable[[str], int]) -> None:
    """The options of a table, for `train` and `describe`."""
    group = command.add_argument_group("a table")
    group.add_argument("--target", metavar="COLUMN", help="the column to predict, or several of numbers: a,b")
    group.add_argument("--task", choices=("classification", "regression"), help="where the target leaves it open")
    for name, text in (
        ("numeric", "columns to take as numbers, texts among them as gaps"),
        ("text", "columns to take as texts, one-hot or embedded"),
        ("categories", "columns to take as one-hot"),
        ("drop", "columns to leave out"),
    ):
        group.add_argument(f"--{name}", metavar="A,B", help=text)
    group.add_argument("--group", metavar="COLUMN", help="rows of equal cells here stay together in the split")
    group.add_argument("--time", metavar="COLUMN", help="train on the past: validation and test rows come later")
    group.add_argument(
        "--test-split", type=share, default=0.2, metavar="SHARE", help="rows for the last figures only; 0: none [0.2]"
    )
    group.add_argument(
        "--folds",
        type=folds,
        metavar="K",
        help="train K networks, each validated on one of K parts of the rows, and take their mean; 1: one network, "
        "validated on --validation-split [5 for 50 to 2,000 rows, else 1]",
    )
    add_reading(command)


def add_reading(command: ArgumentParser) -> None:
    """Options of a file's format, which overrule what is detected."""
    group = command.add_argument_group("a table's file")
    group.add_argument("--separator", metavar="CHAR", help="between cells of text; tab is a tab [found]")
    group.add_argument("--encoding", metavar="NAME", help="of text: utf-8, cp1252, utf-16-le, ... [found]")
    group.add_argument("--decimal", choices=(".", ","), help="the decimal mark of text [found]")
    group.add_argument("--sheet", metavar="NAME", help="of an Excel workbook [the first]")


def thresholds(text: str) -> Any:
    """A help text with the table of thresholds below it."""
    from ..encoding import rules_table

    title = "The encoding of a table's columns is chosen from its training rows, by these thresholds:"
    return f"{text}\n\n{title}\n{rules_table()}"
