"""`arraynn train`."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ..backends import backend
from ..datasets.tables import is_table_file
from ..errors import CheckpointError, DataError, DivergedError
from ..model import Model
from ..plot import Film
from ..training.callbacks import EarlyStopping
from ..training.checkpoint import Checkpoint, begun_at
from ..training.progress import clock, short, shown_on
from ._folder import CHECKPOINT, MODEL, claimed, keep
from ._recipes import FILE, GENERATED, RECIPES, TABLE, Data, Recipe, load
from ._say import UsageError, silence, table
from ._table_arguments import TABLE_OPTIONS

KINDS = {"blobs", "circles", "spiral", "vertical"}
SIZED = KINDS | {"moons", "sine", "xor"}
FILM = "film.webp"
OFTEN = timedelta(seconds=10)  #: between two checkpoints


def train(arguments: argparse.Namespace) -> int:
    """Train as the command line says, and keep what came of it. Returns the exit code."""
    if arguments.seeds and arguments.seeds > 1:
        from ._seeds import over_seeds

        return over_seeds(arguments)
    return run_once(arguments)[0]


def run_once(arguments: argparse.Namespace) -> tuple[int, Run | None]:
    """One training run: its exit code, and the run, None where there was nothing left to do."""
    name = arguments.data
    check(arguments)
    tabular = is_table_file(name) and name not in RECIPES
    recipe = TABLE.changed(arguments) if tabular else RECIPES.get(name, FILE).changed(arguments)
    with claimed(arguments.out, Path(name).stem, arguments.overwrite, arguments.resume) as folder:
        backend(arguments.backend)  # BackendUnavailable comes before a download
        done = _done(folder, arguments.backend) if arguments.resume else None
        if done is not None and (tabular or done.epoch >= recipe.epochs):
            ways = "--overwrite begins anew" if tabular else "more --epochs go on from it, --overwrite begins anew"
            if done.epoch > recipe.epochs:
                raise UsageError(f"{folder} holds a run that is done, of {done.epoch} epochs; {ways}")
            told = f"{folder} holds a run that is done; there is nothing to resume; {ways}"
            print(folder if arguments.quiet else told)
            return 0, None
        if tabular:
            from ._table_run import table_run

            run: Run = table_run(arguments, folder)
            run.introduce(name)
            return run.go(arguments.print_every, arguments.checkpoint_every or OFTEN, arguments.resume), run
        data = load(name, arguments)
        loss = recipe.criterion(data)
        network = recipe.network(data.x, data.outputs, loss)
        options = {"dtype": recipe.dtype, "clip_norm": recipe.clip_norm, "seed": arguments.seed}
        model = Model(network, loss, recipe.rule(), backend=arguments.backend, **options)
        run = Run(model, recipe, data, folder, quiet=arguments.quiet)
        run.split(arguments)
        if arguments.film:
            run.film = Film(folder / FILM, *run.sets["training"])
        if done is not None:
            run.go_on_from(done)
        run.introduce(name)
        return run.go(arguments.print_every, arguments.checkpoint_every or OFTEN, arguments.resume), run


def check(arguments: argparse.Namespace) -> None:
    """Options that only some data sets take."""
    if not is_table_file(arguments.data):
        for option in TABLE_OPTIONS:
            if getattr(arguments, option) is not None:
                raise UsageError(f"--{option.replace('_', '-')} goes with a table, such as FILE.csv")
    for option, takers in (("samples", SIZED), ("classes", KINDS)):
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
        # how often validation is measured
        self.every = 1 if recipe.early_stopping else max(1, recipe.epochs // 100)
        self.film: Film | None = None

    def callbacks(self) -> list[Any]:
        """What watches the run beside the lines and the checkpoint."""
        return []

    def keep(self) -> tuple[list[str], str]:
        """Write what is known; the files' names, and why some are missing or ""."""
        return keep(self.folder, self.model, *self.sets["training"])

    def measure(self) -> dict[str, dict[str, float]]:
        """The figures of each set."""
        return {name: self.model.evaluate(*arrays) for name, arrays in self.sets.items()}

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
            ("dtype", done.dtype, own.dtype),
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
        done.optimizer, done.clip_norm = own.optimizer, own.clip_norm
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
        broken_off = resume and checkpoint.path.exists()
        epochs = max(self.recipe.epochs - (begun_at(checkpoint.path) if broken_off else self.model.epoch), 1)
        usual = self.every * max(1, round(self.recipe.epochs / 20 / self.every))  # lines that tell the validation too
        watchers = shown_on(sys.stdout, epochs, print_every or usual, asked=print_every is not None)
        stopped: BaseException | None = None
        began = time.monotonic()
        films = [self.film] if self.film else []
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
                class_weight=self.recipe.class_weight,
                callbacks=[
                    *self.callbacks(),
                    *(() if self.quiet else watchers),
                    *self.stopping(),
                    *films,
                    checkpoint,
                ],
                verbose=0,
                resume=checkpoint.path if broken_off else None,
                change=("learning_rate", "epochs", "validation_freq"),
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
        files, why = self.keep()
        self.tell([*files, *([FILM] if films else [])], why, time.monotonic() - began)
        if isinstance(stopped, KeyboardInterrupt):
            done = f"{self.model.epoch} of {self.recipe.epochs} epochs"
            saved = f"all is saved in {self.folder}; --out {self.folder} --resume goes on"
            print(f"arraynn train: interrupted after {done}; {saved}", file=sys.stderr)
            return 130
        if stopped is not None:
            raise stopped
        checkpoint.path.unlink(missing_ok=True)  # the model is there, and nothing to go on with
        return 0

    def stopping(self) -> list[EarlyStopping]:
        """The callback that ends the run early, where that was asked for."""
        if self.recipe.early_stopping is None:
            return []
        return [EarlyStopping("val_loss" if "validation" in self.sets else "loss", self.recipe.early_stopping)]

    def tell(self, files: list[str], why: str, seconds: float) -> None:
        """The last table, and the files."""
        if self.quiet:
            print(self.folder)
            return
        measured = self.measure()
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
