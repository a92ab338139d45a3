"""The command `arraynn play`."""

from __future__ import annotations

import argparse
import signal
import sys
import webbrowser
from contextlib import suppress
from typing import Any

ABOUT = """Open a page in the browser that trains a network while you watch, with the library itself: change data,
network, optimizer and learning rate, follow single steps, and export the run as Python code that gives the same
weights. The server listens on this machine only. Ctrl-C or the page's own button stops it."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """The command's options, added to argparse's subparsers. The parsed arguments hold its function as `run`."""
    command: argparse.ArgumentParser = commands.add_parser(
        "play",
        help="watch a network learn, in the browser",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("--port", type=_port, default=0, metavar="N", help="port of the page's address [a free one]")
    command.add_argument("--no-browser", action="store_true", help="print the address only")
    command.add_argument(
        "--data",
        metavar="FILE",
        help="your own data beside the others: .npz with x (N, 1) or (N, 2) and y, or CSV and other tables",
    )
    command.add_argument(
        "--x", metavar="A,B", help="for a table: one or two columns of numbers, which are standardized"
    )
    command.add_argument("--target", metavar="C", help="for a table: the column to predict, classes or values")
    command.add_argument("--preset", metavar="NN", help="start with a lesson of the course, such as 09")
    command.add_argument("--backend", default="numpy", metavar="NAME", help="numpy, cupy, torch:cuda, jax, ... [numpy]")
    command.set_defaults(run=run)
    return command


def run(arguments: argparse.Namespace) -> int:
    """Run the command with its parsed arguments. Returns the exit code."""
    from ... import backends
    from ...errors import DataError
    from .files import open_data
    from .presets import PRESETS
    from .server import Server

    if arguments.preset is not None and arguments.preset not in PRESETS:
        raise DataError(f"there is no preset {arguments.preset!r}; there are {', '.join(PRESETS)}")
    if arguments.data is None and (arguments.x or arguments.target):
        raise DataError("--x and --target name columns of a table; --data FILE.csv names the table")
    file = None if arguments.data is None else open_data(arguments.data, arguments.x, arguments.target)
    backends.backend(arguments.backend)  # an unusable backend is reported before the server starts
    server = Server(arguments.port, file, arguments.backend)
    url = server.url + (f"&preset={arguments.preset}" if arguments.preset else "")
    print(url, flush=True)
    print("Ctrl-C stops the server", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: server.end())
    if not arguments.no_browser:
        webbrowser.open(url)
    with suppress(KeyboardInterrupt):
        server.serve()
    return 0


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, an integer from 0 to 65535; try 8000")
    return int(text)
