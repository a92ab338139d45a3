"""Who tells callbacks what, and when: one dispatcher for `Model.fit` and for the estimators of `arraynn.sklearn`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from .callbacks import Callback, Monitor
from .checkpoint import Checkpoint

Save = Callable[[Checkpoint, bool], None]


class Dispatcher:
    """Tells the callbacks of one fit.

    callbacks : see `as_callbacks`. begun : those that have heard the beginning. stopped : whether one has asked for the
    end. Where a method takes `save`, this writes the fit into a Checkpoint; it is called with the Checkpoint and
    whether the fit is leaving.
    """

    def __init__(self, callbacks: Any) -> None:
        self.callbacks = as_callbacks(callbacks)
        self.checkpoints = [callback for callback in self.callbacks if isinstance(callback, Checkpoint)]
        self.begun: list[Callback] = []
        self.stopped = False

    @property
    def eager(self) -> bool:
        """Whether one of them must be told at the end of each epoch."""
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
        """Whether one has asked for the end."""
        for callback in self.callbacks:
            self.stopped |= callback.on_batch_end(model) is True
        return self.stopped

    def epoch(self, model: Any, epoch: int, logs: Mapping[str, float]) -> None:
        """All are told, whatever one of them raises; the first error is raised after that."""
        failed: Exception | None = None
        for callback in self.callbacks:
            try:
                self.stopped |= callback.on_epoch_end(model, epoch, logs) is True
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def due(self) -> list[Checkpoint]:
        """The checkpoints that are to be written after this step; asked once a step."""
        return [checkpoint for checkpoint in self.checkpoints if checkpoint.due()]

    def save_after_step(self, save: Save) -> None:
        for checkpoint in self.due():
            save(checkpoint, False)

    def save_after_epoch(self, save: Save) -> None:
        for checkpoint in self.checkpoints:
            if checkpoint.every_epoch:
                save(checkpoint, False)

    def leave(
        self,
        model: Any,
        raised: BaseException | None,
        *,
        first: Sequence[Callable[[], Any]] = (),
        save: Save | None = None,
    ) -> None:
        """On the way out, of whatever kind: checkpoints are saved, as the end may restore the best weights, and every
        callback that has heard the beginning hears the end.

        raised : why it ends, None where it is done. first : what else is to be done, before that. save : None where
        the fit is at no place to go on from.
        What goes wrong here is noted on what was raised before; where nothing was, the first of it is raised.
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
    if isinstance(callbacks, Callback):
        return [callbacks]
    found = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for one in found:
        if isinstance(one, type) and issubclass(one, Callback):
            raise TypeError(f"callbacks has the class {one.__name__}; give an instance of it, as {one.__name__}(…)")
        if not isinstance(one, Callback):
            raise TypeError(f"callbacks takes instances of subclasses of nn.Callback, got {one!r:.80}")
    return found
