"""Checkpoints: all that a running fit needs to go on from where it was, in one file, bit for bit.

A checkpoint is a saved model (`arraynn.io.model_file`), so `Model.load` takes it too, with one more entry in its
description, "run": the epoch and the position in it, the totals of that epoch, and the callbacks' state; arrays of that
state, such as EarlyStopping's best weights, are tensors under "callbacks".
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from .. import tree
from .._hyperparameters import python_number
from .._ranges import meant
from .._types import Nest
from ..distributed import Team
from ..errors import BackendUnavailable, CheckpointError
from ..io import model_file
from ..io.registry import decode, encode
from ..schedules import stretched
from .callbacks import Callback

log = logging.getLogger("arraynn")

#: what a resumed fit may have otherwise than the saved one, where it says so
CHANGEABLE = "learning_rate", "epochs", "validation_freq"


@dataclass
class Progress:
    """How far a fit is. begin : the epoch that it began with. position : steps taken in the epoch at hand.

    stopped : whether a callback has asked for the end. total, losses, metrics, learning_rate : the sums of that epoch.
    """

    begin: int
    position: int = 0
    stopped: bool = False
    total: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    learning_rate: float = math.nan


class Checkpoint(Callback):
    """Save all that is needed to go on, to `path`, again and again; `Model.fit(…, resume=path)` goes on from there.

    path : one file, replaced as a whole: whatever happens, it is the last checkpoint or the one before.
    every : "epoch", at each epoch's end; an integer, after that many steps; or a timedelta, after the step in which so
        much time has passed. Also when the fit ends, by itself, by Ctrl-C or SIGTERM; not when it fails.

    A run that was killed and is resumed equals one that was not: on NumPy and the same machine bit for bit, in
    weights, optimizer state, history, shuffles and masks. What a callback of your own notes is kept if its `kept`
    names it; what an iterable of batches draws by itself is its own affair.
    In an estimator of `arraynn.sklearn` the file is a saved model, without the place in the run: `Model.load` takes
    it, and the estimator's `from_model` makes an estimator of it again.
    Raises CheckpointError for a layer, loss or optimizer without a registered name before the first step, and at the
    end where the file cannot be written. Until then that is a warning, and the next one may do better.
    """

    first_worker_only = True

    def __init__(self, path: str | Path, every: str | int | timedelta = "epoch") -> None:
        every = python_number(every)
        steps = isinstance(every, int) and not isinstance(every, bool) and every >= 1
        if not (steps or every == "epoch" or (isinstance(every, timedelta) and every > timedelta(0))):
            raise ValueError(
                f"every must be 'epoch', a number of steps, at least 1, or a timedelta, got {every!r}{meant(every, 1)}"
            )
        self.path, self.every = Path(path), every
        self.every_epoch = every == "epoch"

    def on_fit_begin(self, model: Any) -> None:
        self.steps, self.saved = 0, time.monotonic()
        model_file.described(model)  # raises for what has no registered name, before anything is trained
        if not self.path.parent.is_dir():
            raise CheckpointError(f"{self.path} cannot be written: there is no folder {self.path.parent}")

    def due(self) -> bool:
        """Whether to save now; asked after each step."""
        self.steps += 1
        if isinstance(self.every, timedelta):
            return time.monotonic() - self.saved >= self.every.total_seconds()
        return isinstance(self.every, int) and self.steps % self.every == 0

    def save(self, model: Any, last: bool, run: Any = None) -> None:
        """Save the model, and the run where there is one.

        last : the fit is ending. run : the `loop.Trainer`, with nothing pending; None saves the model alone."""
        header, parts = model_file.described(model)
        if run is not None:
            self.describe(run, header, parts)
        self.saved = time.monotonic()
        try:
            model_file.write(self.path, header, parts)
        except CheckpointError as error:
            if last:
                raise
            log.warning("%s; training goes on", error)

    @staticmethod
    def describe(run: Any, header: dict[str, Any], parts: dict[str, Nest]) -> None:
        """Add the position of the run, its options, and the state of its callbacks."""
        notes = [(callback, callback.notes()) for callback in run.dispatcher.callbacks if callback.kept]
        arrays = [{name: value for name, value in noted.items() if _is_nest(value)} for _, noted in notes]
        header["run"] = {
            "progress": {name: _encoded(value) for name, value in vars(run.progress()).items()},
            "plan": _encoded(run.plan),
            "epochs": run.epochs,
            "optimizer": encode(run.first_optimizer),
            "callbacks": [
                [type(callback).__name__, {name: encode(v) for name, v in noted.items() if not _is_nest(v)}]
                for callback, noted in notes
            ],
        }
        parts["callbacks"] = tree.map(run.model.backend.to_numpy, arrays)


class LoadedCheckpoint:
    """A checkpoint read from a file; `check` compares it with the model and the fit that resume from it."""

    def __init__(self, path: str | Path, header: dict[str, Any], parts: dict[str, Nest]) -> None:
        self.path, self.header, self.parts = path, header, parts
        self.progress: Progress
        self.notes: list[tuple[str, dict[str, Any]]]
        self.changed: dict[str, tuple[Any, Any]] = {}  #: what may differ, and does: what was saved, and what is asked
        self.optimizer: Any = None  #: the saved one with its schedules drawn out to another end, where they are

    def check(
        self, model: Any, plan: Mapping[str, Any], callbacks: list[Callback], change: Collection[str] = ()
    ) -> None:
        """Raise CheckpointError where the fit is not the one that was saved. change : what may differ."""
        header, run = self.header, self.header.get("run")
        if run is None:
            raise CheckpointError("it is a saved model, not a checkpoint; Model.load takes it, and fit then goes on")
        described = {
            "network": encode(model.network),
            "loss": encode(model.loss),
            **_rule(encode(model.optimizer)),
            "clipping": [encode(model.clip_norm), encode(model.clip_value)],
            "seed": model.seed,
            "input shape": encode(model.input_shape),
            "metrics": [metric.name for metric in model.metrics],
            "callbacks that keep notes": [type(callback).__name__ for callback in callbacks if callback.kept],
            **_encoded(plan),
        }
        found = {
            **{name: header[name] for name in ("network", "loss", "seed")},
            **_rule(run["optimizer"]),
            "clipping": header["clip"],
            "input shape": header["input_shape"],
            "metrics": [metric.name for metric in decode(header["metrics"])],
            "callbacks that keep notes": [name for name, _ in run["callbacks"]],
            **run["plan"],
        }
        for name, own in described.items():
            if found.get(name) == own:
                continue
            if name in change:
                self.changed[name] = found.get(name), own
                continue
            there, here = (str(value)[:200] for value in (found.get(name), own))
            remedy = f"; change=({name!r},) goes on with the other" if name in CHANGEABLE else ""
            raise CheckpointError(f"it was begun with another {name}: {there}, not {here}{remedy}")
        self.progress = _progress(run["progress"], epoch=header["epoch"])
        if header["epoch"] - self.progress.begin > max(map(len, self.parts["history"].values()), default=0):
            raise CheckpointError("its history lacks epochs that are done")
        if self.progress.position:  # an epoch that is begun has sums, which its steps go on with
            if self.progress.losses.keys() != {"data_loss", "penalty"}:
                raise CheckpointError("it lacks the sums of the epoch that it is in")
            for metric in decode(header["metrics"]):
                if not metric.whole_set:
                    metric.value(self.progress.metrics[metric.name])
        arrays = self.parts.get("callbacks", [])
        self.notes = [
            (name, {**{key: decode(value) for key, value in noted.items()}, **nests})
            for (name, noted), nests in zip(run["callbacks"], arrays, strict=True)
        ]

    def go_on(self, epochs: int) -> None:
        """Note another number of epochs. A schedule that was to end with the saved fit ends with the longer one."""
        before, plan = self.header["run"].get("epochs"), self.header["run"]["plan"]
        if type(before) is not int or before == epochs:
            return
        self.changed["epochs"] = before, epochs
        rows, size = plan.get("rows"), plan.get("batch_size")
        if "learning_rate" in self.changed or type(rows) is not int:
            return
        steps = 1 if size is None else math.ceil(rows / size)  # of an epoch
        done = (self.header["epoch"] - self.progress.begin) * steps + self.progress.position
        start = self.header["step"] - done
        saved = decode(self.header["optimizer"])
        longer = stretched(saved, start + before * steps, start + epochs * steps)
        if longer is not saved:
            self.optimizer = longer
            self.changed["optimizer"] = encode(saved), encode(longer)

    def into(self, model: Any) -> None:
        """Restore the model's weights, optimizer, counts and history."""
        before = model.optimizer
        try:
            if "learning_rate" not in self.changed:  # else that of the model, as it was given
                model.optimizer = decode(self.header["optimizer"]) if self.optimizer is None else self.optimizer
            model_file.restore(model, self.header, self.parts)
        except Exception as error:
            model.optimizer = before
            raise CheckpointError(f"{self.path} does not hold together: {type(error).__name__}: {error}") from None

    def restore_callbacks(self, model: Any, callbacks: list[Callback], restored: list[Callback]) -> None:
        """Restore the callbacks' state, its arrays on the model's backend. restored : those of them that are
        in the fit.."""
        notes = iter(self.notes)
        for callback in callbacks:
            noted = next(notes)[1] if callback.kept else {}
            if callback not in restored:
                continue
            here = {
                name: tree.map(lambda leaf: model.backend.asarray(leaf, model.dtype, copy=True), value)
                if _is_nest(value)
                else value
                for name, value in noted.items()
            }
            try:
                callback.on_resume(model, range(self.progress.begin, model.epoch), here)
            except CheckpointError as error:
                raise CheckpointError(f"{self.path} does not hold together: {error}") from None


def read_checkpoint(path: str | Path, team: Team | None = None) -> tuple[dict[str, Any], dict[str, Nest]] | None:
    """What is saved at `path`, unchecked; None where there is nothing yet. CheckpointError for a file that is broken.

    team : worker 0 reads it and tells the others, as it may be on that one's disk alone.
    """
    found = None
    with nullcontext() if team is None else team.group.together():
        if (team is None or team.group.rank == 0) and os.path.lexists(path):
            found = model_file.read(path)
    return found if team is None else team.group.bcast(found)


def load_checkpoint(
    path: str | Path,
    found: tuple[dict[str, Any], dict[str, Nest]] | None,
    model: Any,
    plan: Mapping[str, Any],
    callbacks: list[Callback],
    epochs: int,
    change: Any = (),
) -> LoadedCheckpoint | None:
    """What is saved at `path`, checked against the fit that is to go on; None where there is nothing yet.

    found : what `read_checkpoint` has read there.
    epochs : that are asked for now. change : names of CHANGEABLE that may differ from what was saved. A line of the log
    says what differs.
    Raises CheckpointError for a file that is broken, or of another fit.
    """
    change = (change,) if isinstance(change, str) else tuple(change)
    if unknown := [name for name in change if name not in CHANGEABLE]:
        raise ValueError(f"change takes {', '.join(CHANGEABLE)}, got {unknown[0]!r}; all else must be as it was")
    if found is None:
        log.info("there is no checkpoint at %s yet; training begins", path)
        return None
    saved = LoadedCheckpoint(path, *found)
    try:
        saved.check(model, plan, callbacks, change)
        saved.go_on(epochs)
    except BackendUnavailable:
        raise
    except Exception as error:  # a header from anywhere
        why = str(error) if isinstance(error, CheckpointError) else f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path} cannot be resumed: {why}") from None
    if saved.changed:
        log.info(
            "%s goes on with %s", path, "; ".join(f"{n} {_told(a)} → {_told(b)}" for n, (a, b) in saved.changed.items())
        )
    return saved


def begun_at(path: str | Path) -> int:
    """The epoch that the saved fit began with, from which its epochs count; 0 where `load_checkpoint` refuses the file.

    Raises CheckpointError for a file that cannot be read.
    """
    header, _ = model_file.read(path)
    try:
        begin = header["run"]["progress"]["begin"]
    except (KeyError, TypeError):
        return 0
    return begin if type(begin) is int and begin >= 0 else 0


def _rule(optimizer: dict[str, Any]) -> dict[str, Any]:
    """An encoded optimizer as all but its learning rate, and this, None where it has none of its own."""
    given = dict(optimizer["fields"])
    rate = given.pop("learning_rate", None)
    return {"optimizer": {**optimizer, "fields": given}, "learning_rate": rate}


def _told(value: Any) -> str:
    """An encoded value as Python would show it."""
    return str(decode(value))


def _is_nest(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _encoded(value: Any) -> Any:
    """`encode`, of dicts too: whoever reads them knows that they are."""
    return {name: _encoded(item) for name, item in value.items()} if isinstance(value, dict) else encode(value)


def _progress(data: Any, epoch: Any) -> Progress:
    losses = {str(name): float(decode(value)) for name, value in data["losses"].items()}
    metrics = {
        str(name): {str(part): float(decode(value)) for part, value in sums.items()}
        for name, sums in data["metrics"].items()
    }
    begin, position, stopped = data["begin"], data["position"], data["stopped"]
    if not (type(begin) is type(position) is type(epoch) is int and 0 <= begin <= epoch and type(stopped) is bool):
        raise CheckpointError("it says no place where a fit can be")
    if not 0 <= position < 2**53:
        raise CheckpointError("it says no place where a fit can be")
    total, rate = (float(decode(data[name])) for name in ("total", "learning_rate"))
    return Progress(begin, position, stopped, total, losses, metrics, rate)
