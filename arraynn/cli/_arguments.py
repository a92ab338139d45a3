"""The argument parser of the command line: commands, options, their ranges, and help texts."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any, NoReturn

from .._habits import ARGUMENTS
from .._names import guess, nearest
from ..io.model_file import own_version
from ..learn.book.command import add_parser as _book
from ..learn.play.command import add_parser as _play
from ._ranges import batch_size, class_weight, data, hidden, integer, number, one_of, positive, share, workload
from ._recipes import ACTIVATIONS, LOSSES, OPTIMIZERS
from ._table_arguments import DESCRIBE, add_reading, add_table, thresholds
from ._workers import engine

EXAMPLES = """examples:
  arraynn train spiral                       the whole job: watch a network learn three spirals
  arraynn train digits --hidden 128,64 --dropout 0.2
  arraynn train mine.npz --epochs 50 --out runs/mine
  arraynn train mine.npz --epochs 50 --out runs/mine --resume      after a crash: from the last checkpoint
  arraynn evaluate runs/mine/model.safetensors test.npz
  arraynn predict runs/mine/model.safetensors new.npz --out predictions.csv
  arraynn describe houses.csv --target price      what train would do with a table of your own
  arraynn train houses.csv --target price
  arraynn predict runs/houses-001 new.csv --out predictions.csv
  arraynn play                               watch a network learn in the browser, and change what you like
  arraynn doctor                             which backends work here, and what the others need"""

TRAIN = """Train a network of dense layers, or LeNet, and keep the model, its history and pictures of both.

DATA is one of
  spiral, vertical, moons, circles, blobs, xor, sine
                                             generated
  digits, iris                               8 x 8 handwritten digits, 150 flowers: shipped
  mnist, fashion_mnist                       from $ARRAYNN_DATA or the user's cache, else downloaded
  FOLDER                                     images, a subfolder for each class; or train/, and test/, with such
  FILE.npz                                   x, y or x_train, y_train [, x_test, y_test]; integer y is classification,
                                             float y regression
  FILE.csv, .tsv, .parquet, .jsonl, .xlsx    a table of your own, with --target
Each has defaults that train well, which are printed when a run begins; an option changes one of them."""


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line."""

    commands: Any = None  #: the action of the sub-commands, in the parser of the whole command line

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, but check first for unknown commands and options, and suggest the nearest name."""
        words = sys.argv[1:] if args is None else list(args)
        if self.commands is not None and not words:
            self.print_help()
            self.exit(0)
        given = next((i for i, word in enumerate(words) if not word.startswith("-")), None)
        if self.commands is not None and given is not None:
            known = self.commands.choices
            if words[given] not in known:
                near = guess(words[given], known) or ";"
                self.error(f"there is no command {words[given]!r}{near} there are {', '.join(known)}")
            known[words[given]].refuse_unknown(words[given + 1 :])
        return super().parse_args(words, namespace)

    def refuse_unknown(self, words: list[str]) -> None:
        """Exit with an error that suggests the nearest option if one of the words is an unknown option."""
        options = [name for name in self._option_string_actions if name.startswith("--")]
        for word in words:
            name = word.split("=")[0]
            if word == "--":
                return
            if name.startswith("--") and name not in options:
                meant = ARGUMENTS.get(name[2:].replace("-", "_"), "").split(" or ")[-1].replace("_", "-")
                near = [f"--{meant}"] if f"--{meant}" in options else nearest(name, options, 2)
                hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(options)}"
                self.error(f"there is no option {name}; {hint}")

    def error(self, message: str) -> NoReturn:
        text = " ".join(message.split())
        self.exit(2, f"{self.prog}: error: {text}{'' if text.endswith('?') else '.'} See {self.prog} --help\n")


def parser() -> Parser:
    """The parser of the whole command line. The parsed arguments hold the command's function as `run`."""
    root = Parser(
        prog="arraynn",
        description="Neural-network building blocks on the Python Array API.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"arraynn {own_version()}")
    commands = root.commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _train(commands)
    _describe(commands)
    _evaluate(commands)
    _predict(commands)
    _explain(commands)
    _book(commands)
    _play(commands)
    _doctor(commands)
    _bench(commands)
    return root


def _add(commands: Any, name: str, summary: str, description: str, run: str) -> Parser:
    command: Parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def run_command(arguments: argparse.Namespace) -> int:  # imports its module late, so that --help is fast
        from importlib import import_module

        code: int = getattr(import_module(f".{run}", __package__), name)(arguments)
        return code

    command.set_defaults(run=run_command)
    return command


def _train(commands: Any) -> None:
    command = _add(commands, "train", "train a network", thresholds(TRAIN), "_train")
    command.add_argument("data", metavar="DATA", type=data, help="a data set's name, FILE.npz or a table")
    _run_options(command)
    add_table(command, share, integer(1, 5))


def _describe(commands: Any) -> None:
    command = _add(
        commands, "describe", "show what train would do with a table, and why", thresholds(DESCRIBE), "_table_run"
    )
    command.add_argument("data", metavar="FILE.csv", help="a table: .csv, .tsv, .parquet, .jsonl, .xlsx")
    _run_options(command)
    add_table(command, share, integer(1, 5))


def _run_options(command: Parser) -> None:
    run = command.add_argument_group("the run")
    run.add_argument("--backend", default="auto", metavar="NAME", help="numpy, cupy, torch:cuda, jax, ... [auto]")
    run.add_argument(
        "--workers",
        type=engine,
        metavar="N",
        help="train in N processes; mpi, nccl, torch: in processes that a launcher has started",
    )
    run.add_argument("--shards", type=integer(1, 8), metavar="N", help="pieces that workers cut a batch into [8]")
    run.add_argument("--epochs", type=integer(1, 100), metavar="N", help="passes over the training rows [by DATA]")
    run.add_argument("--batch-size", type=batch_size, metavar="N", help="rows in each step; 'full': all [by DATA]")
    run.add_argument("--seed", type=integer(0, 0), default=0, metavar="N", help="of data, weights and dropout [0]")
    run.add_argument(
        "--seeds", type=integer(1, 5), metavar="N", help="train N times, from --seed on, for mean ± deviation"
    )
    _sizes(run)
    run.add_argument("--dtype", type=one_of(("float32", "float64")), metavar="DTYPE", help="of weights [float32]")
    run.add_argument(
        "--early-stopping",
        type=integer(1, 10),
        metavar="N",
        help="stop when the validation loss (without validation, the loss) has not improved for N epochs, and keep the "
        "best weights",
    )
    run.add_argument(
        "--class-weight", type=class_weight, metavar="WEIGHTS", help="balanced, or class:weight, as 0:1,1:2.5"
    )
    run.add_argument(
        "--validation-split",
        type=share,
        metavar="SHARE",
        help="hold out this share of the training rows; 0: none",
    )
    images = command.add_argument_group("a folder of images")
    _image_size(images, "28")
    net = command.add_argument_group("the network")
    net.add_argument(
        "--network", dest="architecture", choices=("mlp", "lenet"), metavar="mlp|lenet",
        help="dense layers (the default), or two convolutions, of 20 and 50 filters, before one of 500 units",
    )  # fmt: skip
    net.add_argument("--hidden", type=hidden, metavar="64,64", help="neurons of the hidden layers, or none [by DATA]")
    net.add_argument(
        "--activation", type=one_of(ACTIVATIONS), metavar="NAME", help=f"{', '.join(ACTIVATIONS)} [by DATA]"
    )
    net.add_argument(
        "--loss",
        type=one_of(LOSSES),
        metavar="NAME",
        help=f"{', '.join(LOSSES)} [softmax_cross_entropy, or mse]",
    )
    net.add_argument(
        "--dropout",
        type=number("[0, 1)", lambda v: 0 <= v < 1, 0.1),
        metavar="RATE",
        help="probability of dropping a hidden value in training, in [0, 1) [by DATA]",
    )
    for name in ("--l1", "--l2"):
        net.add_argument(
            name, type=positive(5e-4), metavar="FACTOR", help="penalty on the hidden layers' parameters [by DATA]"
        )
    rule = command.add_argument_group("the optimizer")
    rule.add_argument("--optimizer", type=one_of(OPTIMIZERS), metavar="NAME", help=f"{', '.join(OPTIMIZERS)} [adam]")
    rule.add_argument(
        "--clip-norm",
        type=number("(0, inf)", lambda v: 0 < v < math.inf, 1.0),
        metavar="NORM",
        help="scale gradients whose joint norm is larger down to this norm",
    )
    rule.add_argument(
        "--learning-rate", type=positive(0.01), metavar="RATE", help="learning rate of the first step [by DATA]"
    )
    rule.add_argument(
        "--decay", type=positive(1e-4), metavar="D", help="makes the learning rate RATE / (1 + D * step) [by DATA]"
    )
    rule.add_argument("--momentum", type=number("[0, 1)", lambda v: 0 <= v < 1, 0.9), metavar="M", help="of sgd")
    out = command.add_argument_group("output")
    out.add_argument(
        "--print-every",
        type=integer(1, 100),
        metavar="N",
        help="print a line every N epochs, in addition to a progress bar",
    )
    out.add_argument(
        "--film",
        action="store_true",
        help="write film.webp, a film of the training, for one or two inputs; needs Pillow",
    )
    out.add_argument("--quiet", action="store_true", help="print the output folder and nothing else")
    out.add_argument("--out", metavar="DIR", help="output folder [runs/DATA-001, counting up]")
    out.add_argument("--overwrite", action="store_true", help="start over even if the folder holds a model")
    out.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --out, also with more epochs or another learning rate; start one if it is empty",
    )
    out.add_argument(
        "--checkpoint-every",
        type=integer(1, 100),
        metavar="N",
        help="steps between two checkpoints [a checkpoint every 10 s]",
    )


def _evaluate(commands: Any) -> None:
    text = """Print the loss and the metrics of a trained model on DATA: on its test rows if it has some, else on all.
For a model that was trained on a table: on the rows of FILE.csv that have a target, in the target's own unit."""
    command = _add(commands, "evaluate", "measure a trained model on data", text, "_evaluate")
    command.add_argument("model", metavar="MODEL", help="model.safetensors of a training run, or its folder")
    command.add_argument("data", metavar="DATA", type=data, help="a data set's name, FILE.npz or a table, as for train")
    command.add_argument(
        "--metrics",
        type=lambda text: text.split(","),
        metavar="NAMES",
        help="such as accuracy,f1,roc_auc [the model's]",
    )
    command.add_argument("--seed", type=integer(0, 0), default=0, metavar="N", help="of generated data [0]")
    _sizes(command)
    _image_size(command, "the model's")
    command.add_argument("--backend", default="auto", metavar="NAME", help="as for train [auto]")
    add_reading(command)


def _image_size(group: Any, default: str) -> None:
    """Add the option of a folder of images."""
    group.add_argument(
        "--size", type=integer(1, 28), metavar="N", help=f"height and width that images of a folder get [{default}]"
    )


def _sizes(group: Any) -> None:
    """Add the options of generated data."""
    generated = "spiral, vertical, moons, circles, blobs, xor: points per class; sine: points"
    group.add_argument("--samples", type=integer(1, 1000), metavar="N", help=generated)
    group.add_argument("--classes", type=integer(1, 3), metavar="N", help="spiral, vertical, circles, blobs: how many")


def _predict(commands: Any) -> None:
    text = """Write the predictions of a trained model for the rows of x (or x_test) in FILE.npz, as CSV: row,
prediction and, for a classifier, probabilities. A model trained on a table takes a table and copies its columns too."""
    command = _add(commands, "predict", "write a trained model's predictions", text, "_predict")
    command.add_argument("model", metavar="MODEL", help="model.safetensors of a training run, or its folder")
    command.add_argument(
        "file", metavar="FILE.npz", help="the rows; FILE.csv or another table, if the model was trained on one"
    )
    command.add_argument("--out", metavar="predictions.csv", help="a file to write [standard output]")
    command.add_argument("--backend", default="auto", metavar="NAME", help="as for train [auto]")
    add_reading(command)


def _explain(commands: Any) -> None:
    text = """Show one training step in full: every value forward and backward, with formulas and shapes, and each
update. Without MODEL, it is a step of a new network, 2-3-3, on three points of a spiral."""
    command = _add(commands, "explain", "show one training step in full", text, "_explain")
    command.add_argument("model", metavar="MODEL", nargs="?", help="model.safetensors of a training run, or its folder")
    command.add_argument(
        "--data", metavar="DATA", type=data, help="as for train [a data set that fits the model's inputs]"
    )
    _image_size(command, "the model's")
    command.add_argument("--samples", type=integer(1, 3), default=3, metavar="N", help="rows of DATA in the step [3]")
    command.add_argument("--seed", type=integer(0, 0), default=0, metavar="N", help="of data and weights [0]")
    command.add_argument("--backend", default="auto", metavar="NAME", help="as for train [auto]")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of text")
    form.add_argument("--html", metavar="FILE.html", help="write a page that steps through it to this file")
    add_reading(command)


def _doctor(commands: Any) -> None:
    text = "Show which backends work on this machine and what the others need, versions, BLAS and its threads."
    _add(commands, "doctor", "show backends, versions and threads", text, "_doctor")


def _bench(commands: Any) -> None:
    text = """Time a training step on each backend that works here, in turn, in one process: networks of 2-64-3,
2-512-3, 784-512-512-10 and 1024-4096-4096-1000, with Adam, in float32. With a GPU, also find the hidden width from
which it is faster than the CPU."""
    command = _add(commands, "bench", "time the backends of this machine", text, "_bench")
    command.add_argument(
        "workloads", metavar="WORKLOAD", nargs="*", type=workload, help="spiral, drop, mnist, wide [all]"
    )
    command.add_argument(
        "--backend", action="append", metavar="NAME", help="may be given more than once [all that work]"
    )
    command.add_argument(
        "--rounds", type=integer(1, 9), default=9, metavar="N", help="how often each backend is timed [9]"
    )
    command.add_argument(
        "--seconds",
        type=number("(0, 60]", lambda v: 0 < v <= 60, 0.2),
        default=0.2,
        metavar="S",
        help="about how long each timing takes [0.2]",
    )
    command.add_argument("--out", metavar="DIR", help="folder for bench.csv and bench.png [nothing is written]")
