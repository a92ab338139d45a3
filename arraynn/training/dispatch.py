"""Calls the hooks of callbacks in order, for `Model.fit` and for the estimators of `arraynn.sklearn`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from .._contract_of_rules import check_callback
from .._hyperparameters import described
from .callbacks import Callback, Monitor
from .checkpoint import Checkpoint

Save = Callable[[Checkpoint, bool], None]


class Dispatcher:
    """The callbacks of one fit.

    callbacks : see `as_callbacks`. begun : those whose `on_fit_begin` returned. stopped : one has asked to stop.
    Where a method takes `save`, that is called with a Checkpoint and whether the fit is ending.
    """

    def __init__(self, callbacks: Any) -> None:
        self.callbacks = as_callbacks(callbacks)
        self.checkpoints = [callback for callback in self.callbacks if isinstance(callback, Checkpoint)]
        self.begun: list[Callback] = []
        self.stopped = False

    @property
    def eager(self) -> bool:
        """Whether one of them must be called at the end of each epoch."""
        return any(callback.every_epoch for callback in self.callbacks)

    def check(self, names: Iterable[str], model: Any) -> None:
        """Raise DataError where one follows a number that the logs, of these names, will not have, or whose better
        direction nobody has stated."""
        names = list(names)
        for callback in self.callbacks:
            if isinstance(callback, Monitor):
                callback.known_in(names)
                callback.direction(model)

    def begin(self, model: Any) -> None:
        for callback in self.callbacks:
            callback.on_fit_begin(model)
            self.begun.append(callback)

    def batch(self, model: Any) -> bool:
        """Call `on_batch_end` of all; returns whether one has asked to stop."""
        for callback in self.callbacks:
            self.stopped |= callback.on_batch_end(model) is True
        return self.stopped

    def epoch(self, model: Any, epoch: int, logs: Mapping[str, float]) -> None:
        """Call `on_epoch_end` of all, whatever one of them raises; the first error is raised after that."""
        failed: Exception | None = None
        for callback in self.callbacks:
            try:
                self.stopped |= callback.on_epoch_end(model, epoch, logs) is True
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def due(self) -> list[Checkpoint]:
        """The checkpoints due after this step; call it once a step."""
        return [checkpoint for checkpoint in self.checkpoints if checkpoint.due()]

    def save_after_step(self, save: Save) -> None:
        for checkpoint in self.due():
            save(checkpoint, False)

    def save_after_epoch(self, save: Save) -> None:
        for checkpoint in self.checkpoints:
            if checkpoint.every_epoch:
                save(checkpoint, False)

    def finalize(
        self,
        model: Any,
        raised: BaseException | None,
        *,
        first: Sequence[Callable[[], Any]] = (),
        save: Save | None = None,
    ) -> None:
        """End the fit: call `first`, save the checkpoints, then call `on_fit_end` of every callback in `begun`.

        Checkpoints come before that, as `on_fit_end` may restore the best weights.
        raised : the error that ends the fit, None where it is done. save : None where the fit cannot be resumed.
        An error here is added as a note to `raised`; where that is None, the first error is raised.
        """
        later: list[BaseException] = []
        acts = list(first)
        if save is not None:
            acts += [partial(save, checkpoint, True) for checkpoint in self.checkpoints]
        for act in acts + [partial(callback.on_fit_end, model) for callback in self.begun]:
            try:
                act()
            except BaseException as error:
                later.append(error)
        if raised is None and later:
            raise later[0]
        for also in later:
            assert raised is not None
            raised.add_note(f"On the way out there was also {type(also).__name__}: {also}")


def as_callbacks(callbacks: Any) -> list[Callback]:
    """Callbacks as a list, from an iterable of them, one alone, or None. TypeError for anything else."""
    if callbacks is None:
        return []
    if isinstance(callbacks, (Callback, str)):
        callbacks = [callbacks]
    found = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for one in found:
        if isinstance(one, type) and issubclass(one, Callback):
            raise TypeError(f"callbacks has the class {one.__name__}; give an instance of it, as {one.__name__}(…)")
        if not isinstance(one, Callback):
            raise TypeError(f"callbacks takes instances of subclasses of nn.Callback, got {described(one)}")
        check_callback(one)
    return found
