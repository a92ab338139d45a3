"""Progress is shown where someone looks, as a bar or as lines, and never makes training wait."""

from __future__ import annotations

import io
import re
import sys
import threading

import numpy as np
import pytest

import arraynn as nn
from arraynn.training import progress
from arraynn.training.progress import Bar, Lines, figures, progress_for, shown_on


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and keeps what is drawn."""

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue())


def stand_in(monkeypatch, name: str = "stdout") -> Terminal:
    """A terminal in the place of sys.stdout. No fixture: pytest puts its own stream there after those."""
    stream = Terminal()
    monkeypatch.setattr(sys, name, stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stream


@pytest.fixture
def model() -> nn.Model:
    network = nn.Sequential(nn.Dense(4, weight_regularizer=nn.L2(1e-3)), nn.ReLU(), nn.Dense(3))
    return nn.Model(network, backend="numpy")


def fit(model: nn.Model, callbacks=(), epochs: int = 10, **options):
    x, y = nn.datasets.vertical(20, 3)
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, verbose=options.pop("verbose", 0), **options)


@pytest.mark.parametrize("verbose", [2, -1, "yes", "1", None, 1.0, [1]])
def test_verbose_is_0_1_or_auto(verbose):
    with pytest.raises(ValueError, match=r"verbose must be 0 \(silent\), 1 \(progress\) or 'auto'"):
        progress_for(verbose, 1)


def test_a_pipe_gets_no_progress_by_default(capsys, model):
    assert progress_for("auto", 3) == []
    assert progress_for(0, 3) == []
    fit(model)
    assert capsys.readouterr().out == ""


def test_a_notebook_gets_lines_by_default(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", io)
    assert [type(callback) for callback in progress_for("auto", 3)] == [Lines]


def test_a_pipe_gets_lines_with_verbose_1(capsys, model):
    fit(model, verbose=1, epochs=3, validation_split=0.25, validation_freq=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "val_loss" not in lines[0]  # it was not measured then
    for wanted in ("loss ", "penalty ", "accuracy ", "val_loss ", "val_accuracy ", "lr 0.001", "step"):
        assert wanted in lines[1]


def test_a_terminal_gets_a_bar(monkeypatch, model):
    terminal = stand_in(monkeypatch)
    assert [type(callback) for callback in progress_for("auto", 3)] == [Bar]
    fit(model, verbose="auto", epochs=3)
    assert "epoch 3/3" in terminal.text
    assert re.search(r"loss \d", terminal.text)
    assert re.search(r"in \d:\d\d", terminal.text)
    assert sys.stdout is terminal  # given back


def test_the_bar_is_on_stderr_where_only_that_is_a_terminal(capsys, monkeypatch, model):
    stream = stand_in(monkeypatch, "stderr")
    fit(model, verbose="auto")
    assert "epoch 10/10" in stream.text
    assert capsys.readouterr().out == ""


def test_a_bar_leaves_the_terminal_as_it_was_when_training_fails(monkeypatch, model):
    terminal = stand_in(monkeypatch)

    class Fails(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fit(model, [Fails()], verbose=1)
    assert sys.stdout is terminal
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is shown again


@pytest.mark.parametrize("lacks", ["rich", "a cursor", "the main thread"])
def test_a_terminal_without_cursor_control_gets_lines(monkeypatch, lacks):
    stand_in(monkeypatch)
    found = []
    if lacks == "rich":
        monkeypatch.setitem(sys.modules, "rich.console", None)
    if lacks == "a cursor":
        monkeypatch.setenv("TERM", "dumb")
    if lacks == "the main thread":
        thread = threading.Thread(target=lambda: found.extend(progress_for("auto", 3)))
        thread.start()
        thread.join()
    assert [type(callback) for callback in found or progress_for("auto", 3)] == [Lines]


def test_requested_lines_are_printed_above_the_bar(monkeypatch, model):
    terminal = stand_in(monkeypatch)
    watchers = shown_on(terminal, 4, every=2, asked=True)
    assert [type(watcher) for watcher in watchers] == [Bar, Lines]
    fit(model, watchers, epochs=4)
    for number in (1, 2, 4):
        assert re.search(rf"epoch {number}/4  loss", terminal.text)


def test_bar_and_lines_do_not_force_a_fetch_each_epoch():
    assert not Bar.every_epoch
    assert not Lines.every_epoch


@pytest.mark.parametrize(
    ("every", "told"), [(4, [1, 4, 8, 10]), (100, [1, 10]), (1, range(1, 11)), (None, range(1, 11))]
)
def test_lines_are_of_the_first_epoch_each_nth_and_the_last(capsys, model, every, told):
    fit(model, [Lines(10, every)])
    assert [int(n) for n in re.findall(r"epoch +(\d+)/10", capsys.readouterr().out)] == list(told)


def test_a_long_run_has_some_twenty_lines(capsys, model):
    fit(model, [Lines(200)], epochs=200)
    assert 20 <= len(capsys.readouterr().out.splitlines()) <= 22


def test_a_run_that_stops_early_prints_its_last_epoch(capsys, model):
    class Stop(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            return epoch == 6

    fit(model, [Stop(), Lines(10, 5)])
    assert [int(n) for n in re.findall(r"epoch +(\d+)/10", capsys.readouterr().out)] == [1, 5, 7]


def test_a_second_fit_continues_the_epoch_numbers(capsys, model):
    fit(model, epochs=3)
    fit(model, [Lines(2)], epochs=2)
    assert re.findall(r"epoch (\d/\d)", capsys.readouterr().out) == ["4/5", "5/5"]


def test_a_long_epoch_shows_its_steps(capsys, model, monkeypatch):
    now = iter(range(0, 10_000, 4))  # every look at the clock is four seconds later
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    fit(model, [Lines(2)], epochs=2, batch_size=6)
    first, rest = capsys.readouterr().out.split("epoch 2/2", 1)
    assert re.search(r"epoch 1/2  step \d+  ", first)  # how many there are is not known yet
    assert re.search(r"step \d+/10  ", rest)


def test_steps_of_an_epoch_not_yet_fetched_count(model, monkeypatch):
    terminal = stand_in(monkeypatch)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    fit(model, [Bar(3, terminal)], epochs=3, batch_size=6)
    assert "step 5/10" in terminal.text
    assert "step 5 " in terminal.text


def test_figures_are_short_and_without_penalties_of_0():
    logs = {"loss": 1.25, "data_loss": 1.25, "penalty": 0.0, "accuracy": 1.0, "val_loss": np.nan, "learning_rate": 5e-5}
    assert figures(logs) == ["loss 1.2500", "accuracy 1.0000", "lr 5e-05"]
    assert figures({"loss": 1.5e-5, "data_loss": 1e-5, "penalty": 5e-6}) == ["loss 1.50e-05", "penalty 5.00e-06"]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3600, "1:00:00")])
def test_seconds_are_formatted_as_a_clock(seconds, text):
    assert progress.clock(seconds) == text


@pytest.mark.parametrize("stream", [None, object(), io.StringIO()])
def test_unusual_streams_are_not_terminals(stream):
    assert [type(callback) for callback in shown_on(stream, 1)] == [Lines]
