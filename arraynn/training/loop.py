"""The loop that `Model.fit` runs: epochs of steps, what they report, and what is kept when they fail.

Steps report 0-d arrays, which stay on the device until they are fetched together: at the end of an epoch for
callbacks that ask for it, and else at most ten times a second. At each fetch that is finite the weights are copied,
so a run that leaves the finite numbers loses little, and can be replayed from there to see where it happened.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any

from .. import tree
from .._array import is_float, namespace
from .._types import Nest
from ..distributed import Outer, Team
from ..errors import DataError, DivergedError
from ..random import Key
from ..schedules import rate_at
from . import advice
from .batch_iterable import with_last
from .callbacks import Callback
from .checkpoint import Checkpoint, Progress, Saved
from .dispatch import Dispatcher
from .nan_trace import first_not_finite
from .signals import Interrupt, deferred_interrupts
from .step import make_unchecked_step
from .taken import Sums, Taken

FETCH_SECONDS = 0.1
FETCH_COST = 0.005  #: seconds that a fetch may take; to look at large weights and copy them takes longer, and is rarer
FETCH_STEPS = 1000  #: and at least this often, so that waiting reports take no memory to speak of


class Fit:
    """One call of `Model.fit`. model : the Model; batches : `Rows` or `Stream`; validate : () -> logs, or None.

    plan : what else was asked for; a fit that resumes this one must ask for the same.
    team : the workers that share each batch. What they decide, they decide together: after each step, and after each
        epoch, all tell all by one sum whether they want to stop, to fetch, to save, or have got a signal.
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
        self.told = Dispatcher([callback for callback in callbacks if first or not callback.first_worker_only])
        self.validate, self.every, self.plan = validate, every, plan or {}
        self.micro_batch = micro_batch
        self.begin, self.position = model.epoch, 0  # the first epoch, and the steps taken in the one at hand
        self.epochs = 0  # of this fit, those before a break included
        self.first_optimizer = model.optimizer
        self.exact = True  # the model is where the steps counted have brought it
        self.most = getattr(batches, "fetch_steps", FETCH_STEPS)
        self.waiting: list[Taken] = []
        self.finished: list[int] = []  # epochs that history does not have yet
        self.untold: list[tuple[int, dict[str, float]]] = []  # epochs that the callbacks do not know of yet
        self.sums: dict[int, Sums] = {}
        self.stepping = False
        self.outer: Outer | None = None  # of workers that take steps on their own
        self.common = False  # what is raised now is raised by every worker
        self.optimizer: Any = None
        self.key = Key(model.seed)
        self.check()

    def check(self) -> None:
        """Raise DataError for what would only be seen at the end of the first epoch."""
        added = [metric.name for metric in self.added()]
        names = ["loss", "data_loss", "penalty", *added, "learning_rate"]
        if self.validate:
            names += [f"val_{name}" for name in ["loss", *self.metric_names()]]
        self.told.check(names, self.model)
        if not tree.leaves(tree.trained(self.model.params)):
            raise DataError("the network has no parameters to train; add a layer that has, such as nn.Dense(3)")

    def run(self, epochs: int, saved: Saved | None = None) -> None:
        """Train for this many more epochs. Whatever is raised, the model's weights and history can be used.

        saved : a checkpoint to go on from; its epochs count too.
        """
        model, self.epochs = self.model, epochs
        if saved is not None:
            saved.into(model)
            self.resume(saved.progress)
        self.good, self.copied = (model.params, model.state), True  # the model works on copies of them
        with model.backend.context(), deferred_interrupts() as interrupt:
            try:
                model.hold(tree.copy(model.params), _fitting_state(model))
                self.start(saved)
                self.train(self.begin + epochs, interrupt)
            except BaseException as error:
                if self.stepping:  # the step broke off halfway, and it consumes what it works on
                    self.go_back()
                self.leave(error, interrupt.leaving)
                if self.team is not None:
                    self.team.group.part(error, everywhere=self.common or interrupt.leaving)
                raise
            self.leave(None, True)

    def start(self, saved: Saved | None) -> None:
        """Tell the callbacks of the beginning."""
        self.common = True
        with nullcontext() if self.team is None else self.team.group.together():
            self.told.begin(self.model)
            if saved is not None:
                saved.tell(self.model, self.callbacks, self.told.callbacks)
        self.common = False
        if self.team is not None and self.team.local is not None:
            self.outer = Outer(self.team, self.team.local, self.model.params, self.model.step)

    def progress(self) -> Progress:
        """Where the fit is, when nothing waits to be told."""
        sums = vars(self.sums.get(self.model.epoch, Sums()))
        return Progress(self.begin, self.position, self.told.stopped, **sums)

    def resume(self, progress: Progress) -> None:
        """Take up where a fit was."""
        self.begin, self.position, self.told.stopped = progress.begin, progress.position, progress.stopped
        sums = {name: value for name, value in vars(progress).items() if name in vars(Sums())}
        if self.position:
            self.sums[self.model.epoch] = Sums(**sums)

    def save(self, checkpoint: Checkpoint, last: bool) -> None:
        """Save, with everybody told of all that is done."""
        self.settle()
        self.report()
        if self.exact:
            checkpoint.save(self.model, last, self)

    def train(self, end: int, interrupt: Interrupt) -> None:
        model = self.model
        self.fetched, self.pause = time.monotonic(), FETCH_SECONDS
        self.reported = self.fetched
        while model.epoch < end and not self.told.stopped:
            self.epoch(model.epoch, interrupt)
            self.exchange()
            self.finished.append(model.epoch)
            model.epoch += 1
            self.position = 0
            last = model.epoch == end or self.told.stopped
            validating = self.validate is not None and (model.epoch % self.every == 0 or last)
            # by a clock of its own: the steps' fetches, within epochs, would else put the reports off for ever
            if (
                self.team is not None
                or self.told.eager
                or validating
                or last
                or time.monotonic() - self.reported > FETCH_SECONDS
            ):
                self.settle(together=True)
                self.report(validating)
                self.reported = time.monotonic()
            self.told.save_after_epoch(self.save)
            told = self.agree(interrupt, stop=self.told.stopped)
            interrupt.agreed(told["signal"])
            self.told.stopped = told["stop"]

    def epoch(self, epoch: int, interrupt: Interrupt) -> None:
        model, team = self.model, self.team
        for make, last in with_last(islice(self.batches.epoch(epoch), self.position, None), ahead=team is not None):
            if self.told.stopped:  # a fit that was resumed, and had been asked to end
                break
            if model.optimizer is not self.optimizer:  # a callback may have exchanged it
                self.optimizer, self.take_step = model.optimizer, self.make_step()
            batch, number = make() if team is None else make(team=team), model.state["step"]
            self.keep_good()
            self.stepping = True
            params, state, logs = self.take_step(model.params, model.state, batch, self.key)
            model.hold(params, state)
            if self.outer is not None and self.outer.due(model.step):
                self.exchange()
            self.waiting.append(Taken(epoch, number, self.optimizer, make, logs))
            self.stepping = False
            self.position += 1
            stop, due = self.told.batch(model), self.told.due()
            told = self.agree(interrupt, self.waiting[-1], stop=stop, ended=last, fetch=self.due(), save=due)
            if told["save"] or told["signal"]:
                self.exchange()
            if told["fetch"] or told["save"]:
                self.settle(together=True)
            for checkpoint in due:
                self.save(checkpoint, False)
            interrupt.agreed(told["signal"])
            self.told.stopped = told["stop"]
            if told["stop"] or told["ended"]:
                break

    def agree(self, interrupt: Interrupt, taken: Taken | None = None, **flags: Any) -> dict[str, Any]:
        """The flags, as any worker raises them, and under "signal" the one that any has got, 0 for none.

        taken : a step, whose sums become those of the whole batch.
        """
        signals = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM}
        flags |= {name: interrupt.requested == number for name, number in signals.items()}
        told: dict[str, Any] = flags
        if self.team is not None:
            logs, told = self.team.agree({} if taken is None else taken.logs, flags)
            if taken is not None:
                taken.logs = logs
        return told | {"signal": next((int(number) for name, number in signals.items() if told[name]), 0)}

    def exchange(self) -> None:
        """Where workers take steps on their own: exchange weights now, unless that is done."""
        if self.outer is not None:
            self.model.hold(self.outer.exchange(self.model.params, self.model.step), self.model.state)

    def make_step(self) -> Any:
        model = self.model
        options = {"clip_norm": model.clip_norm, "clip_value": model.clip_value, "metrics": self.added()}
        options |= {"micro_batch": self.micro_batch, "team": self.team}
        return make_unchecked_step(model.network, model.loss, model.optimizer, **options)

    def due(self) -> bool:
        return time.monotonic() - self.fetched > self.pause or len(self.waiting) >= self.most

    def settle(self, together: bool = False) -> None:
        """Fetch what waits; keep a copy of weights that are finite; raise DivergedError where they are not.

        together : all workers do so now, so weights that are not finite on one of them are everybody's divergence.
        """
        model, team, taken, began = self.model, self.team, self.waiting, time.monotonic()
        if not taken:
            return
        reports = [one.logs for one in taken]
        health = [_all_finite(leaf) for leaf in tree.leaves([model.params, model.state["slots"]]) if is_float(leaf)]
        fetched = iter(model.backend.fetch([*tree.leaves(reports), *health]))
        logs = tree.map(lambda _: next(fetched), reports)
        finite = all(fetched) and all(math.isfinite(one["data_loss"] + one["penalty"]) for one in logs)
        if together and team is not None:
            finite = not team.agree({}, {"diverged": not finite})[1]["diverged"]
        if not finite:
            self.common = together  # of all workers, after the same step
            self.diverged()
        # They are finite, and stand for their copies until the next step, which writes to them; after the last step
        # there is none. So no two sets of copies are there at a time.
        self.good, self.copied = (model.params, model.state), False
        for one, own in zip(taken, logs, strict=True):
            rate = rate_at(one.optimizer.learning_rate, one.step)
            self.sums.setdefault(one.epoch, Sums()).add(own, rate)
        self.waiting, self.fetched = [], time.monotonic()
        self.cost = self.fetched - began
        self.pause = FETCH_SECONDS * max(1.0, self.cost / FETCH_COST)
        if self.callbacks or team is not None:  # who may write to them sooner
            self.keep_good()

    def keep_good(self) -> None:
        """Copy the last finite weights and state, if that is not done, as they are about to be written to."""
        if self.copied:
            return
        began, (params, state) = time.monotonic(), self.good
        self.good, self.copied = (tree.copy(params), _copy_state(state)), True
        self.fetched = time.monotonic()
        self.cost += self.fetched - began
        self.pause = FETCH_SECONDS * max(1.0, self.cost / FETCH_COST)

    def go_back(self) -> list[Taken]:
        """The model as it was at the last finite fetch; returns the steps that are lost by it."""
        lost, self.waiting = self.waiting, []
        self.model.hold(*self.good)
        if lost:
            self.model.epoch = lost[0].epoch
        self.finished = [epoch for epoch in self.finished if epoch < self.model.epoch]
        self.stepping = self.exact = False
        return lost

    def diverged(self) -> None:
        """Go back to the last finite weights, replay from there to the first number that is not, and say where."""
        lost = self.go_back()
        found = first_not_finite(self.model, [(one.step, one.optimizer, one.make) for one in lost])
        at = next((one for one in lost if one.step == found.step), lost[-1])
        x, targets, _ = at.make()
        remedy = advice.remedy(x, targets, values=self.model.loss.targets not in ("classes", "binary"))
        raise DivergedError(at.epoch, at.step, found.layer, found.what, remedy)

    def leave(self, raised: BaseException | None, save: bool) -> None:
        """On the way out: history gets the epochs that are complete, then every callback hears the end."""
        self.told.leave(self.model, raised, first=[self.settle, self.report], save=self.save if save else None)

    def report(self, validating: bool = False) -> None:
        """Tell history, then the callbacks, of the epochs that are complete."""
        model = self.model
        while self.finished:
            epoch = self.finished[0]
            logs = self.logs(epoch)
            if self.validate:
                fresh = validating and len(self.finished) == 1
                values = self.validate() if fresh else dict.fromkeys(["loss", *self.metric_names()], math.nan)
                logs |= {f"val_{name}": value for name, value in values.items()}
            model.append(logs)
            self.untold.append((epoch, logs))
            del self.finished[0], self.sums[epoch]
        failed: Exception | None = None
        while self.untold:
            try:
                self.told.epoch(model, *self.untold.pop(0))
            except Exception as error:  # of the later epochs they are told all the same
                failed = failed or error
        if failed is not None:
            raise failed

    def logs(self, epoch: int) -> dict[str, float]:
        sums = self.sums[epoch]
        total = sums.total or 1.0
        data_loss, penalty = (sums.losses[name] / total for name in ("data_loss", "penalty"))
        logs = {"loss": data_loss + penalty, "data_loss": data_loss, "penalty": penalty}
        for metric in self.added():
            logs[metric.name] = metric.value(sums.metrics[metric.name])
        return logs | {"learning_rate": sums.learning_rate}

    def added(self) -> tuple[Any, ...]:
        """The metrics that a step reports: those whose sums over batches add up."""
        return tuple(metric for metric in self.model.prepared_metrics if not metric.whole_set)

    def metric_names(self) -> list[str]:
        return [metric.name for metric in self.model.prepared_metrics]


def _all_finite(leaf: Any) -> Any:
    xp = namespace(leaf)
    return xp.astype(xp.all(xp.isfinite(leaf)), leaf.dtype)


def _copy_state(state: Nest) -> Nest:
    return {**state, "slots": tree.copy(state["slots"])}


def _fitting_state(model: Any) -> Nest:
    """A copy of the optimizer's state; a new one, with the step that it was, where the optimizer is of another kind."""
    fresh = model.optimizer.init(model.params)["slots"]
    if set(tree.paths(fresh)) == set(tree.paths(model.state["slots"])):  # JAX's jit sorts the keys of a dict
        return _copy_state(model.state)
    return {**model.state, "slots": fresh}
