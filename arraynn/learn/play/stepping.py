"""Trains by single updates on the batches that `Model.fit` would take, and may stop within an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import tree
from ..._array import is_float
from ..._hyperparameters import is_integer
from ...errors import DataError, DivergedError
from ...random import Key
from ...schedules import rate_at
from ...training.nan_trace import first_non_finite
from ...training.pending import EpochTotals, PendingStep
from ...training.step import Batch, make_train_step


class Stepper:
    """Trains a model by single updates and appends each finished epoch's figures to the model's history.

    model : is built if it has no weights yet. x, y : host arrays, as for `Model.fit`. batch_size : None is the whole
    set. position : the updates already done in the epoch `model.epoch`.
    """

    def __init__(self, model: Any, x: Any, y: Any, batch_size: int | None, position: int = 0) -> None:
        self.model, self.batch_size, self.position = model, batch_size, position
        if model.params is None:
            model.build(x.shape[1:])
        backend = model.backend
        has_classes = model.loss.targets == "classes"
        y = y if has_classes else np.reshape(y, (len(y), -1))
        self.x = backend.asarray(x, model.dtype)
        self.y = backend.asarray(y, backend.index_dtype if has_classes else model.dtype)
        self.count, self.totals = len(x), EpochTotals()
        model.prepared_metrics = tuple(metric.prepare(self.y) for metric in model.metrics)
        self.order: tuple[int, Any] = (-1, None)
        self.renew()

    @property
    def per_epoch(self) -> int:
        """Updates in an epoch."""
        return 1 if self.batch_size is None else math.ceil(self.count / self.batch_size)

    def renew(self) -> None:
        """Use the model's current optimizer. One with other slots starts with new slots, at the current step."""
        model = self.model
        fresh = model.optimizer.init(model.params)["slots"]
        state = model.state
        if set(tree.paths(fresh)) != set(tree.paths(state["slots"])):
            state = {**state, "slots": fresh}
        model.hold(tree.copy(model.params), state)
        self.optimizer = model.optimizer
        self.train_step = make_train_step(model.network, model.loss, model.optimizer, metrics=model.prepared_metrics)

    def batch(self, epoch: int, position: int) -> Callable[[], Batch]:
        """A function that makes the batch that `Model.fit` would take at this position of this epoch."""
        if self.batch_size is None:
            return lambda: (self.x, self.y, None)
        backend, size = self.model.backend, self.batch_size
        if self.order[0] != epoch:
            order = np.random.default_rng([self.model.seed, epoch]).permutation(self.count)
            self.order = epoch, backend.asarray(order, backend.index_dtype)
        rows, xp = self.order[1][position * size : min((position + 1) * size, self.count)], backend.xp
        return lambda: (xp.take(self.x, rows, axis=0), xp.take(self.y, rows, axis=0), None)

    def run(self, steps: int | None = None, seconds: float = 0.0) -> int:
        """Take `steps` updates, or as many as fit into `seconds`, at least one. Returns how many it took.

        Raises DivergedError where a loss, weight or slot is not finite, and resets the model to its state before.
        """
        model, key = self.model, Key(self.model.seed)
        if model.optimizer is not self.optimizer:
            self.renew()
        state = {**model.state, "slots": tree.copy(model.state["slots"])}
        before = tree.copy(model.params), state, model.epoch, self.position
        steps_done: list[_Step] = []
        end = time.perf_counter() + seconds
        with model.backend.context():
            while not steps_done or (time.perf_counter() < end if steps is None else len(steps_done) < steps):
                make, step = self.batch(model.epoch, self.position), int(model.state["step"])
                params, state, logs = self.train_step(model.params, model.state, make(), key)
                model.hold(params, state)
                last = self.position + 1 >= self.per_epoch
                steps_done.append(_Step(model.epoch, step, model.optimizer, make, logs, last))
                model.epoch, self.position = (model.epoch + 1, 0) if last else (model.epoch, self.position + 1)
            reports = [pending.logs for pending in steps_done]
            fetched = iter(model.backend.fetch(tree.leaves(reports)))
            numbers = tree.map(lambda _: next(fetched), reports)
            if not (_finite(model) and all(math.isfinite(logs["data_loss"] + logs["penalty"]) for logs in numbers)):
                model.hold(*before[:2])
                model.epoch, self.position = before[2:]
                found = first_non_finite(model, [(done.step, done.optimizer, done.make) for done in steps_done])
                at = next((pending for pending in steps_done if pending.step == found.step), steps_done[-1])
                raise DivergedError(at.epoch, found.step, found.layer, found.what)
        for pending, figures in zip(steps_done, numbers, strict=True):
            self.totals.add(figures, rate_at(pending.optimizer.learning_rate, pending.step))
            if pending.last:
                model.append(self.totals.logs(model.prepared_metrics))
                self.totals = EpochTotals()
        return len(steps_done)


@dataclass
class _Step(PendingStep):
    """A step whose figures are not fetched yet. last : whether it is the last step of its epoch."""

    last: bool


def _finite(model: Any) -> bool:
    """Whether all of a model's weights and slots are finite."""
    host = model.backend.to_numpy
    leaves = [leaf for leaf in tree.leaves([model.params, model.state["slots"]]) if is_float(leaf)]
    return all(bool(np.isfinite(host(leaf)).all()) for leaf in leaves)


def advance(model: Any, x: Any, y: Any, *, steps: int, batch_size: int | None = 32, position: int = 0) -> None:
    """Continue training by `steps` updates, as `Model.fit` would take them; it may stop within an epoch.

    x, y, batch_size : as for `Model.fit`, on the host. steps : at least 1. position : the number of updates already
        done in the epoch `model.epoch`. With the same data and batch size, n updates and then m have the bits of n + m.
    Raises DataError for counts out of range; DivergedError as `Model.fit` does.
    """
    for name, value, low in (("steps", steps, 1), ("position", position, 0)):
        if not is_integer(value, low):
            raise DataError(f"{name} must be an integer of at least {low}, got {value!r}")
    Stepper(model, np.asarray(x), np.asarray(y), batch_size, position).run(steps)
