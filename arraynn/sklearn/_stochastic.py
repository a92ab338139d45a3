"""The training loop of the stochastic solvers, with scikit-learn's order of batches, loss curves and stopping rules."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches

from .. import tree
from ..layers import Activation, Dense
from ..optimizers import Optimizer
from ..random import Key
from ..regularizers import L1L2
from ..schedules import Scaled, rate_at
from ..training.signals import deferred_interrupts
from ..training.step import Batch, make_unchecked_step
from ..training.validation import enough_rows
from ._arrays import take
from ._conventions import EpsilonHatAdam, HeavySGD
from ._hooks import Hooks
from ._objective import PerSample, WithWeights

SMALLEST_RATE = 1e-6  #: at this learning rate, scikit-learn's adaptive schedule stops


def make_optimizer(est: Any) -> Optimizer:
    """The optimizer that the hyperparameters describe, with its initial learning rate."""
    schedule = est.learning_rate if callable(est.learning_rate) else None
    if isinstance(est.solver, Optimizer):
        return est.solver if schedule is None else replace(est.solver, learning_rate=schedule)
    rate = float(est.learning_rate_init) if schedule is None else schedule
    if est.solver == "adam":
        return EpsilonHatAdam(rate, beta1=float(est.beta_1), beta2=float(est.beta_2), epsilon=float(est.epsilon))
    return HeavySGD(rate, momentum=float(est.momentum), nesterov=bool(est.nesterovs_momentum))


class Stochastic:
    """One call of fit or partial_fit with a stochastic solver. est : the estimator. task : its training data."""

    def __init__(self, est: Any, task: Any, incremental: bool) -> None:
        self.est, self.engine, self.incremental = est, task.engine, incremental
        if est.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        self.network, self.loss = WithWeights(est.network_), PerSample(est._loss, penalty_of(est))
        self.base = make_optimizer(est)
        self.adapts = isinstance(est.learning_rate, str) and est.solver != "adam"
        self.validation: Any
        self.task, self.validation = self.split(task) if est.early_stopping else (task, None)
        self.hooks = Hooks(est, self)
        self.start()

    def start(self) -> None:
        """Set up curves, parameters and optimizer state: new ones, or those of the previous fit."""
        est, task = self.est, self.task
        if not hasattr(est, "loss_curve_"):
            est.loss_curve_, est._training = [], {}
            stopping = est.early_stopping
            est.best_loss_ = None if stopping else math.inf
            est.validation_scores_, est.validation_loss_curve_ = ([], []) if stopping else (None, None)
            est.best_validation_score_ = -math.inf if stopping else None
        self.params = est._params(self.engine, task.dtype, copied=True)
        kept = getattr(est, "_training", {})
        self.waited = kept.get("waited", 0)
        self.best = kept.get("best")
        if self.best is None:
            self.best = tree.copy(self.params)
        self.state, self.factor = self.base.init(self.params), 1.0
        if self.incremental and "slots" in kept and tree.paths(kept["slots"]) == tree.paths(self.state["slots"]):
            slots = tree.map(lambda leaf: self.engine.asarray(leaf, task.dtype, copy=True), kept["slots"])
            self.state, self.factor = {"step": kept["step"], "slots": slots}, kept["factor"]
        self.key = Key(int(est._random_state.randint(2**31 - 1)) if _may_draw(est.network_) else 0)
        self.optimizer = self.base
        self.set_rate(self.factor)
        self.order = np.arange(task.count)
        self.batch_size = self.effective_batch_size()
        enough_rows(est.network_, self.batch_size)
        self.parts = list(gen_batches(task.count, self.batch_size))

    def effective_batch_size(self) -> int:
        size, rows = self.est.batch_size, int(self.task.count)
        if isinstance(size, str):
            return min(200, rows)
        if size > rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return int(min(max(size, 1), rows))

    def split(self, task: Any) -> tuple[Any, Any]:
        """(training rows, held-out rows) by scikit-learn's split, applied to row numbers."""
        est = self.est
        stratify = task.codes if task.codes is not None and task.codes.shape[1] == 1 else None
        train, held = train_test_split(
            np.arange(task.count), random_state=est._random_state, test_size=est.validation_fraction, stratify=stratify
        )
        if held.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )

        def part(rows: np.ndarray) -> Any:
            chosen = self.engine.asarray(rows, self.engine.index_dtype)
            weight = None if task.weight is None else take(task.weight, rows, chosen)
            x, targets = take(task.x, rows, chosen), take(task.targets, rows, chosen)
            return replace(task, x=x, targets=targets, weight=weight, y=task.y[rows])

        return part(train), part(held)

    # Training.

    def run(self) -> None:
        est = self.est
        try:
            with self.engine.context(), deferred_interrupts() as interrupt:
                try:
                    self.epochs(interrupt.check)
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        interrupt.requested = 0  # handled here
                    self.finish(error, interrupt.leaving)
                    raise
                self.finish(None, True)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        if est.early_stopping:
            est._hold(self.best, self.task.home)

    def epochs(self, check: Callable[[], None]) -> None:
        est = self.est
        est.n_iter_ = 0
        self.hooks.begin()
        for _ in range(1 if self.incremental else est.max_iter):
            self.hooks.begin_epoch()
            self.epoch(check)
            stop = self.finish_epoch()
            if self.hooks.end_epoch() or stop:
                break
            if est.n_iter_ == est.max_iter and not self.incremental:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({est.max_iter}) reached and the optimization hasn't "
                    f"converged yet.",
                    ConvergenceWarning,
                    stacklevel=2,
                )

    def epoch(self, check: Callable[[], None]) -> None:
        """Train for one pass over the rows, which a callback may stop.

        loss_ is the mean of the batches' losses, each computed before its step.
        """
        est = self.est
        order = None
        if est.shuffle:
            # permutes the previous order with scikit-learn's own draws: the same stream gives the same batches
            permutation = np.arange(self.task.count)
            est._random_state.shuffle(permutation)
            self.order = self.order[permutation]
            order = self.engine.asarray(self.order, self.engine.index_dtype)
        losses, batches_done = [], self.parts
        for count, part in enumerate(self.parts, 1):
            self.params, self.state, logs = self.step(self.params, self.state, self.batch(part, order), self.key)
            losses += [logs["data_loss"], logs["penalty"]]
            stop = self.hooks.end_batch()
            check()
            if stop:
                batches_done = self.parts[:count]
                break
        sums = np.reshape(self.engine.fetch(losses), (-1, 2)).sum(axis=1)
        sizes = [part.stop - part.start for part in batches_done]
        rows = sum(sizes)
        est.loss_ = float(sum(value * size for value, size in zip(sums, sizes, strict=True)) / rows)
        est.n_iter_ += 1
        est.t_ += rows
        est.loss_curve_.append(est.loss_)

    def batch(self, part: slice, order: Any = None) -> Batch:
        task = self.task
        if order is None:
            weight = None if task.weight is None else take(task.weight, part)
            return take(task.x, part), take(task.targets, part), weight
        rows, chosen = self.order[part], order[part]
        weight = None if task.weight is None else take(task.weight, rows, chosen)
        return take(task.x, rows, chosen), take(task.targets, rows, chosen), weight

    def finish_epoch(self) -> bool:
        """Update curves, scores and learning rate at an epoch's end. Returns whether to stop."""
        est = self.est
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        if est.early_stopping:
            self.validate()
        else:
            self.waited = self.waited + 1 if est.loss_ > est.best_loss_ - est.tol else 0
            est.best_loss_ = min(est.best_loss_, est.loss_)
        if self.adapts and est.learning_rate == "invscaling":
            self.set_rate(1 / float(est.t_ + 1) ** est.power_t)
        if self.waited <= est.n_iter_no_change:
            return False
        what = "Validation score" if est.early_stopping else "Training loss"
        message = f"{what} did not improve more than tol={est.tol:f} for {est.n_iter_no_change:d} consecutive epochs."
        if not self.adapts or est.learning_rate != "adaptive":
            self.print_if_verbose(f"{message} Stopping.")
            return True
        if est.learning_rate_ <= SMALLEST_RATE:
            self.print_if_verbose(f"{message} Learning rate too small. Stopping.")
            return True
        self.set_rate(self.factor / 5)
        self.print_if_verbose(f"{message} Setting learning rate to {est.learning_rate_:f}")
        self.waited = 0
        return False

    def print_if_verbose(self, text: str) -> None:
        if self.est.verbose:
            print(text)

    def validate(self) -> None:
        est, held = self.est, self.validation
        outputs = est._forward(held.x, self.params, self.engine)
        finite = bool(np.all(np.isfinite(self.engine.to_numpy(outputs))))
        score = float(est._score(held, est._predicted(outputs, self.engine))) if finite else math.nan
        value, _ = est._loss(outputs, held.targets, sample_weight=held.weight)
        est.validation_scores_.append(score)
        est.validation_loss_curve_ += self.engine.fetch([value])
        self.print_if_verbose(f"Validation score: {score:f}")
        self.waited = self.waited + 1 if score < est.best_validation_score_ + est.tol else 0
        if score > est.best_validation_score_:
            est.best_validation_score_ = score
            self.best = tree.copy(self.params)

    def set_rate(self, factor: float) -> None:
        """Set the learning rate to the initial one times factor."""
        rate = self.base.learning_rate
        scaled = rate if factor == 1 else Scaled(rate, factor) if callable(rate) else rate * factor
        self.factor = factor
        self.set_optimizer(replace(self.base, learning_rate=scaled))

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.est.learning_rate_ = float(rate_at(optimizer.learning_rate, self.state["step"]))
        clip = None if self.est.clip_norm is None else float(self.est.clip_norm)
        self.step = make_unchecked_step(self.network, self.loss, optimizer, clip_norm=clip)

    def finish(self, raised: BaseException | None, whole: bool) -> None:
        """Give the estimator its parameters and the state that a next call continues from.

        Called at the end of every fit. raised : the exception that ends the fit, or None. whole : whether no step was
        interrupted.
        """
        home = self.task.home
        try:
            self.hooks.end(raised, whole)
        finally:
            self.est._hold(tree.copy(self.params), home)
            slots = tree.map(home.asarray, self.state["slots"])
            kept = {"step": self.state["step"], "slots": slots, "factor": self.factor, "waited": self.waited}
            kept |= {"history": self.hooks.history(), "best": self.best if self.est.early_stopping else None}
            self.est._training = kept


def penalty_of(est: Any) -> L1L2:
    """The penalty on a weight array before it is divided by the rows: α/2 Σ w² + l1 Σ |w|."""
    return L1L2(l1=float(est.l1), l2=float(est.alpha) / 2)


def _may_draw(network: Any) -> bool:
    """Whether a layer may draw random numbers in training: true for all but activations and dense layers."""
    return any(not isinstance(layer, (Activation, Dense)) for layer in network.layers)
