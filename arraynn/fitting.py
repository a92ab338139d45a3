"""The loop that `Model.fit` runs: epochs of steps, what they report, and what is kept when they fail.

Steps report 0-d arrays, which stay on the device until they are fetched together: at the end of an epoch for
callbacks that ask for it, and else at most ten times a second. At each fetch that is finite the weights are copied,
so a run that leaves the finite numbers loses little, and can be replayed from there to see where it happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import tree
from ._array import namespace
from ._types import Nest
from .backends import Backend
from .callbacks import Callback
from .diverged import first_not_finite
from .errors import DivergedError
from .interrupts import deferred_interrupts
from .random import Key
from .schedules import rate_at
from .training import Batch, make_train_step

FETCH_SECONDS = 0.1
FETCH_STEPS = 1000  #: and at least this often, so that waiting reports take no memory to speak of


@dataclass
class Taken:
    """A step whose report waits on the device."""

    epoch: int
    step: int
    make: Callable[[], Batch]
    logs: dict[str, Any]


@dataclass
class Sums:
    """An epoch's report so far, on the host."""

    total: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    learning_rate: float = math.nan

    def add(self, logs: dict[str, Any], learning_rate: float) -> None:
        logs = dict(logs)
        total = logs.pop("total")
        self.total += total
        self.learning_rate = learning_rate
        for name, value in logs.items():
            if isinstance(value, dict):
                sums = self.metrics.setdefault(name, dict.fromkeys(value, 0.0))
                for part in value:
                    sums[part] += value[part]
            else:
                self.losses[name] = self.losses.get(name, 0.0) + value * total


class Fit:
    """One call of `Model.fit`. model : the Model; batches : `Rows` or `Stream`; validate : () -> logs, or None."""

    def __init__(self, model: Any, batches: Any, callbacks: Sequence[Callback], validate: Any, every: int) -> None:
        self.model, self.batches, self.callbacks = model, batches, callbacks
        self.validate, self.every = validate, every
        self.eager = any(callback.every_epoch for callback in callbacks)
        self.waiting: list[Taken] = []
        self.finished: list[int] = []  # epochs whose reports wait
        self.sums: dict[int, Sums] = {}
        self.stopped = self.stepping = False

    def run(self, epochs: int) -> None:
        """Train for this many more epochs. Whatever is raised, the model's weights and history can be used."""
        model = self.model
        self.good = model.params, model.state
        model.params, model.state = tree.copy(model.params), _copy_state(model.state)
        with model.backend.context(), deferred_interrupts() as interrupt:
            for callback in self.callbacks:
                callback.on_fit_begin(model)
            try:
                self.train(model.epoch + epochs, interrupt.check)
            except BaseException:
                if self.stepping:  # the step broke off halfway, and it consumes what it works on
                    self.go_back()
                raise
            finally:
                self.leave()

    def train(self, end: int, check_interrupt: Callable[[], None]) -> None:
        model = self.model
        self.fetched = time.monotonic()
        while model.epoch < end and not self.stopped:
            self.epoch(model.epoch, check_interrupt)
            self.finished.append(model.epoch)
            model.epoch += 1
            last = model.epoch == end or self.stopped
            validating = self.validate is not None and (model.epoch % self.every == 0 or last)
            if self.eager or validating or last or self.due():
                self.settle()
                self.report(validating)
            check_interrupt()

    def epoch(self, epoch: int, check_interrupt: Callable[[], None]) -> None:
        model = self.model
        optimizer = None
        for make in self.batches.epoch(epoch):
            if model.optimizer is not optimizer:  # a callback may have exchanged it
                optimizer, step = model.optimizer, self.step()
            batch, number = make(), model.state["step"]
            self.stepping = True
            model.params, model.state, logs = step(model.params, model.state, batch, Key(model.seed))
            self.stepping = False
            self.waiting.append(Taken(epoch, number, make, logs))
            for callback in self.callbacks:
                self.stopped |= callback.on_batch_end(model) is True
            if self.due():
                self.settle()
            check_interrupt()
            if self.stopped:
                break

    def step(self) -> Any:
        model = self.model
        options = {"clip_norm": model.clip_norm, "clip_value": model.clip_value, "metrics": model.prepared_metrics}
        return make_train_step(model.network, model.loss, model.optimizer, **options)

    def due(self) -> bool:
        return time.monotonic() - self.fetched > FETCH_SECONDS or len(self.waiting) >= FETCH_STEPS

    def settle(self) -> None:
        """Fetch what waits; keep a copy of weights that are finite; raise DivergedError where they are not."""
        model, taken = self.model, self.waiting
        reports = [one.logs for one in taken]
        health = [_all_finite(leaf) for leaf in tree.leaves(model.params)]
        fetched = iter(model.backend.fetch([*tree.leaves(reports), *health]))
        logs = tree.map(lambda _: next(fetched), reports)
        if not all(fetched) or not all(math.isfinite(one["data_loss"] + one["penalty"]) for one in logs):
            self.diverged()
        for one, own in zip(taken, logs, strict=True):
            rate = rate_at(model.optimizer.learning_rate, one.step)
            self.sums.setdefault(one.epoch, Sums()).add(own, rate)
        self.waiting = []
        self.good = tree.copy(model.params), _copy_state(model.state)
        self.fetched = time.monotonic()

    def go_back(self) -> list[Taken]:
        """The model as it was at the last finite fetch; returns the steps that are lost by it."""
        lost, self.waiting = self.waiting, []
        self.model.params, self.model.state = self.good
        if lost:
            self.model.epoch = lost[0].epoch
        self.finished = [epoch for epoch in self.finished if epoch < self.model.epoch]
        return lost

    def diverged(self) -> None:
        """Go back to the last finite weights, replay from there to the first number that is not, and say where."""
        lost = self.go_back()
        found = first_not_finite(self.model, [(one.step, one.make) for one in lost])
        at = next((one for one in lost if one.step == found.step), lost[-1])
        raise DivergedError(at.epoch, at.step, found.layer, found.what)

    def leave(self) -> None:
        """On the way out, of whatever kind: history gets the epochs that are complete."""
        try:
            if self.waiting:
                self.settle()
            for epoch in self.finished:
                self.model.append(self.logs(epoch))
            self.finished = []
        finally:
            for callback in self.callbacks:
                callback.on_fit_end(self.model)

    def report(self, validating: bool) -> None:
        """Tell history and the callbacks of the epochs that are complete."""
        model, finished = self.model, self.finished
        self.finished = []
        for epoch in finished:
            logs = self.logs(epoch)
            if self.validate:
                fresh = validating and epoch == finished[-1]
                values = self.validate() if fresh else dict.fromkeys(["loss", *(m.name for m in model.metrics)], math.nan)
                logs |= {f"val_{name}": value for name, value in values.items()}
            model.append(logs)
            for callback in self.callbacks:
                self.stopped |= callback.on_epoch_end(model, epoch, logs) is True

    def logs(self, epoch: int) -> dict[str, float]:
        sums = self.sums.pop(epoch)
        total = sums.total or 1.0
        data_loss, penalty = (sums.losses[name] / total for name in ("data_loss", "penalty"))
        logs = {"loss": data_loss + penalty, "data_loss": data_loss, "penalty": penalty}
        for metric in self.model.prepared_metrics:
            logs[metric.name] = metric.value(sums.metrics[metric.name])
        return logs | {"learning_rate": sums.learning_rate}


def _all_finite(leaf: Any) -> Any:
    xp = namespace(leaf)
    return xp.astype(xp.all(xp.isfinite(leaf)), leaf.dtype)


def _copy_state(state: Nest) -> Nest:
    return {**state, "slots": tree.copy(state["slots"])}
