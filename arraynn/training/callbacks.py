"""Callbacks: what happens beside training. A method that returns True stops the run after what it was told of."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

from .. import tree
from .._hyperparameters import check_arguments, is_integer
from .._ranges import ABOVE_ZERO, BELOW_ONE, at_least_one, at_least_zero, flag, within
from .._types import Nest
from ..errors import CheckpointError, DataError
from ..metrics import KNOWN
from ..schedules import Scaled, rate_at


class Callback:
    """The base. What a method raises ends the run; weights and history can be used all the same.

    every_epoch : whether `on_epoch_end` must be told at the end of each epoch, which makes the host wait for the device
    there. A callback that only writes down says False and is told of several epochs together, each in its turn.
    A running fit writes into `model.params`: a callback that keeps them keeps `nn.tree.copy(model.params)`.

    first_worker_only : whether, of several workers that train together, worker 0 alone is to be told, as by a callback
        that writes a file; else each has a copy of its own, and all see the same numbers.
    kept : the names of the attributes that a checkpoint keeps, so that a resumed run goes on as if there had been no
    break: numbers, texts, None, and dicts or lists of the model's arrays.
    """

    every_epoch = True
    first_worker_only: ClassVar[bool] = False
    kept: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Raise TypeError for an argument that there is not, in a line that names the one that is meant."""
        check_arguments(cls, kwargs)
        return super().__new__(cls)

    def on_fit_begin(self, model: Any) -> None:
        """Before the first step."""

    def on_batch_end(self, model: Any) -> bool | None:
        """After each step; its numbers are still on the device."""
        return None

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        """After epoch `epoch`, counted from 0 over all fits; logs are what history has just got."""
        return None

    def on_fit_end(self, model: Any) -> None:
        """After the last step, also where the run was stopped or failed, if `on_fit_begin` was reached and passed."""

    def notes(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback, by name."""
        return {name: getattr(self, name) for name in self.kept}

    def on_resume(self, model: Any, done: range, notes: Mapping[str, Any]) -> None:
        """After `on_fit_begin`, in a run that goes on from a checkpoint. done : the epochs that it has behind it;
        notes : what `notes` gave then, its arrays on the model's backend. CheckpointError where they cannot be its."""
        if missing := sorted(set(self.kept) - notes.keys()):
            raise CheckpointError(f"it lacks {', '.join(missing)} of {type(self).__name__}")
        for name in self.kept:
            setattr(self, name, notes[name])


class Monitor(Callback):
    """A callback that follows one number of the logs and knows when it is better.

    monitor : a name of the logs. min_delta : at least 0, by how much a number must be better to count.
    mode : "min", "max", or "auto": "min" for losses and penalties, "max" for accuracies and R², and for a metric of
        yours what it says itself: `Metric.mode`, or `MeanOf(function, direction=…)`, or an attribute `mode` of the
        function. DataError before the first step where nobody says it. (Keras takes "min" then.)
    """

    kept: ClassVar[tuple[str, ...]] = ("best", "waited")

    def __init__(self, monitor: str, min_delta: float, mode: str) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        if not isinstance(monitor, str):
            raise TypeError(
                f"monitor must be a name of the logs, such as 'val_loss', got {monitor!r:.80}; other arguments go by "
                f"name, as patience=10"
            )
        self.monitor, self.min_delta, self.mode = monitor, at_least_zero("min_delta", min_delta), mode

    def on_fit_begin(self, model: Any) -> None:
        self.sign = {"min": 1.0, "max": -1.0}[self.direction(model)]
        self.best, self.waited = math.inf, 0

    def direction(self, model: Any) -> str:
        """ "min" or "max": which way the number gets better. DataError where mode is "auto" and nothing tells."""
        if self.mode != "auto":
            return self.mode
        name = self.monitor.removeprefix("val_")
        for metric in getattr(model, "metrics", ()):
            if metric.name == name and metric.mode is not None:
                return str(metric.mode)
        if name in ("loss", "data_loss", "penalty"):
            return "min"
        if name in KNOWN and KNOWN[name].mode is not None:
            return str(KNOWN[name].mode)
        raise DataError(
            f"{type(self).__name__} follows {self.monitor!r}, of which mode='auto' cannot know whether more is better; "
            f"give mode='max' or mode='min', or let the metric say it: nn.metrics.MeanOf(function, direction='max')"
        )

    def on_resume(self, model: Any, done: range, notes: Mapping[str, Any]) -> None:
        super().on_resume(model, done, notes)
        best, waited = self.best, self.waited
        if not isinstance(best, float) or math.isnan(best) or not is_integer(waited, 0):
            raise CheckpointError(f"{type(self).__name__} cannot have noted {best!r:.80} and {waited!r:.80}")

    def known_in(self, names: Iterable[str]) -> None:
        """Raise DataError unless the logs of a run have the number: asked before its first step."""
        if self.monitor not in names:
            raise DataError(
                f"{type(self).__name__} follows {self.monitor!r}, but the logs have {', '.join(names)}; give "
                f"validation_data, or another monitor"
            )

    def better(self, logs: Mapping[str, float]) -> bool | None:
        """Whether the number got better by min_delta; None where this epoch has none (validation_freq)."""
        value = self.sign * logs[self.monitor]
        if math.isnan(value):
            return None
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
            return True
        self.waited += 1
        return False


class EarlyStopping(Monitor):
    """Stop when `monitor` has not got better for `patience` epochs, and always restore the best epoch's weights.

    They are restored however the run ends: stopped, through all its epochs, by Ctrl-C, diverged. The optimizer's
    state, the step and the history stay those of the last epoch.

    monitor : a name of the logs. patience : at least 1; epochs without a number (validation_freq) do not count.
    min_delta : what counts as better. mode : "min", "max", or "auto", see `Monitor`. Reads the number at each epoch's
    end. Prechelt, 1998.
    """

    kept: ClassVar[tuple[str, ...]] = ("best", "waited", "best_epoch", "best_params")

    def __init__(
        self, monitor: str = "val_loss", patience: int = 10, min_delta: float = 0.0, mode: str = "auto"
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.patience = at_least_one("patience", patience, " epoch")

    def on_fit_begin(self, model: Any) -> None:
        super().on_fit_begin(model)
        self.best_params: Any = None
        self.best_epoch: int | None = None

    def on_resume(self, model: Any, done: range, notes: Mapping[str, Any]) -> None:
        super().on_resume(model, done, notes)
        if self.best_params is not None and _form(self.best_params) != _form(model.params):
            raise CheckpointError("EarlyStopping's best weights are not of the network's form")

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        if self.better(logs):
            self.best_params, self.best_epoch = tree.copy(model.params), epoch
        return self.waited >= self.patience

    def on_fit_end(self, model: Any) -> None:
        if self.best_params is not None:
            model.params = self.best_params
            self.best_params = None


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate, number or schedule, by `factor` when `monitor` has not got better for `patience`
    epochs; not below min_learning_rate.

    factor : in (0, 1). min_learning_rate : at least 0. The other arguments are EarlyStopping's.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        mode: str = "auto",
        min_learning_rate: float = 0.0,
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.factor = within("factor", factor, ABOVE_ZERO, BELOW_ONE, "must lie in (0, 1)")
        self.patience = at_least_one("patience", patience, " epoch")
        self.floor = at_least_zero("min_learning_rate", min_learning_rate)

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        self.better(logs)
        rate = rate_at(model.optimizer.learning_rate, model.state["step"])
        if self.waited >= self.patience and rate > self.floor:
            factor = max(self.factor, self.floor / rate)
            # Scaled around what there is, a Scaled too: by that an optimizer of several rates knows its part of it
            model.optimizer = replace(model.optimizer, learning_rate=Scaled(model.optimizer.learning_rate, factor))
            self.waited = 0
        return None


class CSVLog(Callback):
    """Write the logs to a CSV file, a line an epoch.

    path : overwritten; with append=True lines are added to a file that has the same columns (else ValueError).
    """

    every_epoch = False
    first_worker_only = True

    def __init__(self, path: str | Path, append: bool = False) -> None:
        self.path, self.append = Path(path), flag("append", append)
        self.file: Any = None

    def on_fit_begin(self, model: Any) -> None:
        self.columns: list[str] = []
        broken = False
        if self.append and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                text = file.read()
            self.columns, broken = next(csv.reader(io.StringIO(text)), []), text[-1:] not in ("", "\n", "\r")
        self.file = self.path.open("a" if self.append else "w", newline="", encoding="utf-8")
        if broken:  # its last line has no end, as editors leave it
            self.file.write("\r\n")

    def on_resume(self, model: Any, done: range, notes: Mapping[str, Any]) -> None:
        """The lines of the epochs that are behind, as history has them, and none of later ones."""
        self.file.close()
        lines: list[list[str]] = []
        if self.append:
            with self.path.open(newline="", encoding="utf-8") as file:
                header, *rest = list(csv.reader(file)) or [[]]
            lines = [header, *(line for line in rest if line and int(line[0]) < done.start)]
        self.file = self.path.open("w", newline="", encoding="utf-8")
        csv.writer(self.file).writerows(line for line in lines if line)
        self.columns = lines[0] if lines else []
        past = max((len(values) for values in model.history.values()), default=0) - model.epoch
        for epoch in done:
            self.on_epoch_end(model, epoch, {name: values[past + epoch] for name, values in model.history.items()})
        self.file.flush()

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        columns, writer = ["epoch", *logs], csv.writer(self.file)
        if not self.columns:
            self.columns = columns
            writer.writerow(columns)
        if columns != self.columns:
            raise ValueError(
                f"{self.path} has the columns {', '.join(self.columns)}, this run logs {', '.join(columns)}; "
                f"log to another file"
            )
        writer.writerow([epoch, *logs.values()])
        self.file.flush()  # so that a run that is killed leaves its lines
        return None

    def on_fit_end(self, model: Any) -> None:
        self.file.close()
        self.file = None  # no file can be copied, closed or not, and who holds this callback may be


class BestWeights(Monitor):
    """Save the model to `path` whenever `monitor` gets better. The other arguments are EarlyStopping's."""

    first_worker_only = True

    def __init__(self, path: str | Path, monitor: str = "val_loss", min_delta: float = 0.0, mode: str = "auto") -> None:
        super().__init__(monitor, min_delta, mode)
        self.path = Path(path)

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        if self.better(logs):
            model.save(self.path)
        return None


def _form(nest: Nest) -> dict[str, tuple[int, ...]]:
    return {path: tuple(leaf.shape) for path, leaf in tree.items(nest)}
