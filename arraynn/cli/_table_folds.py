"""`--folds K`: trains K networks, each on all folds but one, which validates it. The model is their mean."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from .. import layers, tree
from .._text import counted
from ..errors import CheckpointError
from ..model import Model
from ..training.progress import clock
from ._folder import CHECKPOINT, FOLD, HISTORY, MODEL, draw
from ._output import figure_text
from ._recipes import Recipe
from ._table_data import TableData
from ._table_figures import Figures, figures, labelled, predictions, take_rows
from ._table_run import TableRun, model_of

#: the line of figures in which each training row is predicted by the network that was not trained on it
OUT_OF_FOLD = "out of fold"


def mean_of_networks(networks: list[Any], outputs: int) -> layers.Sequential:
    """A network that averages the networks' outputs: concatenates them, and multiplies by a frozen matrix."""
    return layers.Sequential(layers.Concatenate(*networks), layers.Freeze(layers.Dense(outputs)))


def averaging(count: int, outputs: int) -> dict[str, np.ndarray]:
    """The parameters of that matrix, (count · outputs, outputs): stacked identity matrices, divided by count."""
    return {"weight": np.tile(np.eye(outputs), (count, 1)) / count, "bias": np.zeros(outputs)}


class FoldedRun(TableRun):
    """K runs, one for each fold of the training rows, in folders fold-1, fold-2, ..., and a model of their mean.

    Each row is a training row of all networks but one, and a validation row of that one. The line "out of fold" in the
    figures uses each row's prediction by the network that it validates.
    Krogh and Vedelsby, "Neural network ensembles, cross validation, and active learning", NIPS 1994.
    """

    def __init__(self, data: TableData, recipe: Recipe, arguments: Any, folder: Path) -> None:
        assert data.folds is not None
        count = int(data.folds.max()) + 1
        sets = data.sets()
        self.parts = [np.flatnonzero(data.folds == k) for k in range(count)]
        self.members = []
        for k, part in enumerate(self.parts):
            own = {
                name: tuple(take_rows(array, rows) for array in sets["training"])
                for name, rows in (("training", np.flatnonzero(data.folds != k)), ("validation", part))
            }
            model = model_of(recipe, data, arguments, seed=arguments.seed * count + k)
            self.members.append(_FoldRun(model, recipe, data, folder, arguments.quiet, own, k + 1, count))
        joint = model_of(recipe, data, arguments)
        joint = Model(
            mean_of_networks([member.model.network for member in self.members], data.encoding.outputs),
            joint.loss,
            recipe.rule(),
            metrics=joint.metrics,
            backend=arguments.backend,
            seed=arguments.seed,
            encoding=data.encoding,
        )
        super().__init__(joint, recipe, data, folder, arguments.quiet, sets)

    @property
    def typical(self) -> Model:
        return self.members[0].model

    def continue_from(self, done: Model) -> None:
        raise CheckpointError(
            f"{self.folder / MODEL} is the mean of networks whose training is done; --overwrite starts over, only a "
            f"run with --folds 1 continues with more epochs"
        )

    def train(self, print_every: int | None, interval: int | timedelta, resume: bool) -> int:
        started = time.monotonic()
        if not resume:
            self.clear()
            for name in (MODEL, HISTORY):  # of an overwritten run; --resume would take its model for this run's
                (self.folder / name).unlink(missing_ok=True)
        for member in self.members:
            code = member.train_or_load(print_every, interval, resume)
            if code:
                return code
        self.join()
        self.model.save(self.folder / MODEL)
        try:
            drawn, why = self.draw()
            folders = f"{FOLD}1 to {FOLD}{len(self.members)}"
            self.report([MODEL, *drawn, folders], why, time.monotonic() - started)
        except KeyboardInterrupt:
            (self.folder / MODEL).unlink()  # without it, --resume averages the saved networks again
            done = f"all {len(self.members)} networks, while their pictures and figures were made"
            saved = f"the networks are saved in {self.folder}; --out {self.folder} --resume joins them and makes these"
            print(f"arraynn train: interrupted after {done}; {saved}", file=sys.stderr)
            return 130
        return 0

    def join(self) -> None:
        """Set the joint model's parameters: those of the networks, and the averaging matrix."""
        model, backend = self.model, self.model.backend
        networks = [tree.map(backend.to_numpy, member.model.params) for member in self.members]
        mean = averaging(len(networks), self.table.encoding.outputs)
        model.build(self.table.encoding.input_shape)
        model.set_params([networks, {"statistics": mean}])
        model.epoch = max(member.model.epoch for member in self.members)

    def measure(self) -> Figures:
        """The figures of the model on each set, and of each network on the rows that it was not trained on."""
        found = super().measure()
        encoding = self.table.encoding
        y = np.concatenate([np.asarray(member.sets["validation"][1]) for member in self.members])
        parts = [predictions(member.model, member.sets["validation"][0]) for member in self.members]
        prediction = np.concatenate([np.asarray(part) for part, _ in parts])
        known = None if encoding.classes is None else np.concatenate([part for _, part in parts])
        beside = labelled(OUT_OF_FOLD, figures(encoding, y, prediction, known))
        test = {name: found.pop(name) for name in list(found) if name.startswith("test")}
        return found | beside | test

    def counts(self) -> dict[str, str]:
        found = super().counts()
        return found | {OUT_OF_FOLD: found["training"]}

    def ending(self, seconds: float) -> str:
        epochs = sum(member.model.epoch for member in self.members)
        return f"{clock(seconds)} for {len(self.members)} networks, {counted(epochs, 'epoch')} in all"


class _FoldRun(TableRun):
    """The run of one network, trained on all folds but its own."""

    def __init__(
        self, model: Model, recipe: Recipe, data: TableData, home: Path, quiet: bool, sets: Any, number: int, count: int
    ) -> None:
        folder = home / f"{FOLD}{number}"
        super().__init__(model, recipe, data, folder, quiet, sets)
        self.home, self.name = home, f"fold {number} of {count}"
        self.of = f" of {self.name}"

    def train_or_load(self, print_every: int | None, interval: int | timedelta, resume: bool) -> int:
        """Train, or load the model of a finished run. Returns the exit code."""
        path, begun = self.folder / MODEL, (self.folder / CHECKPOINT).exists()
        if resume and path.exists() and not begun:
            done = Model.load(path, backend=self.model.backend)
            self.check_same(done)
            self.model = done
            self.echo(f"{self.name} is trained already")
            return 0
        self.folder.mkdir(exist_ok=True)
        self.echo(self.name)
        try:
            return self.train(print_every, interval, resume and begun)
        finally:
            if not (
                self.trained or (self.folder / CHECKPOINT).exists()
            ):  # a model without a checkpoint would mean that training is done
                path.unlink(missing_ok=True)

    def draw(self) -> tuple[list[str], str]:
        return draw(self.folder, self.model, None, None)

    def report(self, files: list[str], why: str, seconds: float) -> None:
        if self.quiet:
            return
        for name, values in labelled("validation", self.measure_one("validation")).items():
            text = "  ".join(f"{k} {figure_text(v, k)}" for k, v in values.items())
            self.echo(f"{self.name}: {self.ending(seconds)}; {name} {text}")
