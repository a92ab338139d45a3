"""`arraynn train`."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, DivergedError
from ..losses import mean_squared_error, softmax_cross_entropy
from ..model import Model
from ..plot import Film
from ..training.checkpoint import Checkpoint
from ..training.progress import clock, short, shown_on
from ._folder import CHECKPOINT, MODEL, claimed, keep
from ._recipes import FILE, GENERATED, RECIPES, Data, Recipe, load
from ._say import UsageError, silence, table

KINDS = {"spiral", "vertical"}
FILM = "film.webp"
OFTEN = timedelta(seconds=10)  #: between two checkpoints


def train(arguments: argparse.Namespace) -> int:
    """Train as the command line says, and keep what came of it. Returns the exit code."""
    name = arguments.data
    _check(arguments)
    recipe = RECIPES.get(name, FILE).changed(arguments)
    with claimed(arguments.out, Path(name).stem, arguments.overwrite, arguments.resume) as folder:
        if arguments.resume and _done(folder, recipe.epochs):
            print(folder if arguments.quiet else f"{folder} holds a run that is done; there is nothing to resume")
            return 0
        data = load(name, arguments)
        loss = softmax_cross_entropy if data.classes else mean_squared_error
        network = recipe.network(data.x, data.outputs)
        model = Model(network, loss, recipe.rule(), backend=arguments.backend, seed=arguments.seed)
        run = Run(model, recipe, data, folder, quiet=arguments.quiet)
        run.split(arguments)
        if arguments.film:
            run.film = Film(folder / FILM, *run.sets["training"])
        run.introduce(name)
        return run.go(arguments.print_every, arguments.checkpoint_every or OFTEN, arguments.resume)


def _check(arguments: argparse.Namespace) -> None:
    """Options that only some data sets take."""
    for option, takers in (("samples", KINDS | {"sine"}), ("classes", KINDS)):
        if getattr(arguments, option) is not None and arguments.data not in takers:
            raise UsageError(f"--{option} goes with {', '.join(sorted(takers))}, not with {arguments.data}")


def _done(folder: Path, epochs: int) -> bool:
    """Whether the folder holds a run that went to its end. Raises UsageError where more epochs are asked for."""
    if (folder / CHECKPOINT).exists() or not (folder / MODEL).exists():
        return False
    done = Model.load(folder / MODEL, backend="numpy").epoch
    if done != epochs:
        raise UsageError(f"{folder} holds a run that is done, of {done} epochs, not {epochs}; --overwrite begins anew")
    return True


class Run:
    """One training run: what it says, does and keeps."""

    def __init__(self, model: Model, recipe: Recipe, data: Data, folder: Path, quiet: bool) -> None:
        self.model, self.recipe, self.data, self.folder, self.quiet = model, recipe, data, folder, quiet
        self.sets: dict[str, tuple[Any, Any]] = {"training": (data.x, data.y)}
        self.every = max(1, recipe.epochs // 100)  # how often validation is measured
        self.film: Film | None = None

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

    def introduce(self, name: str) -> None:
        """The backend and why, the data, the training, the folder, the network."""
        model, recipe, (x, _) = self.model, self.recipe, self.sets["training"]
        model.build(x.shape[1:])
        backend, outputs = model.backend, self.data.outputs
        kind = f"{outputs} classes" if self.data.classes else f"regression of {outputs} column{'s' * (outputs > 1)}"
        steps = "the whole set a step" if recipe.batch_size is None else f"{recipe.batch_size} rows a step"
        others = ", ".join(f"{len(y):,} rows for {which}" for which, (_, y) in self.sets.items() if which != "training")
        decay = f", decay {recipe.decay:g}" if recipe.decay else ""
        epochs = f"{recipe.epochs:,} epoch{'s' if recipe.epochs > 1 else ''}"
        rule = f"{recipe.optimizer}, learning rate {recipe.learning_rate:g}{decay}"
        lines = [
            ("backend", f"{backend.name} {backend.version} on {backend.device}"),
            ("", backend.reason),
            ("data", f"{name}, {len(x):,} rows of shape {x.shape[1:]}, {kind}" + (f"; {others}" if others else "")),
            ("training", f"{epochs}, {steps}, {rule}, seed {model.seed}"),
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
        usual = self.every * max(1, round(self.recipe.epochs / 20 / self.every))  # lines that tell the validation too
        watchers = shown_on(sys.stdout, self.recipe.epochs, print_every or usual, asked=print_every is not None)
        stopped: BaseException | None = None
        began = time.monotonic()
        checkpoint = Checkpoint(self.folder / CHECKPOINT, often)
        films = [self.film] if self.film else []
        if resume and checkpoint.path.exists():
            self.say(f"goes on from {checkpoint.path}")
        try:
            self.model.fit(
                x,
                y,
                epochs=self.recipe.epochs,
                batch_size=self.recipe.batch_size,
                validation_data=self.sets.get("validation"),
                validation_freq=self.every,
                callbacks=[*([] if self.quiet else watchers), *films, checkpoint],
                verbose=0,
                resume=checkpoint.path if resume else None,
            )
        except (KeyboardInterrupt, DivergedError, BrokenPipeError) as error:
            stopped = error
        except SystemExit:
            done = f"{self.model.epoch} of {self.recipe.epochs} epochs"
            print(f"arraynn train: terminated after {done}; --out {self.folder} --resume goes on", file=sys.stderr)
            raise
        if isinstance(stopped, BrokenPipeError):
            silence()
        if isinstance(stopped, DivergedError) and not self.model.history:
            raise stopped  # there is nothing to keep
        files, why = keep(self.folder, self.model, x, y)
        self.tell([*files, *([FILM] if films else [])], why, time.monotonic() - began)
        if isinstance(stopped, KeyboardInterrupt):
            done = f"{self.model.epoch} of {self.recipe.epochs} epochs"
            print(f"arraynn train: interrupted after {done}; all is saved in {self.folder}", file=sys.stderr)
            return 130
        if stopped is not None:
            raise stopped
        checkpoint.path.unlink(missing_ok=True)  # the model is there, and nothing to go on with
        return 0

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
