"""`Model`: a network with its loss, optimizer, weights and history. It trains, evaluates, predicts and saves."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from . import tree
from ._array import is_array, namespace
from ._hyperparameters import python_number
from ._names import explains_wrong_arguments
from ._ranges import BELOW_ONE, flag, meant
from ._types import Array, LayerLike, Nest
from .distributed import LocalSGD, in_threads, team_of
from .encoding import TableEncoding, is_table, rows_of_table
from .errors import DataError
from .io.model_file import names_in
from .losses import as_loss, softmax_cross_entropy
from .metrics import Metric, as_metric
from .optimizers import Adam, Optimizer
from .training import advice
from .training.callbacks import Callback
from .training.checkpoint import load_checkpoint, read_checkpoint
from .training.columns import column_names, same_columns
from .training.consistency import consistent_workers, same_call
from .training.dataset import rows_of, unpack
from .training.dispatch import as_callbacks
from .training.inference import measure
from .training.labels import checked_classes, named
from .training.link_check import warn_of_the_link
from .training.loop import Trainer
from .training.model_inputs import ModelInputs
from .training.model_repr import ModelRepr
from .training.progress import progress_for
from .training.shards import assembled
from .training.step import make_unchecked_step
from .training.validation import at_least, enough_rows

log = logging.getLogger("arraynn")

#: multiplications in a step below which a CPU computes the step faster than a GPU's kernels are launched
SMALL_STEP = 10_000_000

#: keys of the history besides metrics, which no metric may have as its name
RESERVED = {"loss", "data_loss", "penalty", "total", "learning_rate"}


class Model(ModelRepr, ModelInputs):
    """A network with its loss, optimizer, weights and history; trains, evaluates, predicts, saves and loads.

    network : a layer, most often a Sequential. loss : a loss block (nn.softmax_cross_entropy), a Loss with
        hyperparameters, or a block's name; a DataWarning tells if the network's last layer does not fit it.
        optimizer : an Optimizer, or its name for its defaults. metrics : None for the loss's default; else names,
        which stand for the loss's metrics, Metrics, or functions.
    backend : "auto", a name ("numpy", "cupy:1", "torch:cuda", …), a module or a Backend. "auto" is resolved at first
        use: arrays of other libraries keep their library and device, NumPy arrays go to a GPU if one is proved to work.
    dtype : "float32" or "float64", of weights and of the data that are cast for training.
    seed : integer, NumPy Generator or RandomState; determines initial weights, shuffles and dropout masks.
    clip_norm, clip_value : gradient clipping, see `make_train_step`.
    encoding : a `TableEncoding`. fit, evaluate, predict and explain then take tables, with targets in them or as y;
        other inputs are assumed to be encoded already.
    classes : labels, such as ("ham", "spam"); position k is output k. Targets and the keys of class_weight are then
        labels, and `predict` returns labels. None means the outputs' numbers, or the labels of the encoding.

    params, state : weights and optimizer state, nests of arrays; history : {"loss": [...], …}, one float per epoch;
    epoch, step : counts so far. loss = data_loss + penalty; val_loss has no penalty, as in the book. Metrics and losses
    of an epoch are means over its batches, each computed before the batch's update.
    """

    @explains_wrong_arguments("Model", "nn.Model(network, loss, optimizer, metrics=…)")
    def __init__(
        self,
        network: LayerLike,
        loss: Any = softmax_cross_entropy,
        optimizer: Optimizer | str | None = None,
        *,
        metrics: Any = None,
        backend: Any = "auto",
        dtype: str = "float32",
        seed: Any = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        encoding: TableEncoding | None = None,
        classes: Any = None,
    ) -> None:
        super().__init__(network, Adam() if optimizer is None else optimizer, backend, dtype, seed)
        self.loss = as_loss(loss)
        if encoding is not None and not isinstance(encoding, TableEncoding):
            raise TypeError(f"encoding must be a TableEncoding, as TableEncoding.learn makes it, got {encoding!r:.80}")
        self.encoding, self.classes = encoding, checked_classes(classes, encoding)
        warn_of_the_link(network, self.loss)
        if metrics is None:
            metrics = [] if self.loss.metric is None else [self.loss.metric]
        if isinstance(metrics, (str, Metric)) or callable(metrics):
            metrics = [metrics]
        self.metrics: tuple[Metric, ...] = tuple(as_metric(metric, self.loss) for metric in metrics)
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names) or RESERVED & set(names):
            raise ValueError(f"metrics need names of their own, other than {', '.join(sorted(RESERVED))}, got {names}")
        self.prepared_metrics = self.metrics
        clip_norm, clip_value = python_number(clip_norm), python_number(clip_value)
        self.clip_norm, self.clip_value = clip_norm, clip_value
        # raises errors of a step here: invalid limits, hyperparameters that cannot be hashed
        added = tuple(metric for metric in self.metrics if not metric.whole_set)
        make_unchecked_step(
            network, self.loss, self.optimizer, clip_norm=clip_norm, clip_value=clip_value, metrics=added
        )
        self.history: dict[str, list[float]] = {}

    # Training.

    @explains_wrong_arguments("fit", "fit(x, y, epochs=10, batch_size=32)")
    @in_threads
    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        batch_size: int | None = 32,
        micro_batch: int | None = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
        validation_freq: int = 1,
        sample_weight: Any = None,
        class_weight: Any = None,
        shuffle: bool = True,
        callbacks: Iterable[Callback] | Callback | None = (),
        verbose: int | str = "auto",
        resume: str | Path | None = None,
        change: Iterable[str] = (),
        workers: Any = None,
        shards: int | None = None,
        reduction: str | LocalSGD = "exact",
    ) -> dict[str, list[float]]:
        """Train the network. Returns the history, to whose lists each epoch appends a float.

        x : (N, …) array of any library, nested lists, a data frame of numbers, or a tuple of these for several
            inputs; a table, if the model has an encoding; or, with y None, an iterable of (x, y) or
            (x, y, sample_weight) batches that restarts each epoch. Integers (images) are cast to the dtype.
            Memory-mapped arrays are read a batch at a time. The names of a frame's columns are remembered, in a saved
            file too: frames with other names, or in another order, are then refused.
        y : (N,) integer classes, (N, K) distributions, or what the loss takes; a target (N,) fits one output (N, 1).
        epochs : at least 1; in a further fit, additional ones. batch_size : at least 1; None is the whole set,
            unshuffled. micro_batch : the largest number of rows computed at a time, for batches that exceed a GPU's
            memory; the update is that of the whole batch (see `make_train_step`). None for all.
        validation_data : (x, y) or (x, y, sample_weight). validation_split : instead, this fraction in [0, 1) of the
            rows, drawn by the seed (Keras takes the last rows, which in sorted data are one class). Validation is
            measured every validation_freq epochs and at the last; in between, history holds nan.
        sample_weight : (N,), at least 0. class_weight : {class: weight} or "balanced". A key of any numeric type, a
            bool too, stands for the class that it equals; a class without a key has weight 1.
        shuffle : a new permutation each epoch; that of epoch e is drawn by default_rng([seed, e]).
        callbacks : one or several, see `Callback`. verbose : 0 silent, 1 progress, "auto" progress in a terminal or
            notebook.
        resume : a file written by `Checkpoint`: continue from it, also within an epoch, with the results of an
            uninterrupted fit. `epochs` counts from the start of the saved fit, and may be larger than it was. If the
            file does not exist yet, the fit starts from the beginning.
        change : settings that a resumed fit may change: "learning_rate" (or its schedule), "epochs",
            "validation_freq". A log message names the differences; all other settings must be the same. With more
            epochs, a schedule that ended with the saved fit (CosineDecay, PolynomialDecay, OneCycle) ends with this
            one.
        workers : from `nn.workers`: processes that train this model together. Each gets the same data and takes its
            own rows of every batch (of memory-mapped x it reads only those), or holds only some rows, as a `Shard`. All
            end with the same weights and history. Only worker 0 shows progress and writes files. All stop after the
            same step, and if one fails, all end.
        shards : the number of pieces that a batch is then cut into, at least the number of workers; 8 by default. On
            NumPy, a fit with the same shards has the same bits on 1, 2, 4, … workers that divide them, and without
            workers; an interrupted fit may be resumed on another number of workers. Without workers and shards, a
            batch is not cut into these pieces, and the bits differ. Neither can be combined with micro_batch.
        reduction : "exact"; "fast", the engine's own sum of gradients, in any order; or a `LocalSGD`.

        Ctrl-C stops between two steps, keeps weights and history, and raises KeyboardInterrupt; SIGTERM does the same
        and raises SystemExit(143).
        Raises DataError or ShapeError for data that do not fit, and CheckpointError for a file of another fit, before
        anything is trained; DivergedError if a loss or a weight is not finite, keeping the last finite weights.
        """
        shuffle = flag("shuffle", shuffle, "; True draws a new order of all rows for each epoch")
        epochs, validation_freq = at_least("epochs", epochs, 1), at_least("validation_freq", validation_freq, 1)
        if batch_size is not None:
            batch_size = at_least("batch_size", batch_size, 1, " (None is the whole set)")
        validation_split = python_number(validation_split)
        if not isinstance(validation_split, (int, float)) or not 0 <= validation_split < 1:
            remedy = meant(validation_split, 0, BELOW_ONE)
            raise DataError(f"validation_split must lie in [0, 1), got {validation_split!r}{remedy}")
        table = self.encoding is not None and is_table(x)
        if validation_split and (validation_data is not None or (y is None and not table)):
            raise DataError("validation_split needs x and y as arrays, and no validation_data")
        team = team_of(workers, shards, reduction)
        given = {"y": y, "sample_weight": sample_weight, "validation_data": validation_data, "resume": resume}
        same_call(team, {"epochs": epochs}, given)
        if y is None and isinstance(x, (tuple, list)) and len(x) == 2 and all(map(is_array, x)):
            raise DataError(f"y is missing: give fit(x, y); x is a {type(x).__name__} of two arrays")
        found = None if resume is None else read_checkpoint(resume, team)
        x, y, sample_weight, validation_data = assembled(team, x, y, sample_weight, validation_data)
        with self._unless_refused(), consistent_workers(team, self) as facts:
            validation = None
            x, y = rows_of_table(self.encoding, x, y)
            if y is None:
                batches: Any
                batches, targets, weight = self._batch_iterable(x, epochs, sample_weight, class_weight)
                columns = batches.spec.columns
            else:
                columns = self.columns or column_names(x)
                y = self._input_spec().numbers(y)
                x = self._inputs(x, y)
                self._ready(x)
                batches = rows_of(self._input_spec(), x, y, sample_weight)
                if self.encoding is None:
                    advice.of_data(self, x, y, batches)
                if validation_split:
                    batches, validation = batches.split(validation_split, self.seed)
                batches = replace(batches.with_classes(class_weight), batch_size=batch_size)
                batches = replace(batches, seed=self.seed if shuffle else None)
                targets, weight = batches.targets, batches.weight
                enough_rows(self.network, min(batches.count, batch_size or batches.count))
                self._warn_if_small(x, batches.count if batch_size is None else batch_size)
            if validation_data is not None:
                try:
                    validation = rows_of(self._input_spec(columns=columns), *unpack("validation_data", validation_data))
                except DataError as error:  # row numbers in the message refer to validation_data
                    raise DataError(f"in validation_data: {error}") from None
            self._check_metrics()
            validate = None if validation is None else partial(measure, self, validation, team.group if team else None)
            if team is not None:
                team.check(self.network, self.loss, tuple(m for m in self.metrics if not m.whole_set))
            plan = {
                "rows": getattr(batches, "count", None),
                **{"batch_size": batch_size, "shuffle": shuffle, "validation_split": validation_split},
                "validation_freq": validation_freq,
                "shards": team and team.shards,
                "reduction": team and str(team.reduction),
            }
            watching = [*as_callbacks(callbacks), *progress_for(0 if team and team.group.rank else verbose, epochs)]
            trainer = Trainer(self, batches, watching, validate, validation_freq, plan, micro_batch, team)
            if micro_batch is not None:
                trainer.make_step()  # raises for an invalid micro_batch
            loaded = None if resume is None else load_checkpoint(resume, found, self, plan, watching, epochs, change)
            if loaded is not None:
                same_columns(names_in(loaded.header), columns)
            prepared = tuple(metric.prepare(targets).centered(targets, weight) for metric in self.metrics)
            facts.note(batches, validation, prepared, plan)
        self.prepared_metrics, self.columns = prepared, columns
        trainer.run(epochs, loaded)
        return self.history

    def append(self, logs: Mapping[str, float]) -> None:
        """Add an epoch's logs to the history; a name that is new, or missing, is nan where it has no number."""
        if new := [name for name in logs if name not in self.history]:
            done = max((len(values) for values in self.history.values()), default=0)
            self.history.update({name: [math.nan] * done for name in new})
        for name, values in self.history.items():
            values.append(float(logs.get(name, math.nan)))

    # Evaluation and prediction.

    def evaluate(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, float]:
        """Compute the loss without penalty and the metrics over all rows: {"loss": …, "accuracy": …}, Python floats."""
        with self._unless_refused():
            x, y = rows_of_table(self.encoding, x, y)
            if y is None:
                raise DataError("y is missing: give evaluate(x, y), or a table to a model with an encoding")
            y = self._input_spec().numbers(y)
            x = self._inputs(x, y)
            self._ready(x)
            rows = rows_of(self._input_spec(), x, y, sample_weight)
            self._check_metrics()
        return measure(self, rows)

    def __call__(self, x: Any) -> Nest:
        """The network's raw outputs (logits, values) in inference, in the library and on the device of x."""
        return self._infer(x, lambda outputs: outputs)

    def predict(self, x: Any) -> Any:
        """Predict classes (N,) for a classifier, values for a regression; a single output per row gives (N,).

        With labels, a NumPy array of labels; with an encoding, values in the target's own unit.
        """
        loss = self.loss

        def prediction(outputs: Array) -> Any:
            predicted = loss.prediction(outputs)
            xp = namespace(predicted)
            if xp.isdtype(predicted.dtype, "bool"):
                predicted = xp.astype(predicted, self.backend.index_dtype)
            return xp.reshape(predicted, (-1,)) if tuple(predicted.shape[1:]) == (1,) else predicted

        found = self._infer(x, prediction)
        if self.classes is not None:
            return named(self.classes, found)
        return found if self.encoding is None else self.encoding.decode(found)

    def predict_proba(self, x: Any) -> Any:
        """Predict probabilities by the loss's link function: (N, K), or (N, D) for D binary outputs.

        Raises DataError for a loss over values.
        """
        return self._infer(x, self.loss.probabilities)

    def explain(self, x: Any = None, y: Any = None, sample_weight: Any = None) -> Any:
        """Explain the next training step on these rows: every value forward and backward. See `arraynn.explain`."""
        from .explain import explain

        if self.encoding is not None and is_table(x):
            x, y = self.encoding.rows_to_explain(x, y)
        return explain(self, None if x is None else self._inputs(x), y, sample_weight)

    def save(self, path: str | Path) -> None:
        """Save architecture, weights, optimizer state and history to one safetensors file; see `io.model_file`."""
        from .io.model_file import save

        save(self, path)

    @staticmethod
    def load(path: str | Path, backend: Any = "auto", dtype: str | None = None) -> Model:
        """Load a saved model, on any backend. No code in the file is run; unknown content: CheckpointError."""
        from .io.model_file import load

        model: Model = load(Model, path, backend, dtype)
        return model

    # Internal methods.

    def _warn_if_small(self, x: Nest, batch: int) -> None:
        work = batch * sum(math.prod(leaf.shape) for leaf in tree.leaves(self._params))
        from_host = isinstance(tree.leaves(x)[0], np.ndarray)
        if self._wanted == "auto" and from_host and self.backend.name == "cupy" and work < SMALL_STEP:
            log.info("this step is small (%d multiplications): the CPU, backend='numpy', is likely faster", work)
