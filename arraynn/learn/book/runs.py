"""`run_row`: repeats one of the book's runs, in the book's random stream or from a seed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import datasets, initializers, layers, optimizers
from ...datasets import mnist_files
from ...errors import DataError, DivergedError
from ...losses import binary_cross_entropy, mean_squared_error, softmax_cross_entropy
from ...metrics import regression_accuracy
from ...model import Model
from ...regularizers import L1L2
from ...schedules import InverseTimeDecay
from ...training.callbacks import Callback
from .blocks import (
    BookAdam,
    BookDense,
    BookDropout,
    BookL1L2,
    BookRMSProp,
    BookSoftmaxCrossEntropy,
    Decay,
    Stream,
    rounded_normal,
)
from .row import Figures, Row
from .rows import ROWS

EPSILON = 1e-7  #: the book's value, in every optimizer
POINTS = 200  #: intervals between the points of a curve
NOTHING = Figures()


@dataclass(frozen=True)
class Point:
    """A point of a run's curve."""

    epoch: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Result:
    """The figures of a finished run. start, hundred : at epochs 0 and 100; end : at the last epoch, with validation.

    stream : "book", or the seed. epochs : the last epoch, counted from 0. problem : why the run failed, or "".
    """

    row: str
    stream: str
    backend: str
    epochs: int
    seconds: float
    start: Figures = NOTHING
    hundred: Figures = NOTHING
    end: Figures = NOTHING
    curve: tuple[Point, ...] = ()
    problem: str = ""


def row_of(name: str) -> Row:
    """The row of that name. Raises DataError, which lists the known names."""
    found = next((row for row in ROWS if row.name == name), None)
    if found is None:
        raise DataError(f"there is no row {name!r}; there are {', '.join(row.name for row in ROWS)}")
    return found


def last_epoch(row: Row, epochs: int | None) -> int:
    """The last epoch of a run, which `epochs` may cut short."""
    return row.epochs if epochs is None else min(epochs, row.epochs)


def run_row(
    row: str | Row,
    stream: str | int = "book",
    *,
    epochs: int | None = None,
    backend: Any = "numpy",
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Repeat one of the book's runs and return its figures.

    row : its name, or a Row of your own. stream : "book", the book's random numbers and rounding, on NumPy; or a seed,
        an integer of at least 0, with the library's blocks on `backend`. epochs : the last epoch, counted from 0; None
        is the row's own. callbacks : as for `Model.fit`.
    Raises DataError for an unknown row, and where the files of Fashion-MNIST are missing.
    """
    row = row_of(row) if isinstance(row, str) else row
    book = stream == "book"
    last = last_epoch(row, epochs)
    started = time.monotonic()
    rng: Any = Stream(0) if book else np.random.default_rng(int(stream))
    model, x, y, test = prepared(row, rng, "numpy" if book else backend)
    epochs_to_run = last if row.batch_size else last + 1
    name = str(model.backend.name)
    try:
        model.fit(x, y, epochs=epochs_to_run, batch_size=row.batch_size, shuffle=False, callbacks=callbacks, verbose=0)
    except DivergedError as error:
        return Result(row.name, str(stream), name, last, time.monotonic() - started, problem=str(error))
    history = model.history
    done = len(history["loss"])
    validation: dict[str, float] = {}
    if row.validated:
        x_test, y_test = test or _drawn(row, rng, 100)  # drawn after training, as in the book
        validation = model.evaluate(x_test, y_test)
    val_figures = {f"val_{metric}": validation.get(metric) for metric in ("accuracy", "loss")}
    return Result(
        row.name,
        str(stream),
        name,
        last,
        time.monotonic() - started,
        _at(row, history, 0),
        _at(row, history, 100) if done > 100 else Figures(),
        _at(row, history, done - 1, **val_figures),
        tuple(_curve(history)),
    )


def prepared(row: Row, rng: Any, backend: Any) -> tuple[Model, Any, Any, tuple[Any, Any] | None]:
    """(model with initial weights, x, y, test data or None), drawn from rng in the book's order: data, then weights.

    Test data are returned where the book draws them before the weights.
    """
    book = isinstance(rng, Stream)
    test = None
    if row.data == "fashion":
        x, y, *rest = _fashion(rng)
        test = rest[0], rest[1]
    else:
        x, y = _drawn(row, rng, row.samples)
    network, loss = _network(row, rng if book else None)
    metrics = [regression_accuracy] if row.data == "sine" else None
    model = Model(
        network, loss, _optimizer(row, book), metrics=metrics, backend=backend, seed=0 if book else _seed(rng)
    )
    model.set_params(network.init(rng, tuple(x.shape[1:]))[0])
    return model, x, y, test


def _seed(rng: np.random.Generator) -> int:
    """The seed of dropout masks, from a spawned generator, so that the stream of the weights is not advanced."""
    return int(rng.spawn(1)[0].integers(2**31))


def _drawn(row: Row, rng: Any, samples: int) -> tuple[Any, Any]:
    if row.data == "sine":
        return datasets.sine(samples)
    return datasets.spiral(samples, 2 if row.data == "binary" else 3, seed=rng)


def _network(row: Row, stream: Stream | None) -> tuple[layers.Sequential, Any]:
    """The network and its loss: of the book's blocks where a stream is given, otherwise of the library's."""
    outputs = {"spiral": 3, "fashion": 10}.get(row.data, 1)
    start: Any = rounded_normal(row.std) if stream else initializers.normal(row.std)
    dense: Any = BookDense if stream else layers.Dense
    penalty = (BookL1L2 if stream else L1L2)(l2=row.l2) if row.l2 else None
    chain: list[Any] = []
    for i, units in enumerate(row.hidden):
        regularizer = penalty if i == 0 else None
        chain.append(
            dense(units, weight_initializer=start, weight_regularizer=regularizer, bias_regularizer=regularizer)
        )
        chain.append(layers.ReLU())
        if row.dropout:
            chain.append(BookDropout(row.dropout, stream) if stream else layers.Dropout(row.dropout))
    chain.append(dense(outputs, weight_initializer=start))
    if row.data == "binary":
        return layers.Sequential(*chain, layers.Sigmoid()), binary_cross_entropy
    if row.data == "sine":
        return layers.Sequential(*chain), mean_squared_error
    return layers.Sequential(*chain), BookSoftmaxCrossEntropy() if stream else softmax_cross_entropy


def _optimizer(row: Row, book: bool) -> optimizers.Optimizer:
    rate: Any = row.learning_rate
    if row.decay:
        rate = Decay(rate, row.decay) if book else InverseTimeDecay(rate, decay=row.decay)
    options: dict[str, Any] = dict(row.options)
    if row.rule == "sgd":
        return optimizers.SGD(rate, **options)
    rules: dict[str, Any] = {
        "adagrad": optimizers.Adagrad,
        "rmsprop": BookRMSProp if book else optimizers.RMSProp,
        "adam": BookAdam if book else optimizers.Adam,
    }
    rule: optimizers.Optimizer = rules[row.rule](rate, epsilon=EPSILON, **options)
    return rule


def _at(row: Row, history: dict[str, list[float]], epoch: int, **more: Any) -> Figures:
    """The figures of an epoch. Where an epoch is one step, the book prints the learning rate of the step before."""
    before = epoch if row.batch_size else max(epoch - 1, 0)
    names = ("accuracy", "loss", "data_loss", "penalty")
    values = {name: history[name][epoch] for name in names}
    return Figures(**values, learning_rate=history["learning_rate"][before], **more)


def _curve(history: dict[str, list[float]]) -> Any:
    last = len(history["loss"]) - 1
    for epoch in sorted({round(i * last / POINTS) for i in range(POINTS + 1)}):
        yield Point(epoch, history["accuracy"][epoch], history["loss"][epoch])


# Fashion-MNIST, where its files exist.


def fashion_folder() -> Path | None:
    """The folder with the four files of Fashion-MNIST, or None. Nothing is downloaded."""
    root = os.environ.get("ARRAYNN_DATA")
    folder = Path(root, "fashion_mnist") if root else mnist_files.user_cache() / "fashion_mnist"
    return folder if all(mnist_files.find(folder, stem) for stem in mnist_files.FILES) else None


def missing(row: Row) -> str:
    """Why a row cannot be run on this machine, or ""."""
    if row.data != "fashion" or fashion_folder():
        return ""
    return "not run: needs the four files of Fashion-MNIST in $ARRAYNN_DATA/fashion_mnist"


def _fashion(rng: Any) -> tuple[Any, Any, Any, Any]:
    """Fashion-MNIST in the book's order: sorted by class, then the training set shuffled once, before the weights."""
    folder = fashion_folder()
    if folder is None:
        raise DataError("Fashion-MNIST is missing: put its four files into $ARRAYNN_DATA/fashion_mnist")
    x, y, x_test, y_test = datasets.fashion_mnist(folder)
    sort, sort_test = np.argsort(y, kind="stable"), np.argsort(y_test, kind="stable")
    order = np.arange(len(x))
    rng.shuffle(order)
    chosen = sort[order]
    return x[chosen], y[chosen], x_test[sort_test], y_test[sort_test]


def finite(value: float | None) -> bool:
    """Whether the value is known and finite."""
    return value is not None and math.isfinite(value)
