"""`arraynn play`."""

from __future__ import annotations

import argparse
import signal
import sys
import webbrowser
from contextlib import suppress
from typing import Any

ABOUT = """Open a page in the browser that trains a network while you watch, with the library itself: change data,
network, optimizer and rate, follow single steps, and take the run away as Python code that gives the same weights.
The server listens on this machine alone, and ends by Ctrl-C or by the page's own button."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """The command's options, added to argparse's subparsers. `run` of what they parse to is the command."""
    command: argparse.ArgumentParser = commands.add_parser(
        "play",
        help="watch a network learn, in the browser",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("--port", type=_port, default=0, metavar="N", help="[a free one]")
    command.add_argument("--no-browser", action="store_true", help="print the address only")
    command.add_argument("--data", metavar="FILE.npz", help="your own x (N, 1) or (N, 2) and y, beside the others")
    command.add_argument("--preset", metavar="NN", help="begin with a lesson of the course, such as 09")
    command.add_argument("--backend", default="numpy", metavar="NAME", help="numpy, cupy, torch:cuda, jax, ... [numpy]")
    command.set_defaults(run=run)
    return command


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says. Returns the exit code."""
    from ... import backends
    from ...errors import DataError
    from .presets import PRESETS
    from .server import Server

    if arguments.preset is not None and arguments.preset not in PRESETS:
        raise DataError(f"there is no preset {arguments.preset!r}; there are {', '.join(PRESETS)}")
    file = None if arguments.data is None else _file(arguments.data)
    backends.backend(arguments.backend)  # so that what cannot be used is said now
    server = Server(arguments.port, file, arguments.backend)
    url = server.url + (f"&preset={arguments.preset}" if arguments.preset else "")
    print(url, flush=True)
    print("Ctrl-C ends it", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: server.end())
    if not arguments.no_browser:
        webbrowser.open(url)
    with suppress(KeyboardInterrupt):
        server.serve()
    return 0


def _file(path: str) -> Any:
    """The arrays of a file, as far as a page can draw them. Raises DataError."""
    import numpy as np

    from ...datasets import load_npz
    from ...errors import DataError
    from .session import File

    x: Any
    y: Any
    x_test: Any
    y_test: Any
    x, y, x_test, y_test = load_npz(path)
    x, x_test = (None if part is None else np.asarray(part, "float32").reshape(len(part), -1) for part in (x, x_test))
    if x.shape[1] not in (1, 2):
        raise DataError(f"{path}: a row of x has {x.shape[1]} numbers; the page draws 1 or 2")
    if len(x) > 20_000:
        raise DataError(f"{path}: {len(x)} rows are more than the 20000 that the page draws; save a part of them")
    if y.dtype.kind in "iub":
        y, y_test = (None if part is None else part.reshape(-1).astype(np.int64) for part in (y, y_test))
        if not 0 <= y.min() <= y.max() < 8:
            raise DataError(f"{path}: y holds classes {y.min()} to {y.max()}; the page takes 0 to 7")
    else:
        y, y_test = (None if part is None else part.reshape(len(part), -1).astype("float32") for part in (y, y_test))
        if y.shape[1] != 1:
            raise DataError(f"{path}: y has {y.shape[1]} columns; the page draws one")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(f"{path} holds numbers that are not finite")
    if len(y) != len(x):
        raise DataError(f"{path}: {len(x)} rows of x and {len(y)} targets; they must agree")
    return File(path, x, y, x_test, y_test)


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, an integer from 0 to 65535; try 8000")
    return int(text)
