"""Ctrl-C: the first one waits for the step in progress, the second one does not, and other people's handlers stay."""

import signal
import threading

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.training import loop
from arraynn.training.signals import deferred_interrupts

X, Y = nn.datasets.spiral(10, 3)


def press():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def default_handler():
    """Python's own handler, whatever runs the tests; and a look that it is there again."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    now = signal.signal(signal.SIGINT, before)
    assert now is signal.default_int_handler


@pytest.fixture
def model():
    return nn.Model(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(3)), optimizer=nn.Adam(0.02), backend="numpy")


class Press(nn.Callback):
    """Presses Ctrl-C after a step, or at an epoch's end."""

    def __init__(self, *, step=None, epoch=None, times=1):
        self.step, self.epoch, self.times = step, epoch, times

    def on_batch_end(self, model):
        if model.step == self.step:
            for _ in range(self.times):
                press()

    def on_epoch_end(self, model, epoch, logs):
        if epoch == self.epoch:
            press()


def weights(model):
    return [np.array(leaf) for leaf in tree.leaves(model.params)]


# ---------------------------------------------------------------- the context


def test_the_first_interrupt_is_recorded_and_check_raises():
    with deferred_interrupts() as interrupt:
        interrupt.check()
        press()
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
        interrupt.requested = False


def pressed(times, *, then=None, reached=None):
    """What happens within the context: presses, a word that they were survived, an error."""
    with deferred_interrupts():
        for _ in range(times):
            press()
        if reached is not None:
            reached.append(signal.getsignal(signal.SIGINT))
        if then:
            raise then


def test_the_second_interrupt_raises_at_once():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        pressed(2, reached=reached)
    assert reached == []


def test_an_interrupt_that_was_not_checked_is_raised_at_the_end():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        pressed(1, reached=reached)
    assert len(reached) == 1


def test_another_error_at_the_end_is_kept():
    with pytest.raises(ValueError, match="mine"):
        pressed(1, then=ValueError("mine"))


def test_the_handler_is_restored_after_an_error():
    reached = []
    with pytest.raises(ValueError, match="mine"):
        pressed(0, then=ValueError("mine"), reached=reached)
    assert reached != [signal.default_int_handler]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("theirs", [signal.SIG_IGN, lambda number, frame: None])
def test_a_handler_set_by_others_is_left_alone(theirs):
    signal.signal(signal.SIGINT, theirs)
    with deferred_interrupts() as interrupt:
        assert signal.getsignal(signal.SIGINT) is theirs
        press()
        interrupt.check()
    assert signal.signal(signal.SIGINT, signal.default_int_handler) is theirs


def test_an_interrupt_in_an_inner_fit_is_passed_to_the_outer_one():
    with deferred_interrupts() as outer:
        with deferred_interrupts() as inner:
            press()
            inner.check()
        assert outer.requested
        outer.requested = False


def test_outside_the_main_thread_no_handler_is_set():
    seen = []

    def work():
        with deferred_interrupts() as interrupt:
            seen.append(signal.getsignal(signal.SIGINT))
            interrupt.check()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


# ---------------------------------------------------------------- in a fit


def test_an_interrupt_stops_between_two_steps_and_keeps_the_weights(model):
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=50, batch_size=10, callbacks=[Press(step=8)])
    assert (model.step, model.epoch) == (8, 2)
    assert {len(values) for values in model.history.values()} == {2}
    straight = nn.Model(model.network, optimizer=model.optimizer, backend="numpy")
    straight.fit(X, Y, epochs=2, batch_size=10)
    assert model.history == straight.history
    model.fit(X, Y, epochs=3, batch_size=10)
    assert (model.step, model.epoch) == (17, 5)
    assert {len(values) for values in model.history.values()} == {5}


def test_an_interrupt_at_an_epochs_end_keeps_that_epoch(model):
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=50, callbacks=[Press(epoch=3)])
    assert model.epoch == len(model.history["loss"]) == 4


def test_an_interrupt_in_the_last_callback_is_not_lost(model):
    class Late(nn.Callback):
        def on_fit_end(self, model):
            press()

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=2, callbacks=[Late()])
    assert len(model.history["loss"]) == 2


def test_pending_epochs_are_reported_to_callbacks_after_an_interrupt(model, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)
    told = []

    class Told(nn.Callback):
        every_epoch = False

        def on_batch_end(self, model):
            if model.step == 7:
                press()

        def on_epoch_end(self, model, epoch, logs):
            told.append(epoch)

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=50, batch_size=10, callbacks=[Told()])
    assert told == [0, 1]
    assert len(model.history["loss"]) == 2


def test_a_second_interrupt_within_a_step_restores_the_last_good_weights(model, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)

    class Impatient(nn.optimizers.Optimizer):
        def update_one(self, p, g, slots, c):
            p += 1.0  # a step broken off halfway
            if c["lr"] > 0.15:
                press()
                press()
            return p, slots

    model.optimizer = Impatient(learning_rate=lambda step: 0.1 if step < 5 else 0.2)
    model.build(2)
    kept = []

    class Keep(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            kept.append((weights(model), model.step))

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=9, batch_size=10, callbacks=[Keep()])
    assert model.epoch == len(model.history["loss"]) == 1
    good, step = kept[0]
    assert model.step == step == 3
    for a, b in zip(weights(model), good, strict=True):
        np.testing.assert_array_equal(a, b)
    model.optimizer = nn.SGD(0.1)
    model.fit(X, Y)


def test_an_interrupt_in_a_fit_restores_the_handler(model):
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=5, callbacks=[Press(step=1, times=2)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_best_weights_are_restored_after_an_interrupt(model):
    best = nn.EarlyStopping(monitor="loss", mode="max")  # the first epoch is the best by this measure
    kept = []

    class Keep(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            kept.append(weights(model))

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=20, batch_size=None, callbacks=[best, Keep(), Press(epoch=4)])
    for a, b in zip(weights(model), kept[best.best_epoch], strict=True):
        np.testing.assert_array_equal(a, b)
