"""Runs `arraynn train FILE.csv --target …` and `arraynn describe`: from a table's file to its figures."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from .._text import counted, table
from ..encoding import forget
from ..layers import Dense, Sequential
from ..losses import mean_squared_error, softmax_cross_entropy
from ..metrics import r2
from ..model import Model
from ..regularizers import L1L2
from ..training.callbacks import EarlyStopping
from ..training.progress import clock
from ._folder import CHECKPOINT, CURVES, FOLD, HISTORY, MODEL, draw
from ._output import figure_table, figure_text
from ._recipes import TABLE, Data, Recipe
from ._splits import duplicates
from ._table_data import TableData, left_out, table_data
from ._table_figures import (
    Figures,
    baselines,
    confusion,
    figures,
    importance,
    labelled,
    per_class,
    predictions,
)
from ._train import Run

PATIENCE = 20  #: the least number of epochs without a better validation loss after which a run stops
UPDATES = 400_000  #: the approximate largest number of updates of a run
SHOWN = 12  #: the number of classes, and of columns by importance, that are printed


def describe(arguments: argparse.Namespace) -> int:
    """Print how `train` would encode, split and train on the table, and why. Returns the exit code."""
    recipe = TABLE.changed(arguments)
    data = table_data(arguments, recipe.validation_split or 0.0)
    for line in introduction(data):
        print(line)
    print(f"\n{_network(_sized(recipe, arguments, data), data).summary(data.encoding.input_shape)}")
    return 0


def introduction(data: TableData) -> list[str]:
    """Lines that describe the file's format, the encoding of its columns, notes, and the split of its rows."""
    written = f" ({data.table.description})" if data.table.description else ""
    lines = [
        f"{data.table.path}: {counted(data.table.count, 'row')}, {counted(len(data.table.names), 'column')}{written}"
    ]
    if data.dropped:
        lines.append(left_out(data.dropped))
    kept = str(data.learnt).splitlines()
    lines += ["", *(kept if len(kept) <= 60 else [*kept[:50], f"… and {len(kept) - 50:,} more columns"]), ""]
    lines += [f"note: {note}" for note in data.learnt.notes]
    sets = ", ".join(f"{counted(len(rows), 'row')} for {name}" for name, rows in data.indices.items())
    lines.append(f"split {data.by}: {sets}")
    if data.folds is not None:
        count = int(data.folds.max()) + 1
        lines.append(
            f"{count} networks, each trained on all but one of {count} folds of the training rows, validated on it; "
            f"the model is their mean (--folds 1 trains one network)"
        )
        lines.append('"out of fold" in the figures: each training row by the network that was not trained on it')
    return lines


def table_run(arguments: argparse.Namespace, folder: Path) -> TableRun:
    """The run that the command line describes, not started yet."""
    recipe = TABLE.changed(arguments)
    data = table_data(arguments, recipe.validation_split or 0.0)
    recipe = _sized(recipe, arguments, data)
    if data.folds is not None:
        from ._table_folds import FoldedRun

        return FoldedRun(data, recipe, arguments, folder)
    return TableRun(model_of(recipe, data, arguments), recipe, data, folder, arguments.quiet, data.sets())


def model_of(recipe: Recipe, data: TableData, arguments: argparse.Namespace, seed: int | None = None) -> Model:
    """The untrained model of a table. seed : None is the seed of the command line."""
    classes = data.encoding.classes is not None
    return Model(
        _network(recipe, data),
        softmax_cross_entropy if classes else mean_squared_error,
        recipe.rule(),
        metrics=None if classes else r2,
        backend=arguments.backend,
        seed=arguments.seed if seed is None else seed,
        encoding=data.encoding,
    )


def _sized(recipe: Recipe, arguments: argparse.Namespace, data: TableData) -> Recipe:
    """The recipe with settings chosen by the number of training rows, where the command line gives none.

    Few rows get small batches, many epochs, and strong dropout and L2. Many rows get larger batches and fewer epochs.
    """
    count = data.learnt_rows
    found: dict[str, Any] = {
        "batch_size": 32 if count < 10_000 else 256 if count < 100_000 else 1024,
        "dropout": 0.3 if count < 10_000 else 0.1,
        "l2": min((3 if data.encoding.classes else 5) / count, 0.1),
    }
    recipe = replace(recipe, **{name: value for name, value in found.items() if getattr(arguments, name) is None})
    if arguments.epochs is None:
        steps = max(count / (recipe.batch_size or count), 1.0)
        recipe = replace(recipe, epochs=int(max(10, min(1000, max(200, 3000 / steps), UPDATES / steps))))
    return recipe


def patience_of(count: int, batch_size: int | None) -> int:
    """The number of epochs without a better validation loss after which a run stops; about 300 steps for few rows."""
    return int(max(PATIENCE, min(100, 300 / max(count / (batch_size or count), 1.0))))


def _network(recipe: Recipe, data: TableData) -> Sequential:
    """The network: embeddings if there are any, then the recipe's layers. All weights are penalized, as in ridge."""
    plain = recipe.network(np.empty((0, 1)), data.encoding.outputs).layers
    penalty = L1L2(recipe.l1, recipe.l2) if recipe.l1 or recipe.l2 else None
    dense = [
        replace(one, weight_regularizer=penalty, bias_regularizer=None) if isinstance(one, Dense) else one
        for one in plain
    ]
    return Sequential(data.encoding.input_layer(), *dense) if data.encoding.coded else Sequential(*dense)


class TableRun(Run):
    """A training run on a table."""

    def __init__(
        self, model: Model, recipe: Recipe, data: TableData, folder: Path, quiet: bool, sets: dict[str, tuple[Any, Any]]
    ) -> None:
        self.table = data
        classes = data.encoding.classes is not None
        x, y = sets["training"]
        super().__init__(model, recipe, Data(x, y, None, None, classes, data.encoding.outputs), folder, quiet)
        self.sets, self.every = sets, 1

    @property
    def typical(self) -> Model:
        """The model whose network is printed."""
        return self.model

    def split(self, arguments: argparse.Namespace) -> None:
        """Do nothing: the table is split already."""

    def callbacks(self) -> list[EarlyStopping]:
        patience = patience_of(len(self.sets["training"][1]), self.recipe.batch_size)
        return [EarlyStopping(patience=patience)] if "validation" in self.sets else []

    def introduce(self, name: str) -> None:
        """Print the table and its encoding, the backend, the training, the folder, the network."""
        for line in introduction(self.table):
            self.echo(line)
        repeated = duplicates(self.sets)
        if repeated:
            rows = f"{counted(repeated, 'held-out row')} {'is' if repeated == 1 else 'are'}"
            self.echo(f"note: {rows} equal to a training row, so the figures look better than they are")
        model, recipe = self.typical, self.recipe
        model.build(self.table.encoding.input_shape)
        backend = model.backend
        size = "the whole set per step" if recipe.batch_size is None else f"{recipe.batch_size} rows per step"
        validated = "validation" in self.sets or self.table.folds is not None
        stop = "at most " * validated + counted(recipe.epochs, "epoch")
        rule = f"{recipe.description}, seed {self.model.seed}"
        best = "; the weights of the best epoch on the validation rows are kept" * validated
        lines = [
            ("", ""),
            ("backend", f"{backend.name} {backend.version} on {backend.device}"),
            ("", backend.reason),
            ("training", f"{stop}, {size}, {rule}{best}"),
            ("into", str(self.folder)),
        ]
        self.echo(table(lines))
        self.echo(f"\n{model.summary()}\n")

    def train(self, print_every: int | None, often: int | timedelta, resume: bool) -> int:
        if not resume:
            self.clear()
        return super().train(print_every, often, resume)

    def clear(self) -> None:
        """Remove the folds' networks of a run that is overwritten."""
        for folder in self.folder.glob(f"{FOLD}*"):
            for name in (MODEL, CHECKPOINT, HISTORY, CURVES):
                (folder / name).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()  # only where it is empty

    def draw(self) -> tuple[list[str], str]:
        from ._table_pictures import pictures

        for x, _ in self.sets.values():
            for part in x if isinstance(x, tuple) else (x,):
                forget(part)  # shuffled epochs have brought all of the file's pages into memory
        files, why = draw(self.folder, self.model, None, None)
        at = self.evaluated_set
        x, y = self.sets[at]
        self.importance = importance(self.model, x, y, self.model.seed or 0)
        drawn, reason = pictures(self.folder, self.model, x, y, self.importance, at)
        return files + drawn, why or reason

    @property
    def evaluated_set(self) -> str:
        """The set that is evaluated for importance and figures: test, else validation, else training."""
        return next(name for name in ("test", "validation", "training") if name in self.sets)

    def measure(self) -> Figures:
        """The figures of each set."""
        found: Figures = {}
        for name in self.sets:
            found |= labelled(name, self.measure_one(name))
        return found

    def measure_one(self, name: str) -> Figures:
        """The figures of one set."""
        x, y = self.sets[name]
        return figures(self.table.encoding, y, *predictions(self.model, x))

    def counts(self) -> dict[str, str]:
        """The number of rows behind each line of the figures."""
        return {name: f"{len(y):,}" for name, (_, y) in self.sets.items()}

    def ending(self, seconds: float) -> str:
        """How long the training took."""
        return f"{clock(seconds)} for {counted(self.model.epoch, 'epoch')}"

    def compare(self) -> tuple[Figures, str]:
        """(the figures of each set and of the baselines, why a baseline is missing or "")."""
        found = self.measure()
        beside, why = baselines(self.table.encoding, self.sets, self.evaluated_set)
        for name, one in beside.items():
            found |= labelled(f"baseline {name}, on {self.evaluated_set}", one)
        return found, why

    def report(self, files: list[str], why: str, seconds: float) -> None:
        """Print the figures of each set, the baselines, the columns' importance, and the files."""
        if self.quiet:
            print(self.folder)
            return
        encoding, at = self.table.encoding, self.evaluated_set
        compared, reason = self.compare()
        counts = self.counts()
        lines = [
            (name, counts.get(name.split(", ")[0], ""), {k: figure_text(v, k) for k, v in values.items()})
            for name, values in compared.items()
        ]
        self.echo(f"\n{figure_table(lines)}\n")
        if encoding.classes is not None:
            self._report_classes(at)
        lost = "R²" if encoding.classes is None else "accuracy"
        rows = [["column", f"{lost} lost when it is shuffled, on {at}"]]
        rows += [[n, f"{mean:.4f} ± {spread:.4f}"] for n, (mean, spread) in [*self.importance.items()][:SHOWN]]
        self.echo(f"{table(rows)}\n")
        self.echo(f"{self.ending(seconds)}; in {self.folder}: {', '.join(files)}")
        for text in (why, reason):
            if text:
                self.echo(text)

    def _report_classes(self, at: str) -> None:
        x, y = self.sets[at]
        classes = self.table.encoding.classes or ()
        found = per_class(confusion(y, predictions(self.model, x)[0], len(classes)))
        order = sorted(range(len(classes)), key=lambda k: -found[k][2])[:SHOWN]
        rows = [["class", "precision", "recall", f"{at} rows"]]
        rows += [[str(classes[k]), *(figure_text(v) for v in found[k][:2]), f"{found[k][2]:,}"] for k in order]
        self.echo(f"{table(rows, right=range(1, 4))}\n")
