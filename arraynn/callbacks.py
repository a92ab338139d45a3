"""Callbacks: what happens beside training. A method that returns True stops the run after what it was told of."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import tree
from .schedules import Scaled, rate_at


class Callback:
    """The base. every_epoch : whether `on_epoch_end` must be told at the end of each epoch, which makes the host wait
    for the device there. A callback that only writes down says False and is told of several epochs together."""

    every_epoch = True

    def on_fit_begin(self, model: Any) -> None:
        """Before the first step."""

    def on_batch_end(self, model: Any) -> bool | None:
        """After each step; its numbers are still on the device."""
        return None

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        """After epoch `epoch`, counted from 0 over all fits; logs are what history has just got."""
        return None

    def on_fit_end(self, model: Any) -> None:
        """After the last step, also where the run was stopped or failed."""


class _Monitor(Callback):
    """A callback that follows one number of the logs and knows when it is better."""

    def __init__(self, monitor: str, min_delta: float, mode: str) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta must be at least 0, got {min_delta!r}")
        upwards = mode == "max" or (mode == "auto" and monitor.endswith(("accuracy", "r2")))
        self.monitor, self.min_delta, self.sign = monitor, min_delta, -1.0 if upwards else 1.0

    def on_fit_begin(self, model: Any) -> None:
        self.best, self.waited = math.inf, 0

    def better(self, logs: Mapping[str, float]) -> bool | None:
        """Whether the number got better by min_delta; None where this epoch has none (validation_freq)."""
        if self.monitor not in logs:
            raise ValueError(
                f"{type(self).__name__} follows {self.monitor!r}, but the logs have {', '.join(logs)}; give "
                f"validation_data, or another monitor"
            )
        value = self.sign * logs[self.monitor]
        if math.isnan(value):
            return None
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
            return True
        self.waited += 1
        return False


class EarlyStopping(_Monitor):
    """Stop when `monitor` has not got better for `patience` epochs, and always restore the best epoch's weights.

    monitor : a name of the logs. patience : at least 1. min_delta : what counts as better. mode : "min", "max", or
    "auto": "max" for accuracies and R². Reads the number at each epoch's end. Prechelt, 1998.
    """

    def __init__(
        self, monitor: str = "val_loss", patience: int = 10, min_delta: float = 0.0, mode: str = "auto"
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        if patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, got {patience!r}")
        self.patience = patience

    def on_fit_begin(self, model: Any) -> None:
        super().on_fit_begin(model)
        self.best_params: Any = None
        self.best_epoch: int | None = None

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        if self.better(logs):
            self.best_params, self.best_epoch = tree.copy(model.params), epoch
        return self.waited >= self.patience

    def on_fit_end(self, model: Any) -> None:
        if self.best_params is not None:
            model.params = self.best_params
            self.best_params = None


class ReduceLROnPlateau(_Monitor):
    """Multiply the learning rate, number or schedule, by `factor` when `monitor` has not got better for `patience`
    epochs; not below min_learning_rate.

    factor : in (0, 1). The other arguments are EarlyStopping's.
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
        if not 0 < factor < 1:
            raise ValueError(f"factor must lie in (0, 1), got {factor!r}")
        self.factor, self.patience, self.floor = factor, patience, min_learning_rate

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        self.better(logs)
        rate = rate_at(model.optimizer.learning_rate, model.state["step"])
        if self.waited >= self.patience and rate > self.floor:
            factor = max(self.factor, self.floor / rate)
            model.optimizer = replace(model.optimizer, learning_rate=Scaled(model.optimizer.learning_rate, factor))
            self.waited = 0
        return None


class CSVLog(Callback):
    """Write the logs to a CSV file, a line an epoch. path : overwritten, unless append=True and it has a header."""

    every_epoch = False

    def __init__(self, path: str | Path, append: bool = False) -> None:
        self.path, self.append = Path(path), append

    def on_fit_begin(self, model: Any) -> None:
        self.header = self.append and self.path.exists() and self.path.stat().st_size > 0
        self.file = self.path.open("a" if self.append else "w", newline="", encoding="utf-8")

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        writer = csv.writer(self.file)
        if not self.header:
            writer.writerow(["epoch", *logs])
            self.header = True
        writer.writerow([epoch, *logs.values()])
        return None

    def on_fit_end(self, model: Any) -> None:
        self.file.close()


class BestWeights(_Monitor):
    """Save the model to `path` whenever `monitor` gets better. The other arguments are EarlyStopping's."""

    def __init__(
        self, path: str | Path, monitor: str = "val_loss", min_delta: float = 0.0, mode: str = "auto"
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.path = Path(path)

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        if self.better(logs):
            model.save(self.path)
        return None
