"""Calls arraynn's callbacks, which get a Model, and scikit-learn's own callbacks, at the same points of a fit."""

from __future__ import annotations

import math
from typing import Any

from .. import tree
from .._array import namespace
from ..training.checkpoint import Checkpoint
from ..training.dispatch import Dispatcher
from ._interop import make_model
from ._network import to_attributes


class Hooks:
    """The callbacks of one fit. run : the `Stochastic` loop that calls them."""

    def __init__(self, est: Any, run: Any) -> None:
        self.est, self.run = est, run
        self.dispatcher = Dispatcher(est.callbacks)
        self.root: Any = None
        self.model: Any = None
        self.stopped = False  #: whether a callback of either kind has asked to stop

    def begin(self) -> None:
        est, run = self.est, self.run
        if hasattr(est, "_init_callback_context"):
            self.root = est._init_callback_context(max_subtasks=1 if run.incremental else est.max_iter)
            self.root.call_on_fit_task_begin(estimator=est, **self.shown())
        if self.dispatcher.callbacks:
            self.model = make_model(est, run.optimizer, run.engine, run.task.dtype, run.batch_size)
            self.model.hold(run.params, run.state)
            self.model.epoch, self.model.history = len(est.loss_curve_), self.previous_history()
            self.dispatcher.check(self.logs(), self.model)
            self.dispatcher.begin(self.model)

    def begin_epoch(self) -> None:
        if self.root is not None:
            self.task = self.root.subcontext(task_name="epoch")
            self.task.call_on_fit_task_begin(estimator=self.est, **self.shown())

    def end_batch(self) -> bool:
        """Call the hooks after a batch. Returns whether a callback asks to stop."""
        if self.model is not None:
            self.model.hold(self.run.params, self.run.state)
            self.stopped = self.dispatcher.batch(self.model)
            self.read_model()
            self.dispatcher.save_after_step(self.save)
        return self.stopped

    def end_epoch(self) -> bool:
        """Call the hooks after an epoch. Returns whether a callback asks to stop."""
        if self.model is not None:
            logs, epoch = self.logs(), self.model.epoch
            self.model.append(logs)
            self.model.epoch += 1
            self.dispatcher.epoch(self.model, epoch, logs)
            self.read_model()
            self.dispatcher.save_after_epoch(self.save)
            self.stopped = self.dispatcher.stopped
        if self.root is not None:
            self.stopped |= bool(
                self.task.call_on_fit_task_end(
                    estimator=self.est, **self.shown(), reconstruction_attributes=self.attributes
                )
            )
        return self.stopped

    def end(self, raised: BaseException | None, whole: bool) -> None:
        """Call the hooks after the fit.

        raised : the exception that ends the fit, or None. whole : whether no step was interrupted.
        """
        try:
            if self.model is not None:
                self.dispatcher.finalize(self.model, raised, save=self.save if whole else None)
        finally:
            if self.model is not None:
                self.read_model()
            if self.root is not None:
                self.root.call_on_fit_task_end(
                    estimator=self.est, **self.shown(), reconstruction_attributes=self.attributes
                )

    def save(self, checkpoint: Checkpoint, last: bool) -> None:
        """Save a checkpoint, unless weights are not finite: the fit raises for those at its end."""
        if all(map(_finite, tree.leaves(self.run.params))):
            checkpoint.save(self.model, last)

    def previous_history(self) -> dict[str, list[float]]:
        """The history of the previous fits that this one continues."""
        kept = getattr(self.est, "_training", {}).get("history", {})
        curve = list(self.est.loss_curve_)
        return {**kept, "loss": curve} if len(kept.get("loss", ())) == len(curve) else {"loss": curve} if curve else {}

    def history(self) -> dict[str, list[float]]:
        """The history that a next fit continues."""
        return {} if self.model is None else {name: list(values) for name, values in self.model.history.items()}

    def read_model(self) -> None:
        """Take over weights and optimizer that callbacks have set in the model."""
        run, model = self.run, self.model
        run.params, run.state = model.params, model.state
        if model.optimizer is not run.optimizer:
            run.set_optimizer(model.optimizer)

    def logs(self) -> dict[str, float]:
        """An epoch's logs, with the names that `Model` uses."""
        est = self.est
        found = {"loss": getattr(est, "loss_", math.nan), "learning_rate": est.learning_rate_}
        if est.early_stopping:
            loss, score = est.validation_loss_curve_, est.validation_scores_
            name = "val_accuracy" if hasattr(est, "classes_") else "val_r2"
            found |= {"val_loss": loss[-1] if loss else math.nan, name: score[-1] if score else math.nan}
        return found

    def shown(self) -> dict[str, Any]:
        """The data as scikit-learn's callbacks take them."""
        X, y, weight = self.run.task.shown
        return {"X": X, "y": y, "metadata": None if weight is None else {"sample_weight": weight}}

    def attributes(self) -> dict[str, Any]:
        """The fitted attributes that the estimator would have if the fit ended now."""
        nest = self.run.best if self.est.early_stopping else self.run.params
        moved = tree.map(lambda leaf: self.run.task.home.asarray(leaf, copy=True), nest)
        return to_attributes(self.est.network_, moved)


def _finite(leaf: Any) -> bool:
    xp = namespace(leaf)
    return bool(xp.all(xp.isfinite(leaf)))
