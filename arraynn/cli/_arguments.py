"""What may be typed: commands, options, their ranges, and help."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn

from ..io.model_file import own_version
from ..learn.book.command import add_parser as _book
from ._recipes import ACTIVATIONS, OPTIMIZERS, RECIPES
from ._workers import engine

EXAMPLES = """examples:
  arraynn train spiral                       the whole job: watch a network learn three spirals
  arraynn train digits --hidden 128,64 --dropout 0.2
  arraynn train mine.npz --epochs 50 --out runs/mine
  arraynn train mine.npz --epochs 50 --out runs/mine --resume      after a crash: nothing is lost
  arraynn predict runs/mine/model.safetensors new.npz --out predictions.csv
  arraynn doctor                             which backends work here, and what the others need"""

TRAIN = """Train a network of dense layers, and keep the model, its history and pictures of both.

DATA is one of
  spiral, vertical, sine                     generated
  digits                                     8 x 8 handwritten digits, shipped
  mnist, fashion_mnist                       from $ARRAYNN_DATA or the user's cache, else downloaded
  FILE.npz                                   x, y or x_train, y_train [, x_test, y_test]; integer y is classification,
                                             float y regression
Each has defaults that learn well; an option changes one of them."""


BENCHED = ("spiral", "drop", "mnist", "wide")


class Parser(argparse.ArgumentParser):
    """argparse, but what is wrong is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}. See {self.prog} --help\n")


def parser() -> Parser:
    """The parser of the whole command line. `run` of what it returns is the command's function."""
    whole = Parser(
        prog="arraynn",
        description="Neural-network building blocks on the Python Array API.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"arraynn {own_version()}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _train(commands)
    _predict(commands)
    _explain(commands)
    _book(commands)
    _doctor(commands)
    _bench(commands)
    return whole


def _add(commands: Any, name: str, summary: str, description: str, run: str) -> Parser:
    command: Parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def later(arguments: argparse.Namespace) -> int:  # so that --help does not wait for what only a run needs
        from importlib import import_module

        code: int = getattr(import_module(f".{run}", __package__), name)(arguments)
        return code

    command.set_defaults(run=later)
    return command


def _train(commands: Any) -> None:
    command = _add(commands, "train", "train a network", TRAIN, "_train")
    command.add_argument("data", metavar="DATA", type=_data, help="a data set's name, or FILE.npz")
    run = command.add_argument_group("the run")
    run.add_argument("--backend", default="auto", metavar="NAME", help="numpy, cupy, torch:cuda, jax, ... [auto]")
    run.add_argument(
        "--workers",
        type=engine,
        metavar="N",
        help="train in N processes; mpi, torch: in those that are started already",
    )
    run.add_argument("--shards", type=_whole(1, 8), metavar="N", help="pieces that workers cut a batch into [8]")
    run.add_argument("--epochs", type=_whole(1, 100), metavar="N")
    run.add_argument("--batch-size", type=_batch_size, metavar="N", help="rows in a step; 'full' is the whole set")
    run.add_argument("--seed", type=_whole(0, 0), default=0, metavar="N", help="of data, weights and dropout [0]")
    run.add_argument(
        "--samples", type=_whole(1, 1000), metavar="N", help="spiral, vertical: points a class; sine: points"
    )
    run.add_argument("--classes", type=_whole(1, 3), metavar="N", help="spiral, vertical: how many")
    share = _number("[0, 1)", lambda v: 0 <= v < 1, 0.2)
    run.add_argument(
        "--validation-split", type=share, metavar="SHARE", help="hold out this share of the training rows; 0: none"
    )
    net = command.add_argument_group("the network")
    net.add_argument("--hidden", type=_hidden, metavar="64,64", help="neurons of the hidden layers; 'none' has none")
    net.add_argument("--activation", choices=ACTIVATIONS)
    net.add_argument("--dropout", type=_number("[0, 1)", lambda v: 0 <= v < 1, 0.1), metavar="RATE")
    for name in ("--l1", "--l2"):
        net.add_argument(name, type=_positive(5e-4), metavar="FACTOR", help="penalty on the hidden layers' parameters")
    rule = command.add_argument_group("the optimizer")
    rule.add_argument("--optimizer", choices=OPTIMIZERS)
    rule.add_argument("--learning-rate", type=_positive(0.01), metavar="RATE")
    rule.add_argument("--decay", type=_positive(1e-4), metavar="D", help="rate / (1 + D * step)")
    rule.add_argument("--momentum", type=_number("[0, 1)", lambda v: 0 <= v < 1, 0.9), metavar="M", help="of sgd")
    out = command.add_argument_group("what is shown and kept")
    out.add_argument("--print-every", type=_whole(1, 100), metavar="N", help="a line each N epochs, beside any bar")
    out.add_argument("--quiet", action="store_true", help="print the output folder and nothing else")
    out.add_argument("--out", metavar="DIR", help="output folder [runs/DATA-001, counting up]")
    out.add_argument("--overwrite", action="store_true", help="even if the folder holds a model")
    out.add_argument(
        "--resume",
        action="store_true",
        help="go on from what --out holds, also with more epochs or another rate; begin where it holds nothing",
    )
    out.add_argument(
        "--checkpoint-every", type=_whole(1, 100), metavar="N", help="steps between two checkpoints [those of 10 s]"
    )


def _predict(commands: Any) -> None:
    text = """What a trained model says of the rows of x (or x_test) in FILE.npz, as CSV: row, prediction and, of a
classifier, probabilities."""
    command = _add(commands, "predict", "ask a trained model", text, "_predict")
    command.add_argument("model", metavar="MODEL", help="model.safetensors of a training run, or its folder")
    command.add_argument("file", metavar="FILE.npz")
    command.add_argument("--out", metavar="predictions.csv", help="a file to write [standard output]")
    command.add_argument("--backend", default="auto", metavar="NAME", help="as for train [auto]")


def _explain(commands: Any) -> None:
    text = """One training step in full: every value forward and backward, with formulas and shapes, and each update.
Of a network of 2-3-3 on three points of a spiral, or of a saved model."""
    command = _add(commands, "explain", "show one training step in full", text, "_explain")
    command.add_argument("model", metavar="MODEL", nargs="?", help="model.safetensors of a training run, or its folder")
    command.add_argument("--data", metavar="DATA", type=_data, help="as for train [what the model's inputs suggest]")
    command.add_argument("--samples", type=_whole(1, 3), default=3, metavar="N", help="rows of it [3]")
    command.add_argument("--seed", type=_whole(0, 0), default=0, metavar="N", help="of data and weights [0]")
    command.add_argument("--backend", default="auto", metavar="NAME", help="as for train [auto]")
    command.add_argument("--json", action="store_true", help="as plain data instead of text")


def _doctor(commands: Any) -> None:
    text = "Which backends work here and what the others need, versions, BLAS and its threads."
    _add(commands, "doctor", "show backends, versions and threads", text, "_doctor")


def _bench(commands: Any) -> None:
    text = """How long a training step takes on each backend that works here, in turn, in one process: networks of
2-64-3, 2-512-3, 784-512-512-10 and 1024-4096-4096-1000, with Adam, in float32. Where there is a GPU, also the hidden
width from which it pays."""
    command = _add(commands, "bench", "time the backends of this machine", text, "_bench")
    command.add_argument(
        "workloads", metavar="WORKLOAD", nargs="*", type=_workload, help="spiral, drop, mnist, wide [all]"
    )
    command.add_argument(
        "--backend", action="append", metavar="NAME", help="may be given more than once [all that work]"
    )
    command.add_argument("--rounds", type=_whole(1, 9), default=9, metavar="N", help="turns of each backend [9]")
    command.add_argument(
        "--seconds",
        type=_number("(0, 60]", lambda v: 0 < v <= 60, 0.2),
        default=0.2,
        metavar="S",
        help="that a turn takes, about [0.2]",
    )
    command.add_argument("--out", metavar="DIR", help="folder for bench.csv and bench.png [nothing is written]")


# Ranges. Each message names the value, the range and a value that would do.


def _data(text: str) -> str:
    if text in RECIPES or text.endswith(".npz") or os.path.exists(text):
        return text
    near = get_close_matches(text, RECIPES, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise argparse.ArgumentTypeError(f"{text!r} is neither a .npz file nor one of {', '.join(RECIPES)}{guess}")


def _workload(text: str) -> str:
    if text not in BENCHED:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(BENCHED)}")
    return text


def _whole(low: int, example: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least {low}; try {example}")
        return value

    return whole


def _number(allowed: str, fits: Callable[[float], bool], example: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number in {allowed}; try {example:g}")
        return value

    return number


def _positive(example: float) -> Callable[[str], float]:
    return _number("[0, inf)", lambda v: 0 <= v < math.inf, example)


def _batch_size(text: str) -> int | str:
    try:
        return text if text == "full" else _whole(1, 32)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or full for the whole set") from None


def _hidden(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of integers of at least 1; try 64,64, or none")
    return sizes
