"""The training loop of `Model.fit`: epochs of steps, their logs, and recovery when a step fails.

Steps report 0-d arrays. They stay on the device and are fetched together: at the end of an epoch for callbacks that ask
for it, else at most ten times a second. Each fetch checks that loss and weights are finite and copies the weights. A
run that diverges returns to that copy, and is replayed from it to find the first value that is not finite.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any

from .. import tree
from .._types import Nest
from ..distributed import Outer, Team
from ..errors import DataError, DivergedError
from ..random import Key
from ..schedules import rate_at
from . import advice
from .batch_iterable import with_last
from .callbacks import Callback
from .checkpoint import Checkpoint, LoadedCheckpoint, Progress
from .decisions import Decisions
from .dispatch import Dispatcher
from .nan_trace import first_non_finite
from .pending import EpochTotals, PendingStep, made
from .signals import Interrupt, deferred_interrupts
from .step import make_unchecked_step

FETCH_SECONDS = 0.1  #: between two fetches, at least
#: seconds a fetch may take before the next is put off: checking and copying large weights takes longer
FETCH_COST = 0.005
#: numbers a second that are believed to be checked and copied, and the longest pause that this makes, before the first
#: fetch is measured
COPY_RATE, FIRST_PAUSE = 5e8, 3.0
FETCH_STEPS = 1000  #: most steps between fetches, which bounds the memory of pending logs


class Trainer:
    """One call of `Model.fit`.

    model : the Model. batches : `ArrayDataset` or `BatchIterable`. validate : () -> logs, or None.
    plan : the other options; a fit that resumes this one must have the same.
    team : the workers that share each batch. They decide together, see `Decisions`.
    """

    def __init__(
        self,
        model: Any,
        batches: Any,
        callbacks: Sequence[Callback],
        validate: Any,
        every: int,
        plan: dict[str, Any] | None = None,
        micro_batch: int | None = None,
        team: Team | None = None,
    ) -> None:
        self.model, self.batches, self.team = model, batches, team
        self.callbacks = list(callbacks)
        first = team is None or team.group.rank == 0
        self.dispatcher = Dispatcher([callback for callback in callbacks if first or not callback.first_worker_only])
        self.validate, self.every, self.plan = validate, every, plan or {}
        self.micro_batch = micro_batch
        self.begin, self.position = model.epoch, 0  # the first epoch; steps taken in the current one
        self.epochs = 0  # of this fit, those before a resume included
        self.first_optimizer = model.optimizer
        self.exact = True  # the weights are those after the counted steps
        self.most = getattr(batches, "fetch_steps", None) or FETCH_STEPS
        self.pending: list[PendingStep] = []
        self.finished: list[int] = []  # complete epochs that are not in the history yet
        self.unreported: list[
            tuple[int, dict[str, float]]
        ] = []  # epochs in the history that callbacks have not heard of
        self.totals: dict[int, EpochTotals] = {}
        self.stepping = False
        self.outer: Outer | None = None  # for workers that take several steps between exchanges
        self.decisions = Decisions(team, batches)
        self.unsaved: list[Checkpoint] = []  # checkpoints that are due, until all workers save
        self.common = False  # an error raised now is raised by every worker
        self.optimizer: Any = None
        self.key = Key(model.seed)
        self.check()

    def check(self) -> None:
        """Raise DataError now for mistakes that would else show at the end of the first epoch."""
        added = [metric.name for metric in self.added()]
        names = ["loss", "data_loss", "penalty", *added, "learning_rate"]
        if self.validate:
            names += [f"val_{name}" for name in ["loss", *self.metric_names()]]
        self.dispatcher.check(names, self.model)
        if not tree.leaves(tree.trained(self.model.params)):
            raise DataError("the network has no parameters to train; add a layer that has, such as nn.Dense(3)")

    def run(self, epochs: int, saved: LoadedCheckpoint | None = None) -> None:
        """Train for this many more epochs. After any error the model's weights and history are usable.

        saved : the checkpoint to resume from; its epochs count too.
        """
        model, self.epochs = self.model, epochs
        if saved is not None:
            saved.into(model)
            self.resume(saved.progress)
        self.decisions.begin(model.params)
        self.good, self.copied = (model.params, model.state), True  # the model works on copies of them
        with model.backend.context(), deferred_interrupts() as interrupt:
            try:
                model.hold(tree.copy(model.params), _fitting_state(model))
                self.start(saved)
                self.train(self.begin + epochs, interrupt)
            except BaseException as error:
                if self.stepping:  # a step consumes its arrays, so one that failed halfway leaves none
                    self.go_back()
                self.finalize(error, interrupt.leaving)
                if self.team is not None:
                    self.team.group.part(error, everywhere=self.common or interrupt.leaving)
                raise
            self.finalize(None, True)

    def start(self, saved: LoadedCheckpoint | None) -> None:
        """Call `on_fit_begin` of the callbacks, and restore their state."""
        self.common = True
        with nullcontext() if self.team is None else self.team.group.together():
            self.dispatcher.begin(self.model)
            if saved is not None:
                saved.restore_callbacks(self.model, self.callbacks, self.dispatcher.callbacks)
        self.common = False
        if self.team is not None and self.team.local is not None:
            self.outer = Outer(self.team, self.team.local, self.model.params, self.model.step)

    def progress(self) -> Progress:
        """The position of the fit, when nothing is pending."""
        sums = vars(self.totals.get(self.model.epoch, EpochTotals()))
        return Progress(self.begin, self.position, self.dispatcher.stopped, **sums)

    def resume(self, progress: Progress) -> None:
        """Set position and totals to those of a saved fit."""
        self.begin, self.position, self.dispatcher.stopped = progress.begin, progress.position, progress.stopped
        sums = {name: value for name, value in vars(progress).items() if name in vars(EpochTotals())}
        if self.position:
            self.totals[self.model.epoch] = EpochTotals(**sums)

    def save(self, checkpoint: Checkpoint, last: bool) -> None:
        """Write a checkpoint, after all pending steps are in the history and the callbacks have heard of them."""
        self.sync()
        self.report()
        if self.exact:
            checkpoint.save(self.model, last, self)

    def train(self, end: int, interrupt: Interrupt) -> None:
        model = self.model
        held = sum(math.prod(leaf.shape) for leaf in tree.leaves([model.params, model.state["slots"]]))
        believed = min(FETCH_SECONDS * held / COPY_RATE / FETCH_COST, FIRST_PAUSE)
        self.fetched, self.pause = time.monotonic(), max(believed, FETCH_SECONDS)
        self.reported = self.fetched
        while model.epoch < end and not self.dispatcher.stopped:
            self.epoch(model.epoch, interrupt)
            self.exchange()
            self.finished.append(model.epoch)
            model.epoch += 1
            self.position = 0
            last = model.epoch == end or self.dispatcher.stopped
            validating = self.validate is not None and (model.epoch % self.every == 0 or last)
            # by a clock of its own: fetches within epochs would else put reports off for ever
            if (
                self.team is not None
                or self.dispatcher.eager
                or validating
                or last
                or time.monotonic() - self.reported > self.pause
            ):
                self.fetch()
                self.report(validating)
                self.reported = time.monotonic()
            self.dispatcher.save_after_epoch(self.save)
            agreed = self.decisions.agree(interrupt, {"stop": self.dispatcher.stopped}, self.fetch)
            interrupt.agreed(agreed["signal"])
            self.dispatcher.stopped = agreed["stop"]

    def epoch(self, epoch: int, interrupt: Interrupt) -> None:
        model, team = self.model, self.team
        for make, last in with_last(islice(self.batches.epoch(epoch), self.position, None), ahead=team is not None):
            if self.dispatcher.stopped:  # a resumed fit that a callback had stopped
                break
            if model.optimizer is not self.optimizer:  # a callback may have replaced it
                self.optimizer, self.take_step = model.optimizer, self.make_step()
            batch, number = make() if team is None else make(team=team), model.state["step"]
            self.keep_good()
            self.stepping = True
            params, state, logs = self.take_step(model.params, model.state, batch, self.key)
            model.hold(params, state)
            self.pending.append(PendingStep(epoch, number, self.optimizer, make, logs))
            if self.outer is not None and self.outer.due(model.step):
                self.exchange()
            self.stepping = False
            self.position += 1
            stop = self.dispatcher.batch(model)
            self.unsaved += [checkpoint for checkpoint in self.dispatcher.due() if checkpoint not in self.unsaved]
            flags = {"stop": stop, "ended": last, "fetch": self.due(last), "save": bool(self.unsaved)}
            agreed = self.decisions.agree(interrupt, flags, self.fetch, self.pending[-1], model.params)
            if agreed["save"] or agreed["signal"]:
                self.exchange()
            if agreed["fetch"] or agreed["save"]:
                self.fetch()
            if agreed["save"]:
                due, self.unsaved = self.unsaved, []
                for checkpoint in due:
                    self.save(checkpoint, False)
            interrupt.agreed(agreed["signal"])
            self.dispatcher.stopped = agreed["stop"]
            if agreed["stop"] or agreed["ended"]:
                break

    def exchange(self) -> None:
        """With LocalSGD, exchange weights now, unless that is done."""
        if self.outer is None:
            return
        before, state = self.model.params, self.model.state
        params = self.outer.exchange(before, self.model.step)
        self.model.hold(params, state)
        if params is not before and not self.pending:  # the last fetch was of what each worker had before
            self.good, self.copied = (params, state), False
            self.keep_good()

    def make_step(self) -> Any:
        model = self.model
        options = {"clip_norm": model.clip_norm, "clip_value": model.clip_value, "metrics": self.added()}
        options |= {"micro_batch": self.micro_batch, "team": self.team}
        return make_unchecked_step(model.network, model.loss, model.optimizer, **options)

    def due(self, last: bool) -> bool:
        """Whether to fetch after this step. last : it is the last one of its epoch, as far as this worker knows."""
        if self.decisions.on_device:
            return self.decisions.fetch_due(self.position, last)
        return time.monotonic() - self.fetched > self.pause or len(self.pending) >= self.most

    def fetch(self) -> None:
        """`sync`, which all workers do now, so weights that are not finite on one of them diverge on all."""
        self.sync(together=True)

    def sync(self, together: bool = False) -> None:
        """Fetch the pending logs. Copy the weights if they are finite, else raise DivergedError.

        together : all workers do so now.
        """
        model, taken, began = self.model, self.pending, time.monotonic()
        if not taken:
            return
        arrays = [model.params, model.state["slots"]]
        logs, finite = self.decisions.fetched(taken, arrays, model.backend, together)
        if not finite:
            self.common = together  # all workers raise it, after the same step
            self.diverged()
        # copied before the next step writes to them, not after the last: there is one set of copies at a time
        self.good, self.copied = (model.params, model.state), False
        for one, own in zip(taken, logs, strict=True):
            rate = rate_at(one.optimizer.learning_rate, one.step)
            self.totals.setdefault(one.epoch, EpochTotals()).add(own, rate)
        self.pending, self.fetched = [], time.monotonic()
        self.cost = self.fetched - began
        if self.callbacks or self.team is not None:  # these may write to them sooner
            self.keep_good()

    def keep_good(self) -> None:
        """Copy the last finite weights and state, unless that is done; called before something writes to them."""
        if self.copied:
            return
        began, (params, state) = time.monotonic(), self.good
        self.good, self.copied = (tree.copy(params), _copy_state(state)), True
        self.fetched = time.monotonic()
        self.cost += self.fetched - began
        self.pause = FETCH_SECONDS * max(1.0, self.cost / FETCH_COST)

    def go_back(self) -> list[PendingStep]:
        """Restore the weights of the last finite fetch; returns the steps lost by that."""
        lost, self.pending = self.pending, []
        self.model.hold(*self.good)
        if lost:
            self.model.epoch = lost[0].epoch
        self.finished = [epoch for epoch in self.finished if epoch < self.model.epoch]
        self.stepping = self.exact = False
        return lost

    def diverged(self) -> None:
        """Restore the last finite weights, replay the steps since then, and raise DivergedError with step and layer."""
        lost = self.go_back()
        if getattr(self.batches, "sharded", False):  # a batch comes from all workers
            if not self.common:
                raise DivergedError(lost[-1].epoch, lost[-1].step, "loss", "the loss")
            lost = [made(one) for one in lost]
        found = first_non_finite(self.model, [(one.step, one.optimizer, one.make) for one in lost])
        at = next((one for one in lost if one.step == found.step), lost[-1])
        x, targets, _ = at.make()
        remedy = advice.remedy(x, targets, values=self.model.loss.targets not in ("classes", "binary"))
        raise DivergedError(at.epoch, at.step, found.layer, found.what, remedy)

    def finalize(self, raised: BaseException | None, save: bool) -> None:
        """End the fit: complete epochs enter the history, then every callback hears `on_fit_end`."""
        self.dispatcher.finalize(self.model, raised, first=[self.sync, self.report], save=self.save if save else None)

    def report(self, validating: bool = False) -> None:
        """Append complete epochs to the history, then call `on_epoch_end` of the callbacks."""
        model = self.model
        while self.finished:
            epoch = self.finished[0]
            logs = self.totals[epoch].logs(self.added())
            if self.validate:
                fresh = validating and len(self.finished) == 1
                values = self.validate() if fresh else dict.fromkeys(["loss", *self.metric_names()], math.nan)
                logs |= {f"val_{name}": value for name, value in values.items()}
            model.append(logs)
            self.unreported.append((epoch, logs))
            del self.finished[0], self.totals[epoch]
        failed: Exception | None = None
        while self.unreported:
            try:
                self.dispatcher.epoch(model, *self.unreported.pop(0))
            except Exception as error:  # callbacks hear of the later epochs all the same
                failed = failed or error
        if failed is not None:
            raise failed

    def added(self) -> tuple[Any, ...]:
        """The metrics that a step reports: those that are sums over rows."""
        return tuple(metric for metric in self.model.prepared_metrics if not metric.whole_set)

    def metric_names(self) -> list[str]:
        return [metric.name for metric in self.model.prepared_metrics]


def _copy_state(state: Nest) -> Nest:
    return {**state, "slots": tree.copy(state["slots"])}


def _fitting_state(model: Any) -> Nest:
    """A copy of the optimizer's state; where the optimizer is of another kind, its initial slots at the same step."""
    fresh = model.optimizer.init(model.params)["slots"]
    if set(tree.paths(fresh)) == set(tree.paths(model.state["slots"])):  # JAX's jit sorts the keys of a dict
        return _copy_state(model.state)
    return {**model.state, "slots": fresh}
