"""`arraynn train`: trains a network and saves the model, its history and figures."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from .._text import counted, table
from ..backends import backend
from ..datasets.tables import is_table_file
from ..distributed import Group
from ..errors import CheckpointError, DataError, DivergedError
from ..model import Model
from ..plot import Film
from ..training.callbacks import EarlyStopping
from ..training.checkpoint import Checkpoint, begun_at
from ..training.progress import clock, short, shown_on
from ._baseline import Baseline
from ._folder import CHECKPOINT, MODEL, draw, is_mean, output_folder, save_model
from ._output import UsageError, discard_output, figure_table
from ._recipes import FILE, GENERATED, RECIPES, TABLE, Data, Recipe, check_size, load
from ._table_arguments import TABLE_OPTIONS
from ._workers import on_first_worker, run_as_worker

TAKES_CLASSES = {"blobs", "circles", "spiral", "vertical"}
TAKES_SAMPLES = TAKES_CLASSES | {"moons", "sine", "xor"}
FILM = "film.webp"
INTERVAL = timedelta(seconds=10)  #: the default time between two checkpoints


def train(arguments: argparse.Namespace) -> int:
    """Train by the options of the command line, and save the results. Returns the exit code."""
    if is_table(arguments) and (arguments.workers or arguments.shards):
        raise UsageError("--workers and --shards go with a data set or FILE.npz, not with a table")
    if arguments.seeds and arguments.seeds > 1:
        if arguments.workers:
            raise UsageError("--seeds and --workers do not go together; train from each seed by its own --seed")
        from ._seeds import over_seeds

        return over_seeds(arguments)
    return run_as_worker(lambda own, group: run_once(own, group)[0], arguments)


def run_once(arguments: argparse.Namespace, group: Group | None = None) -> tuple[int, Run | None]:
    """Run one training run. Returns (exit code, the run, or None if nothing was left to do).

    group : the workers that train together. Only worker 0 has a folder and prints.
    """
    group = Group() if group is None else group
    name, tabular = arguments.data, is_table(arguments)
    with ExitStack() as stack:

        def claim() -> tuple[Path, Model | None]:
            check(arguments)
            recipe_of(arguments)
            chosen = output_folder(arguments.out, Path(name).stem, arguments.overwrite, arguments.resume)
            folder = stack.enter_context(chosen)
            backend(arguments.backend)  # raises BackendUnavailable before a download
            return folder, _done(folder, arguments.backend) if arguments.resume else None

        folder, done = on_first_worker(group, claim)
        with group.together():
            recipe = recipe_of(arguments)
            default_epochs = tabular and arguments.epochs is None  # a table's number of epochs depends on its rows
            if done is not None and (default_epochs or done.epoch >= recipe.epochs):
                remedy = "" if is_mean(folder) else "more --epochs continue it, "
                remedy += "--overwrite starts over"
                if done.epoch > recipe.epochs and not default_epochs:
                    raise UsageError(f"{folder} holds a finished run of {done.epoch} epochs; {remedy}")
                message = f"{folder} holds a finished run; there is nothing to resume; {remedy}"
                if group.rank == 0:
                    print(folder if arguments.quiet else message)
                return 0, None
            run = _run(arguments, recipe, folder)
            if arguments.workers or arguments.shards:
                run.group, run.shards = group, arguments.shards
            if done is not None:
                run.continue_from(done)
            run.introduce(name)
        return run.train(arguments.print_every, arguments.checkpoint_every or INTERVAL, arguments.resume), run


def is_table(arguments: argparse.Namespace) -> bool:
    """Whether the data are a table in a file."""
    return is_table_file(arguments.data) and arguments.data not in RECIPES


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe for the data, changed by the command line's options."""
    return (TABLE if is_table(arguments) else RECIPES.get(arguments.data, FILE)).changed(arguments)


def _run(arguments: argparse.Namespace, recipe: Recipe, folder: Path) -> Run:
    if is_table(arguments):
        from ._table_run import table_run

        return table_run(arguments, folder)
    data = load(arguments.data, arguments)
    loss = recipe.criterion(data)
    network = recipe.network(data.x, data.outputs, loss)
    options = {"dtype": recipe.dtype, "clip_norm": recipe.clip_norm, "seed": arguments.seed}
    model = Model(network, loss, recipe.rule(), backend=arguments.backend, **options)
    run = Run(model, recipe, data, folder, quiet=arguments.quiet)
    run.split(arguments)
    if arguments.film:
        run.film = Film(folder / FILM, *run.sets["training"])
    return run


def check(arguments: argparse.Namespace) -> None:
    """Raise UsageError for options that the data set does not take."""
    if not is_table_file(arguments.data):
        for option in TABLE_OPTIONS:
            if getattr(arguments, option, None) is not None:
                raise UsageError(f"--{option.replace('_', '-')} goes with a table, such as FILE.csv")
    check_size(arguments)
    for option, takers in (("samples", TAKES_SAMPLES), ("classes", TAKES_CLASSES)):
        if getattr(arguments, option) is not None and arguments.data not in takers:
            raise UsageError(f"--{option} goes with {', '.join(sorted(takers))}, not with {arguments.data}")


def _done(folder: Path, where: str) -> Model | None:
    """The model of a finished run, if the folder holds one. where : the backend."""
    if (folder / CHECKPOINT).exists() or not (folder / MODEL).exists():
        return None
    return Model.load(folder / MODEL, backend=where)


class Run:
    """One training run: prints its settings, trains, saves and reports the results."""

    def __init__(self, model: Model, recipe: Recipe, data: Data, folder: Path, quiet: bool) -> None:
        self.model, self.recipe, self.data, self.folder, self.quiet = model, recipe, data, folder, quiet
        self.home = folder  # the --out with which this run can be resumed
        self.trained = False  # whether training has finished
        self.of = ""  # for messages: which network it is, if there are several
        self.sets: dict[str, tuple[Any, Any]] = {"training": (data.x, data.y)}
        # epochs between two validations
        self.every = 1 if recipe.early_stopping else max(1, recipe.epochs // 100)
        self.film: Film | None = None
        self.continues = False  # whether it continues a finished run
        self.group: Group | None = None
        self.shards: int | None = None

    def callbacks(self) -> list[EarlyStopping]:
        """Default callbacks that stop the run early, besides that of --early-stopping."""
        return []

    def draw(self) -> tuple[list[str], str]:
        """Draw the figures. Returns their names, and why some are missing, or ""."""
        return draw(self.folder, self.model, *self.sets["training"])

    def measure(self) -> dict[str, dict[str, float]]:
        """The figures of each set."""
        return {name: self.model.evaluate(*arrays) for name, arrays in self.sets.items()}

    def compare(self) -> tuple[dict[str, dict[str, float]], str]:
        """(the figures of each set and of baselines, why a baseline is missing or "")."""
        return self.measure(), ""

    def echo(self, text: str = "") -> None:
        if not self.quiet:
            print(text, flush=True)

    def split(self, arguments: argparse.Namespace) -> None:
        """Set up the sets of rows: training, validation (held-out rows, else the test data), test."""
        data, share, asked = self.data, self.recipe.validation_split, arguments.validation_split is not None
        tested = data.x_test is not None
        if tested and not asked:
            self.sets["validation"] = data.x_test, data.y_test
            return
        if share:
            rows, held = len(data.x), round(len(data.x) * share)
            if asked and not 0 < held < rows:
                raise DataError(f"--validation-split {share:g} of {rows} rows leaves one side empty; try 0.5")
            order = np.random.default_rng(arguments.seed).permutation(rows)
            for name, part in (("training", order[held:]), ("validation", order[:held])):
                if len(part):
                    self.sets[name] = data.x[np.sort(part)], data.y[np.sort(part)]
        if tested:
            self.sets["test"] = data.x_test, data.y_test

    def continue_from(self, done: Model) -> None:
        """Continue a finished run with more epochs, and with this run's learning rate."""
        own, path = self.model, self.folder / MODEL
        self.check_same(done)
        changes = [f"epochs {done.epoch} → {self.recipe.epochs}"]
        if done.optimizer != own.optimizer:
            changes.append(f"optimizer {done.optimizer} → {own.optimizer}")
        self.echo(f"{path} goes on with {'; '.join(changes)}")
        done.optimizer, done.clip_norm = own.optimizer, own.clip_norm
        self.model, self.continues = done, True

    def check_same(self, done: Model) -> None:
        """Raise CheckpointError if the finished run had another network, loss, seed, dtype, optimizer or table."""
        own, path = self.model, self.folder / MODEL
        kinds = type(done.optimizer), type(own.optimizer)
        if done.encoding != own.encoding:
            raise CheckpointError(
                f"{path} cannot be resumed: it was trained with another encoding of the table; give the rows, the "
                f"options and the seed of that run"
            )
        for what, there, here in (
            ("network", done.network, own.network),
            ("loss", done.loss, own.loss),
            ("seed", done.seed, own.seed),
            ("dtype", done.dtype, own.dtype),
            ("optimizer", *kinds),
        ):
            if there != here:
                raise CheckpointError(
                    f"{path} cannot be resumed: it was trained with another {what}, {there}, not {here}"
                )

    def introduce(self, name: str) -> None:
        """Print the backend and its reason, the data, the training, the folder, the network."""
        model, recipe, (x, _) = self.model, self.recipe, self.sets["training"]
        model.build(x.shape[1:])
        where, outputs = model.backend, self.data.outputs
        kind = f"{outputs} classes" if self.data.classes else f"regression of {outputs} column{'s' * (outputs > 1)}"
        steps = "the whole set per step" if recipe.batch_size is None else f"{recipe.batch_size} rows per step"
        others = ", ".join(f"{len(y):,} rows for {which}" for which, (_, y) in self.sets.items() if which != "training")
        lines = [
            ("backend", f"{where.name} {where.version} on {where.device}"),
            ("", where.reason),
            ("data", f"{name}, {len(x):,} rows of shape {x.shape[1:]}, {kind}" + (f"; {others}" if others else "")),
            ("training", f"{counted(recipe.epochs, 'epoch')}, {steps}, {recipe.description}, seed {model.seed}"),
            *([] if self.group is None else [("workers", f"{self.group.size}, {self.group.name}")]),
            ("into", str(self.folder)),
        ]
        self.echo(table(lines))
        largest = max(-float(x.min()), float(x.max()))
        if name not in GENERATED and largest > 50:
            self.echo(f"x has values up to {largest:g}: networks learn better from inputs scaled to about -1 to 1")
        if not self.data.classes and name not in GENERATED and _looks_like_classes(self.data.y):
            self.echo("y holds integers as floats, treated as values; save it as integers for a classification")
        self.echo(f"\n{model.summary()}\n")

    def train(self, print_every: int | None, interval: int | timedelta, resume: bool) -> int:
        """Train, save and report. Returns the exit code.

        After Ctrl-C, divergence or a closed pipe, the results so far are saved first. After SIGTERM, only the
        checkpoint is written, as its sender soon sends another signal.
        """
        x, y = self.sets["training"]
        checkpoint = Checkpoint(self.folder / CHECKPOINT, interval)
        group = self.group or Group()
        stops = [*self.callbacks(), *self.stopping()]
        baseline = []
        if self.continues and any(one.monitor == "val_loss" for one in stops):
            baseline = [Baseline(stops, self.model.evaluate(*self.sets["validation"])["loss"])]
        first = group.rank == 0  # only this worker writes files
        resumed = resume and checkpoint.path.exists()
        begun = on_first_worker(group, lambda: begun_at(checkpoint.path) if resumed else None)
        interrupted = begun is not None
        epochs = max(self.recipe.epochs - (self.model.epoch if begun is None else begun), 1)
        usual = self.every * max(1, round(self.recipe.epochs / 20 / self.every))  # every printed line is validated
        printers = shown_on(sys.stdout, epochs, print_every or usual, asked=print_every is not None)
        stopped: BaseException | None = None
        started = time.monotonic()
        films = [self.film] if self.film else []
        if interrupted:
            self.echo(f"continues from {checkpoint.path}")
        try:
            self.model.fit(
                x,
                y,
                epochs=epochs,
                batch_size=self.recipe.batch_size,
                validation_data=self.sets.get("validation"),
                validation_freq=self.every,
                class_weight=self.recipe.class_weight,
                callbacks=[*(() if self.quiet else printers), *stops, *baseline, *films, checkpoint],
                verbose=0,
                resume=checkpoint.path if interrupted else None,
                change=("learning_rate", "epochs", "validation_freq"),
                workers=self.group,
                shards=self.shards,
            )
            self.trained = True
        except (KeyboardInterrupt, DivergedError, BrokenPipeError) as error:
            stopped = error
        except SystemExit:
            done = f"{self.model.epoch} of {self.recipe.epochs} epochs{self.of}"
            if first:
                print(f"arraynn train: terminated after {done}; --out {self.home} --resume continues", file=sys.stderr)
            raise
        if isinstance(stopped, BrokenPipeError):
            discard_output()
        if isinstance(stopped, DivergedError) and not self.model.history:
            raise stopped  # there is nothing to save
        if not first:
            return self.exit_code(stopped)
        files = save_model(self.folder, self.model)
        try:
            drawn, why = self.draw()
            self.report([*files, *drawn, *([FILM] if films else [])], why, time.monotonic() - started)
        except KeyboardInterrupt as error:
            if stopped is None:
                done = f"all {self.model.epoch} epochs{self.of}, while its pictures and figures were made"
                saved = f"all else is saved in {self.folder}; --out {self.home} --resume makes them"
                print(f"arraynn train: interrupted after {done}; {saved}", file=sys.stderr)
                return 130
            stopped = error if isinstance(stopped, KeyboardInterrupt) else stopped
        if isinstance(stopped, KeyboardInterrupt):
            done = f"{self.model.epoch} of {self.recipe.epochs} epochs{self.of}"
            saved = f"all is saved in {self.folder}; --out {self.home} --resume continues"
            print(f"arraynn train: interrupted after {done}; {saved}", file=sys.stderr)
            return 130
        if stopped is not None:
            raise stopped
        checkpoint.path.unlink(missing_ok=True)  # the run is finished: its model is saved
        return 0

    def stopping(self) -> list[EarlyStopping]:
        """The callback of --early-stopping, if that is given."""
        if self.recipe.early_stopping is None:
            return []
        return [EarlyStopping("val_loss" if "validation" in self.sets else "loss", self.recipe.early_stopping)]

    def exit_code(self, stopped: BaseException | None) -> int:
        """The exit code of a worker that saves nothing. Raises the error that stopped it, other than Ctrl-C."""
        if isinstance(stopped, Exception):
            raise stopped
        return 0 if stopped is None else 130

    def report(self, files: list[str], why: str, seconds: float) -> None:
        """Print the final figures and the files."""
        if self.quiet:
            print(self.folder)
            return
        lines = [
            (name, f"{len(self.sets[name][1]):,}", {figure: short(value) for figure, value in found.items()})
            for name, found in self.measure().items()
        ]
        self.echo(f"\n{figure_table(lines)}\n")
        self.echo(f"{clock(seconds)} for {counted(self.model.epoch, 'epoch')}; in {self.folder}: {', '.join(files)}")
        if why:
            self.echo(why)


def _looks_like_classes(y: Any) -> bool:
    return y.ndim == 1 and len(np.unique(y[:10_000])) <= min(20, len(y) // 4) and bool((y == np.rint(y)).all())
