"""The command `arraynn book`."""

from __future__ import annotations

import argparse
from contextlib import suppress
from itertools import count
from pathlib import Path
from textwrap import fill
from typing import Any

from .rows import ROWS

ABOUT = f"""Repeat the runs of the book "Neural Networks from Scratch in Python", and put side by side: what the book
prints, what its code prints today, what arraynn gives in the book's own random numbers and rounding (on NumPy), and
mean ± standard deviation over some seeds, with the library's blocks, on the backend asked for.

ROW is one or more of
{fill(" ".join(row.name for row in ROWS), 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)}
All of them with five seeds take about a quarter of an hour on two cores. Finished runs are kept: the same command with
the same --out goes on where it was interrupted."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """The command's options, added to argparse's subparsers. The parsed arguments hold its function as `run`."""
    command: argparse.ArgumentParser = commands.add_parser(
        "book",
        help="repeat the runs of 'Neural Networks from Scratch in Python', beside its figures",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("rows", nargs="*", metavar="ROW", type=_row, help="names of runs [all]")
    command.add_argument("--seeds", type=_whole, default=5, metavar="N", help="0 runs the book's stream only [5]")
    command.add_argument("--epochs", type=_whole, metavar="N", help="the last epoch, counted from 0 [10000]")
    command.add_argument("--backend", default="numpy", metavar="NAME", help="backend of the runs from seeds [numpy]")
    command.add_argument("--out", metavar="DIR", help="output folder [runs/book-001, counting up]")
    command.add_argument("--quiet", action="store_true", help="print the table and the folder, but no progress")
    command.set_defaults(run=run)
    return command


def run(arguments: argparse.Namespace) -> int:
    """Run the command with its parsed arguments. Returns the exit code."""
    from ... import backends
    from .pool import jobs_of, run_all
    from .runs import last_epoch, missing
    from .store import Store
    from .table import Table

    rows = [row for row in ROWS if row.name in arguments.rows] or list(ROWS)
    backend = str(backends.backend(arguments.backend).name)  # an unusable backend is reported before any run
    backend_name = backend if arguments.backend == "auto" else arguments.backend
    backend_name = "numpy" if backend == "numpy" else backend_name
    folder = _folder(arguments.out)
    store = Store(folder)
    wanted = jobs_of([row for row in rows if not missing(row)], arguments.seeds, arguments.epochs, backend_name)
    unfinished = [job for job in wanted if store.find(job) is None]
    if not arguments.quiet and len(unfinished) < len(wanted):
        print(f"{len(wanted) - len(unfinished)} of {len(wanted)} runs are in {folder} already")
    try:
        run_all(unfinished, store.add, arguments.quiet)
    except KeyboardInterrupt:
        print(f"\nstopped; finished runs are in {folder}. The same command with --out {folder} continues", flush=True)
        raise
    results = [result for result in (store.find(job) for job in wanted) if result]
    reached = None if arguments.epochs is None else max((last_epoch(row, arguments.epochs) for row in rows), default=0)
    table = Table(rows, results, reached)
    table.write(folder / "table.csv")
    text = table.text(backend_name)
    (folder / "table.txt").write_text(text + "\n", encoding="utf-8")
    print(text)
    files = ["table.txt", "table.csv", "runs.csv", "curves.csv", *_draw(folder, rows, results)]
    print(f"\nwritten to {folder}: {', '.join(files)}")
    return 0


def _draw(folder: Path, rows: Any, results: Any) -> list[str]:
    from .picture import draw

    files = []
    for name in ("loss", "accuracy") if results else ():
        try:
            draw(rows, results, name).savefig(folder / f"{name}.png")
            files.append(f"{name}.png")
        except ImportError as error:
            print(f"no {name}.png: {error}")
    return files


def _folder(out: str | None) -> Path:
    """The folder given as --out, or the first free one of runs/book-001, runs/book-002, …"""
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        return Path(out)
    Path("runs").mkdir(exist_ok=True)
    for number in count(1):
        folder = Path("runs", f"book-{number:03}")
        with suppress(FileExistsError):  # mkdir fails where the folder exists, so two commands never share one
            folder.mkdir()
            return folder
    raise AssertionError("unreachable: there is always another number")


def _row(text: str) -> str:
    names = [row.name for row in ROWS]
    if text not in names:
        raise argparse.ArgumentTypeError(f"{text!r} is none of the book's rows: {', '.join(names)}")
    return text


def _whole(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 0; try 5")
    return int(text)
