"""How a run is doing, shown while it runs: a bar on a terminal, plain lines where the output is piped.

Both are callbacks with every_epoch = False, so training never waits for them; rich, which draws the bar, is imported
only here and only when there is a bar to draw.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO

from .._hyperparameters import python_number
from .callbacks import Callback

REFRESH_SECONDS = 0.1
LINE_SECONDS = 10.0  #: after so long without a line, one tells how far the epoch is


def progress_for(verbose: int | str, epochs: int) -> list[Callback]:
    """The callbacks that `Model.fit(verbose=…)` means.

    verbose : 0 nothing; 1 a bar on a terminal, else plain lines; "auto" the same where someone is looking (a terminal
        or a Jupyter kernel), else nothing. epochs : of this fit.
    Raises ValueError for anything else.
    """
    verbose = python_number(verbose)
    if not isinstance(verbose, (int, str)) or verbose not in (0, 1, "auto"):
        raise ValueError(f"verbose must be 0 (silent), 1 (progress) or 'auto', got {verbose!r}")
    terminal = next((stream for stream in (sys.stdout, sys.stderr) if _is_terminal(stream)), None)
    if verbose == 0 or (verbose == "auto" and terminal is None and "ipykernel" not in sys.modules):
        return []
    return shown_on(terminal, epochs)


def shown_on(stream: TextIO | None, epochs: int, every: int | None = None, asked: bool = False) -> list[Callback]:
    """A bar where `stream` is a terminal and rich is installed, else a line for each `every` epochs.

    stream : None is whatever sys.stdout is at the time. every : None is some twenty lines in all. asked : these very
        lines are wanted: a terminal gets them above its bar, and there are none within an epoch.
    """
    lines = Lines(epochs, every, None if stream is sys.stdout else stream, within=not asked)
    if not _is_terminal(stream) or threading.current_thread() is not threading.main_thread() or not _draws_on(stream):
        return [lines]
    return [Bar(epochs, stream), lines] if asked else [Bar(epochs, stream)]


class Pace:
    """How far a fit is, and how fast. Everything follows from the model's epoch and step, and the clock."""

    def __init__(self, model: Any, epochs: int) -> None:
        self.epochs, self.began = epochs, time.monotonic()
        self.first_epoch, self.first_step = model.epoch, model.step
        self.epoch, self.epoch_step = model.epoch, model.step  # the epoch in progress, and the step before its first
        self.steps = self.taken = 0
        self.of = self.fraction = self.seconds = 0.0

    @property
    def last_epoch(self) -> int:
        return int(self.first_epoch + self.epochs)

    def resume(self, done: range) -> None:
        """These epochs are behind already."""
        self.epochs = max(self.epochs - len(done), 1)

    def note(self, model: Any) -> None:
        """After each step: a new epoch is noted. It costs next to nothing."""
        if model.epoch != self.epoch:
            self.epoch, self.epoch_step = model.epoch, model.step - 1

    def update(self, model: Any) -> None:
        """Look at the model and the clock."""
        if model.epoch != self.epoch:  # at an epoch's end
            self.epoch, self.epoch_step = model.epoch, model.step
        done = model.epoch - self.first_epoch
        self.steps, self.taken = model.step - self.first_step, model.step - self.epoch_step
        #: steps in an epoch, unknown (0) in the first one
        self.of = (self.epoch_step - self.first_step) / done if done else 0.0
        self.fraction = (done + (min(self.taken / self.of, 1.0) if self.of else 0.0)) / self.epochs
        self.seconds = time.monotonic() - self.began

    def rate(self) -> str:
        """Steps a second, or seconds a step where those are few."""
        if not self.steps or self.seconds <= 0:
            return ""
        rate = self.steps / self.seconds
        return (
            f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step"
        )

    def left(self) -> str:
        """Time to go, as 1:23:45."""
        if not self.fraction:
            return ""
        return clock(self.seconds / self.fraction * (1 - self.fraction))

    def step_in_epoch(self) -> str:
        """Where in the epoch, if it has more than one step: "step 12/469"; its end is unknown in the first epoch."""
        if self.taken < 1 or (self.of and round(self.of) == 1):
            return ""
        return f"step {self.taken}/{round(self.of)}" if self.of else f"step {self.taken}"


class Lines(Callback):
    """A line for the first epoch, each `every`-th and the last; in a very long epoch, now and then one within it."""

    every_epoch = False
    first_worker_only = True

    def __init__(
        self, epochs: int, every: int | None = None, stream: TextIO | None = None, within: bool = True
    ) -> None:
        self.epochs, self.stream, self.within = epochs, stream, within
        self.every = every or max(1, epochs // 20)

    def on_fit_begin(self, model: Any) -> None:
        self.pace = Pace(model, self.epochs)
        self.pending: tuple[int, dict[str, float]] | None = None
        self.printed = time.monotonic()

    def on_resume(self, model: Any, done: range, notes: Mapping[str, Any]) -> None:
        self.pace.resume(done)

    def on_batch_end(self, model: Any) -> None:
        self.pace.note(model)
        if not self.within or time.monotonic() - self.printed < LINE_SECONDS:
            return
        self.pace.update(model)
        if where := self.pace.step_in_epoch():
            self.tell(model.epoch, [where])

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> None:
        self.pending = epoch, dict(logs)
        if epoch == self.pace.first_epoch or (epoch + 1) % self.every == 0 or epoch + 1 == self.pace.last_epoch:
            self.print_pending(model)

    def on_fit_end(self, model: Any) -> None:
        if self.pending:  # stopped early: its last epoch is of interest too
            self.print_pending(model)

    def print_pending(self, model: Any) -> None:
        assert self.pending is not None
        epoch, logs = self.pending
        self.pending = None
        self.pace.update(model)
        self.tell(epoch, figures(logs))

    def tell(self, epoch: int, parts: list[str]) -> None:
        number = f"epoch {epoch + 1:>{len(str(self.pace.last_epoch))}}/{self.pace.last_epoch}"
        print("  ".join([number, *parts, self.pace.rate()]).rstrip(), file=self.stream, flush=True)
        self.printed = time.monotonic()


class Bar(Callback):
    """A bar that is redrawn in place, with the figures of the last epoch under it. Drawn by rich."""

    every_epoch = False
    first_worker_only = True

    def __init__(self, epochs: int, stream: TextIO | None) -> None:
        self.epochs, self.stream = epochs, stream

    def on_fit_begin(self, model: Any) -> None:
        from rich.console import Console
        from rich.live import Live

        self.pace = Pace(model, self.epochs)
        self.logs: dict[str, float] = {}
        self.shown, self.over = 0.0, False
        # No thread draws it: a fork, or a user's own threads, would meet it. What callbacks print goes above the bar.
        self.live = Live(
            console=Console(file=self.stream),
            auto_refresh=False,
            redirect_stdout=self.stream is sys.stdout,
            redirect_stderr=_is_terminal(sys.stderr),
        )
        self.live.start()

    def on_resume(self, model: Any, done: range, notes: Mapping[str, Any]) -> None:
        self.pace.resume(done)

    def on_batch_end(self, model: Any) -> None:
        self.pace.note(model)
        self.draw(model)

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> None:
        self.logs |= {name: value for name, value in logs.items() if not math.isnan(value)}  # keeps the last validation
        self.draw(model)

    def on_fit_end(self, model: Any) -> None:
        self.shown, self.over = 0.0, True
        self.draw(model)
        self.live.stop()

    def draw(self, model: Any) -> None:
        if time.monotonic() - self.shown < REFRESH_SECONDS:
            return
        self.pace.update(model)
        self.live.update(self.picture(), refresh=True)
        self.shown = time.monotonic()

    def picture(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        pace = self.pace
        number = f"epoch {min(pace.epoch + 1, pace.last_epoch)}/{pace.last_epoch}"
        when = f"in {clock(pace.seconds)}" if self.over else f"eta {pace.left()}" if pace.left() else ""
        row = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None):
            row.add_column(ratio=ratio, no_wrap=True)
        around = "  ".join(part for part in ("" if self.over else pace.step_in_epoch(), pace.rate(), when) if part)
        bar = ProgressBar(total=1.0, completed=pace.fraction, complete_style="cyan", finished_style="green")
        row.add_row(Text(number, style="bold"), bar, Text(around, style="dim"))
        return Group(row, Text("  ".join(figures(self.logs)))) if self.logs else row


def figures(logs: Mapping[str, float]) -> list[str]:
    """An epoch's numbers as short texts: the loss, and the penalty in it where there is one, the metrics, the rate."""
    shown = {name: value for name, value in logs.items() if not math.isnan(value) and name != "data_loss"}
    if not shown.get("penalty"):
        shown.pop("penalty", None)
    rate = shown.pop("learning_rate", None)
    texts = [f"{name} {short(value)}" for name, value in shown.items()]
    return texts if rate is None else [*texts, f"lr {rate:.3g}"]


def short(value: float) -> str:
    """Four decimals, or an exponent where they would say nothing."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.2e}"


def clock(seconds: float) -> str:
    """1:02 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _is_terminal(stream: Any) -> bool:
    try:
        return stream is not None and bool(stream.isatty())
    except (AttributeError, ValueError):  # something that stands in for a stream; a closed one
        return False


def _draws_on(stream: TextIO | None) -> bool:
    """Whether rich is there and the terminal can move its cursor."""
    try:
        from rich.console import Console
    except ImportError:
        return False
    console = Console(file=stream)
    return bool(console.is_terminal and not console.is_dumb_terminal)
