"""`arraynn train`."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ..backends import backend
from ..distributed import Group
from ..errors import CheckpointError, DataError, DivergedError
from ..losses import mean_squared_error, softmax_cross_entropy
from ..model import Model
from ..training.checkpoint import Checkpoint, begun_at
from ..training.progress import clock, short, shown_on
from ._folder import CHECKPOINT, MODEL, claimed, keep
from ._recipes import FILE, GENERATED, RECIPES, Data, Recipe, load
from ._say import UsageError, silence, table
from ._workers import as_one_of, only_first

KINDS = {"spiral", "vertical"}
OFTEN = timedelta(seconds=10)  #: between two checkpoints


def train(arguments: argparse.Namespace) -> int:
    """Train as the command line says, and keep what came of it. Returns the exit code."""
    return as_one_of(_train, arguments)


def _train(arguments: argparse.Namespace, group: Group) -> int:
    """The same, as one of a group of workers: worker 0 alone has a folder, and says what there is to say."""
    name = arguments.data
    with ExitStack() as stack:

        def claim() -> tuple[Path, Model | None]:
            _check(arguments)
            RECIPES.get(name, FILE).changed(arguments)
            folder = stack.enter_context(claimed(arguments.out, Path(name).stem, arguments.overwrite, arguments.resume))
            backend(arguments.backend)  # BackendUnavailable comes before a download
            return folder, _done(folder, arguments.backend) if arguments.resume else None

        folder, done = only_first(group, claim)
        with group.together():
            recipe = RECIPES.get(name, FILE).changed(arguments)
            if done is not None and done.epoch >= recipe.epochs:
                ways = "more --epochs go on from it, --overwrite begins anew"
                if done.epoch > recipe.epochs:
                    raise UsageError(f"{folder} holds a run that is done, of {done.epoch} epochs; {ways}")
                told = f"{folder} holds a run that is done; there is nothing to resume; {ways}"
                if group.rank == 0:
                    print(folder if arguments.quiet else told)
                return 0
            data = load(name, arguments)
            loss = softmax_cross_entropy if data.classes else mean_squared_error
            network = recipe.network(data.x, data.outputs)
            model = Model(network, loss, recipe.rule(), backend=arguments.backend, seed=arguments.seed)
            run = Run(model, recipe, data, folder, quiet=arguments.quiet)
            if arguments.workers or arguments.shards:
                run.group, run.shards = group, arguments.shards
            run.split(arguments)
            if done is not None:
                run.go_on_from(done)
            run.introduce(name)
        return run.go(arguments.print_every, arguments.checkpoint_every or OFTEN, arguments.resume)


def _check(arguments: argparse.Namespace) -> None:
    """Options that only some data sets take."""
    for option, takers in (("samples", KINDS | {"sine"}), ("classes", KINDS)):
        if getattr(arguments, option) is not None and arguments.data not in takers:
            raise UsageError(f"--{option} goes with {', '.join(sorted(takers))}, not with {arguments.data}")


def _done(folder: Path, where: str) -> Model | None:
    """The model of a run that went to its end, if the folder holds one. where : the backend."""
    if (folder / CHECKPOINT).exists() or not (folder / MODEL).exists():
        return None
    return Model.load(folder / MODEL, backend=where)


class Run:
    """One training run: what it says, does and keeps."""

    def __init__(self, model: Model, recipe: Recipe, data: Data, folder: Path, quiet: bool) -> None:
        self.model, self.recipe, self.data, self.folder, self.quiet = model, recipe, data, folder, quiet
        self.sets: dict[str, tuple[Any, Any]] = {"training": (data.x, data.y)}
        self.every = max(1, recipe.epochs // 100)  # how often validation is measured
        self.group: Group | None = None
        self.shards: int | None = None

    def say(self, text: str = "") -> None:
        if not self.quiet:
            print(text, flush=True)

    def split(self, arguments: argparse.Namespace) -> None:
        """Name the sets of rows: training, validation (a part that is held out, else the test data), test."""
        data, share, asked = self.data, self.recipe.validation_split, arguments.validation_split is not None
        tested = data.x_test is not None
        if tested and not asked:
            self.sets["validation"] = data.x_test, data.y_test
            return
        if share:
            rows, held = len(data.x), round(len(data.x) * share)
            if asked and not 0 < held < rows:
                raise DataError(f"--validation-split {share:g} of {rows} rows leaves no row on one side; try 0.5")
            order = np.random.default_rng(arguments.seed).permutation(rows)
            for name, part in (("training", order[held:]), ("validation", order[:held])):
                if len(part):
                    self.sets[name] = data.x[np.sort(part)], data.y[np.sort(part)]
        if tested:
            self.sets["test"] = data.x_test, data.y_test

    def go_on_from(self, done: Model) -> None:
        """Take the place of a run that is done, with more epochs, and with this run's learning rate."""
        own, path = self.model, self.folder / MODEL
        kinds = type(done.optimizer), type(own.optimizer)
        for what, there, here in (
            ("network", done.network, own.network),
            ("loss", done.loss, own.loss),
            ("seed", done.seed, own.seed),
            ("optimizer", *kinds),
        ):
            if there != here:
                raise CheckpointError(
                    f"{path} cannot be resumed: it was trained with another {what}, {there}, not {here}"
                )
        changes = [f"epochs {done.epoch} → {self.recipe.epochs}"]
        if done.optimizer != own.optimizer:
            changes.append(f"optimizer {done.optimizer} → {own.optimizer}")
        self.say(f"{path} goes on with {'; '.join(changes)}")
        done.optimizer = own.optimizer
        self.model = done

    def introduce(self, name: str) -> None:
        """The backend and why, the data, the training, the folder, the network."""
        model, recipe, (x, _) = self.model, self.recipe, self.sets["training"]
        model.build(x.shape[1:])
        where, outputs = model.backend, self.data.outputs
        kind = f"{outputs} classes" if self.data.classes else f"regression of {outputs} column{'s' * (outputs > 1)}"
        steps = "the whole set a step" if recipe.batch_size is None else f"{recipe.batch_size} rows a step"
        others = ", ".join(f"{len(y):,} rows for {which}" for which, (_, y) in self.sets.items() if which != "training")
        decay = f", decay {recipe.decay:g}" if recipe.decay else ""
        epochs = f"{recipe.epochs:,} epoch{'s' if recipe.epochs > 1 else ''}"
        rule = f"{recipe.optimizer}, learning rate {recipe.learning_rate:g}{decay}"
        lines = [
            ("backend", f"{where.name} {where.version} on {where.device}"),
            ("", where.reason),
            ("data", f"{name}, {len(x):,} rows of shape {x.shape[1:]}, {kind}" + (f"; {others}" if others else "")),
            ("training", f"{epochs}, {steps}, {rule}, seed {model.seed}"),
            *([] if self.group is None else [("workers", f"{self.group.size}, {self.group.name}")]),
            ("into", str(self.folder)),
        ]
        self.say(table(lines))
        largest = max(-float(x.min()), float(x.max()))
        if name not in GENERATED and largest > 50:
            self.say(f"x reaches {largest:g}: networks learn better from inputs scaled to about -1 to 1")
        if not self.data.classes and name not in GENERATED and _looks_like_classes(self.data.y):
            self.say("y is whole numbers of a float type, taken as values; save it as integers for a classification")
        self.say(f"\n{model.summary()}\n")

    def go(self, print_every: int | None, often: int | timedelta, resume: bool) -> int:
        """Fit, keep, tell. Ctrl-C, divergence and a closed pipe come after what was learnt is kept. SIGTERM waits for
        the checkpoint only: who sends it soon sends another signal."""
        x, y = self.sets["training"]
        checkpoint = Checkpoint(self.folder / CHECKPOINT, often)
        group = self.group or Group()
        first = group.rank == 0  # whose folder is the run's
        begun = only_first(group, lambda: begun_at(checkpoint.path) if resume and checkpoint.path.exists() else None)
        broken_off = begun is not None
        epochs = max(self.recipe.epochs - (self.model.epoch if begun is None else begun), 1)
        usual = self.every * max(1, round(self.recipe.epochs / 20 / self.every))  # lines that tell the validation too
        watchers = shown_on(sys.stdout, epochs, print_every or usual, asked=print_every is not None)
        stopped: BaseException | None = None
        began = time.monotonic()
        if broken_off:
            self.say(f"goes on from {checkpoint.path}")
        try:
            self.model.fit(
                x,
                y,
                epochs=epochs,
                batch_size=self.recipe.batch_size,
                validation_data=self.sets.get("validation"),
                validation_freq=self.every,
                callbacks=[checkpoint] if self.quiet else [*watchers, checkpoint],
                verbose=0,
                resume=checkpoint.path if broken_off else None,
                change=("learning_rate", "epochs", "validation_freq"),
                workers=self.group,
                shards=self.shards,
            )
        except (KeyboardInterrupt, DivergedError, BrokenPipeError) as error:
            stopped = error
        except SystemExit:
            done = f"{self.model.epoch} of {self.recipe.epochs} epochs"
            if first:
                print(f"arraynn train: terminated after {done}; --out {self.folder} --resume goes on", file=sys.stderr)
            raise
        if isinstance(stopped, BrokenPipeError):
            silence()
        if isinstance(stopped, DivergedError) and not self.model.history:
            raise stopped  # there is nothing to keep
        if not first:
            return self.left(stopped)
        self.tell(*keep(self.folder, self.model, x, y), time.monotonic() - began)
        if isinstance(stopped, KeyboardInterrupt):
            done = f"{self.model.epoch} of {self.recipe.epochs} epochs"
            saved = f"all is saved in {self.folder}; --out {self.folder} --resume goes on"
            print(f"arraynn train: interrupted after {done}; {saved}", file=sys.stderr)
            return 130
        if stopped is not None:
            raise stopped
        checkpoint.path.unlink(missing_ok=True)  # the model is there, and nothing to go on with
        return 0

    def left(self, stopped: BaseException | None) -> int:
        """The exit code of a worker that has nothing to keep."""
        if isinstance(stopped, Exception):
            raise stopped
        return 0 if stopped is None else 130

    def tell(self, files: list[str], why: str, seconds: float) -> None:
        """The last table, and the files."""
        if self.quiet:
            print(self.folder)
            return
        measured = {name: self.model.evaluate(*arrays) for name, arrays in self.sets.items()}
        names = list(measured["training"])
        rows = [["", "rows", *names]]
        rows += [
            [name, f"{len(self.sets[name][1]):,}", *(short(values[n]) for n in names)]
            for name, values in measured.items()
        ]
        self.say(f"\n{table(rows, right=range(1, len(names) + 2))}\n")
        self.say(f"{clock(seconds)} for {self.model.epoch:,} epochs; in {self.folder}: {', '.join(files)}")
        if why:
            self.say(why)


def _looks_like_classes(y: Any) -> bool:
    return y.ndim == 1 and len(np.unique(y[:10_000])) <= min(20, len(y) // 4) and bool((y == np.rint(y)).all())
