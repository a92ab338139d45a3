"""The loop under Model.fit: when it looks at the device, what it keeps, and that several may run at once."""

import gc
import math
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.backends import Backend, of
from arraynn.training import loop
from arraynn.training.pending import EpochTotals

ROOT = Path(__file__).parents[2]
X, Y = nn.datasets.spiral(10, 3)
NETWORK = nn.Sequential(nn.Dense(8, weight_regularizer=nn.L1L2(1e-3, 1e-3)), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))


@pytest.fixture
def never(monkeypatch):
    """The clock never asks for a fetch."""
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)


@pytest.fixture
def fetches(monkeypatch) -> Iterator[list[int]]:
    """How many numbers each look at the device brought."""
    counts: list[int] = []

    def watch(kind):
        original = vars(kind).get("fetch")
        if original is not None:
            monkeypatch.setattr(
                kind, "fetch", lambda self, numbers: counts.append(len(numbers)) or original(self, numbers)
            )

    for kind in {Backend, type(nn.backend("numpy"))}:
        watch(kind)
    return counts


def model_of(network=NETWORK, **options):
    options.setdefault("backend", "numpy")
    options.setdefault("optimizer", nn.Adam(0.02))
    return nn.Model(network, **options)


def weights(model):
    return [np.array(model.backend.to_numpy(leaf)) for leaf in tree.leaves(model.params)]


class Quiet(nn.Callback):
    """Needs no number at an epoch's end."""

    every_epoch = False

    def __init__(self, on_batch=None, on_epoch=None):
        self.on_batch, self.on_epoch = on_batch, on_epoch

    def on_batch_end(self, model):
        return self.on_batch(model) if self.on_batch else None

    def on_epoch_end(self, model, epoch, logs):
        return self.on_epoch(epoch) if self.on_epoch else None


# ---------------------------------------------------------------- looks at the device


@pytest.mark.parametrize(
    ("loss", "targets", "options"),
    [
        (nn.softmax_cross_entropy, Y, {}),
        (nn.softmax_cross_entropy, np.eye(3, dtype=np.float32)[Y], {"clip_norm": 0.1, "clip_value": 0.05}),
        (nn.mean_squared_error, np.eye(3, dtype=np.float32)[Y], {"metrics": ["r2", "regression_accuracy"]}),
        (nn.sigmoid_cross_entropy, np.eye(3, dtype=np.float32)[Y], {"optimizer": nn.SGD(0.1, momentum=0.9)}),
    ],
)
@pytest.mark.parametrize("batch_size", [7, None])
def test_no_step_leaves_the_device(spy, never, loss, targets, options, batch_size):
    model = model_of(loss=loss, backend="array_api_strict:device1", **options)
    seen = []
    begin = Quiet(on_batch=lambda model: seen.extend(spy.calls) or spy.clear())
    begin.on_fit_begin = lambda model: spy.clear()
    model.fit(X, targets, epochs=4, batch_size=batch_size, sample_weight=np.arange(1.0, 31.0), callbacks=[begin])
    assert model.step == (20 if batch_size else 4)
    assert seen == []
    assert spy.calls != []  # the fetch at the end, so that the spy is known to look


def test_reports_are_fetched_together(never, fetches):
    history = model_of().fit(X, Y, epochs=5, batch_size=10)
    # 15 steps of (data_loss, penalty, accuracy's two sums, total), 4 parameters with 2 slots each
    assert fetches == [15 * 5 + 4 * 3]
    assert len(history["loss"]) == 5


def test_old_copies_are_freed_before_new_ones_are_made(monkeypatch):
    model, alive, copies = model_of(), [], []
    copy = loop._copy_state

    def checked(state):
        alive.append(sum(made() is not None for made in copies))
        copied = copy(state)
        copies[:] = map(weakref.ref, tree.leaves(copied["slots"]))
        return copied

    monkeypatch.setattr(loop, "_copy_state", checked)
    model.fit(X, Y, epochs=4, callbacks=[nn.Callback()])
    # the fit's own state is the first copy; a step that joins it to one array gives the parts back
    assert alive == [0] * 5


def test_an_eager_callback_is_called_at_each_epochs_end(never, fetches):
    model_of().fit(X, Y, epochs=5, batch_size=10, callbacks=[nn.Callback()])
    assert fetches == [3 * 5 + 4 * 3] * 5


def test_at_most_fetch_steps_steps_wait_for_a_fetch(never, fetches, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_STEPS", 4)
    history = model_of().fit(X, Y, epochs=3, batch_size=10)
    assert fetches == [4 * 5 + 12, 4 * 5 + 12, 1 * 5 + 12]
    assert history == model_of().fit(X, Y, epochs=3, batch_size=10)


def test_slow_copies_are_made_more_rarely(fetches, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now[0]))
    copy = loop._copy_state

    def slow(state):
        now[0] += 0.05
        return copy(state)

    class Steps(nn.Callback):
        every_epoch = False

        def on_batch_end(self, model):
            now[0] += 0.06

    model_of().fit([(X[:5], Y[:5])] * 100, callbacks=[Steps()])
    assert (len(fetches), (fetches[0] - 12) // 5) == (50, 2)  # at 0.12 s each
    fetches.clear()
    monkeypatch.setattr(loop, "_copy_state", slow)
    model_of().fit([(X[:5], Y[:5])] * 100, callbacks=[Steps()])
    assert [(count - 12) // 5 for count in fetches] == [2, 17, 17, 17, 17, 17, 13]  # a second apart, from the first on


def test_batches_of_an_iterable_are_not_kept_for_long(never, fetches):
    model_of().fit([(X[:5], Y[:5])] * 130)
    assert [(count - 12) // 5 for count in fetches] == [64, 64, 2]


def test_the_fetch_interval_changes_no_number(monkeypatch):
    runs = []
    for seconds in (-1.0, 1e9):
        monkeypatch.setattr(loop, "FETCH_SECONDS", seconds)
        model = model_of()
        model.fit(X, Y, epochs=4, batch_size=10, validation_data=(X, Y), validation_freq=3)
        runs.append(model)
    assert str(runs[0].history) == str(runs[1].history)  # nan is not equal to itself
    for a, b in zip(weights(runs[0]), weights(runs[1]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_fit_releases_its_data():
    class Held(list):
        pass

    batches = Held([(X, Y)] * 3)
    gone = weakref.ref(batches)
    model = model_of()
    gc.disable()  # what hangs in a circle waits for the collector, and keeps the device's memory until then
    try:
        model.fit(batches, epochs=2, validation_data=(X, Y), callbacks=[nn.EarlyStopping()])
        del batches
        assert gone() is None
    finally:
        gc.enable()


# ---------------------------------------------------------------- figures


def test_figures_of_an_epoch_are_weighted_means_over_its_batches(backend):
    model = model_of(nn.Sequential(nn.Dense(3)), backend=backend, optimizer=nn.SGD(0.0), metrics=["accuracy"])
    weight = np.arange(1.0, 31.0, dtype=np.float32)
    history = model.fit(X, Y, batch_size=7, sample_weight=weight)
    assert history["data_loss"] == [pytest.approx(model.evaluate(X, Y, weight)["loss"], rel=1e-5)]
    assert history["accuracy"] == [pytest.approx(model.evaluate(X, Y, weight)["accuracy"], rel=1e-5)]


def test_a_batch_without_weight_counts_for_nothing(backend):
    model = model_of(nn.Sequential(nn.Dense(3)), backend=backend, optimizer=nn.SGD(0.0))
    history = model.fit([(X[:10], Y[:10]), (X[10:], Y[10:], np.zeros(20))])
    assert history["data_loss"] == [pytest.approx(model.evaluate(X[:10], Y[:10])["loss"], rel=1e-5)]


def test_the_learning_rate_of_an_epoch_is_that_of_its_last_step():
    history = model_of(optimizer=nn.SGD(nn.InverseTimeDecay(1.0, decay=1.0))).fit(X, Y, epochs=2, batch_size=10)
    assert history["learning_rate"] == [1 / 3, 1 / 6]


def test_an_optimizer_replaced_by_a_callback_is_used_from_the_next_step(never):
    def exchange(model):
        if model.step == 3:
            model.optimizer = nn.SGD(0.0)

    model = model_of(optimizer=nn.SGD(0.5))
    at_three = []
    keep = Quiet(on_batch=lambda model: at_three.append(weights(model)) if model.step == 3 else None)
    history = model.fit(X, Y, epochs=3, batch_size=10, callbacks=[Quiet(on_batch=exchange), keep])
    assert history["learning_rate"] == [0.5, 0.0, 0.0]
    for a, b in zip(at_three[0], weights(model), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- errors on the way


def test_a_step_that_fails_leaves_the_last_good_weights(never):
    class Breaks(nn.SGD):
        def update_one(self, p, g, slots, c):
            p += 1.0
            if c["lr"] > 0.15:
                raise MemoryError("no more")
            return p, slots

    model = model_of(optimizer=Breaks(learning_rate=lambda step: 0.1 if step < 5 else 0.2))
    with pytest.raises(MemoryError, match="no more"):
        model.fit(X, Y, epochs=9, batch_size=10, callbacks=[nn.Callback()])
    assert (model.epoch, model.step, len(model.history["loss"])) == (1, 3, 1)
    assert np.isfinite(model.history["loss"]).all()
    model.optimizer = nn.SGD(0.1)
    model.fit(X, Y)


def test_a_batch_refused_during_an_epoch_leaves_the_learnt_weights(backend):
    model, whole = model_of(backend=backend), model_of(backend=backend)
    for bad in ((X[:, :1], Y), (X, Y + 3), (X * np.float32(np.nan), Y), (X[:-1], Y)):
        steps = model.step
        with pytest.raises((nn.DataError, nn.ShapeError)):
            model.fit([(X, Y), bad, (X, Y)])
        assert model.step == steps + 1
        assert model.history == {}
    whole.fit([(X, Y)] * 4)
    for a, b in zip(weights(model), weights(whole), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_iterable_that_raises_leaves_the_learnt_weights():
    def batches():
        yield X, Y
        raise OSError("the disk is gone")

    model = model_of()
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(batches())
    assert model.step == 1


def test_nan_in_a_memory_mapped_array_stops_between_two_steps(tmp_path):
    x = X.copy()
    x[29, 0] = np.nan
    np.save(tmp_path / "x.npy", x)
    model = model_of()
    with pytest.raises(nn.DataError, match="x holds nan in row 29"):
        model.fit(np.load(tmp_path / "x.npy", mmap_mode="r"), Y, batch_size=10, shuffle=False)
    assert model.step == 2
    assert all(np.isfinite(leaf).all() for leaf in weights(model))


# ---------------------------------------------------------------- several at once


def test_two_fits_at_once_in_two_threads_are_right(backend):
    alone = [model_of(backend=backend, seed=seed) for seed in (1, 2)]
    for model in alone:
        model.fit(X, Y, epochs=10, batch_size=10, validation_data=(X, Y))
    together = [model_of(backend=backend, seed=seed) for seed in (1, 2)]
    barrier = threading.Barrier(2)

    def work(model):
        barrier.wait()
        model.fit(X, Y, epochs=10, batch_size=10, validation_data=(X, Y))

    threads = [threading.Thread(target=work, args=[model]) for model in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert one.history == other.history
        for a, b in zip(weights(one), weights(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_fit_within_a_callback_is_right():
    inner = []

    class Nested(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            other = model_of(seed=epoch)
            inner.append(other.fit(X, Y, epochs=2)["loss"])

    outer, alone = model_of(), model_of()
    outer.fit(X, Y, epochs=2, callbacks=[Nested()])
    assert outer.history == alone.fit(X, Y, epochs=2)
    assert inner == [model_of(seed=seed).fit(X, Y, epochs=2)["loss"] for seed in range(2)]


PROGRAM = """
    import sys
    import numpy as np
    import arraynn as nn

    def train(seed):
        x, y = nn.datasets.spiral(300, 3)
        network = nn.Sequential(nn.Dense(128), nn.ReLU(), nn.Dense(3))
        model = nn.Model(network, optimizer=nn.Adam(0.02), backend="numpy", seed=seed)
        history = model.fit(x, y, epochs=4, batch_size=None, verbose=0)
        return history["loss"], model.predict_proba(x[::50])

    def same(one, other):
        return bool(np.allclose(one[0], other[0], rtol=1e-5) and np.allclose(one[1], other[1], atol=1e-5))
"""


def run_program(body: str) -> str:
    """What a program in a process of its own prints."""
    program = textwrap.dedent(PROGRAM) + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fit_after_a_fork_is_right():
    body = """
    import os, warnings
    warnings.simplefilter("ignore")  # of threads, which the workers of the first fit are
    expected = train(1), train(2)
    child = os.fork()
    right = same(train(1 if child else 2), expected[0 if child else 1])
    if not child:
        os._exit(0 if right else 1)
    print(right, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run_program(body) == "True 0"


def test_a_fit_in_a_worker_process_is_right(tmp_path):
    body = """
    import multiprocessing

    def all_of(seeds):
        try:
            import joblib
        except ImportError:
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                return pool.map(train, seeds)
        return joblib.Parallel(n_jobs=2)(joblib.delayed(train)(seed) for seed in seeds)

    if __name__ == "__main__":
        print(all(map(same, all_of([1, 2]), [train(1), train(2)])))
    """
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM) + textwrap.dedent(body), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


def test_a_mean_over_weight_0_is_nan_without_a_division_error():
    sums = EpochTotals()
    sums.add({"total": 0.0, "data_loss": 0.0, "penalty": 0.0}, 0.1)
    assert sums.losses == {"data_loss": 0.0, "penalty": 0.0}
    assert math.isfinite(sums.total)


def test_the_weights_of_a_run_are_on_the_device_of_its_data(xp):
    model = model_of(backend="auto")
    model.fit(xp.asarray(X), xp.asarray(Y), epochs=2)
    places = {(of(leaf).name, str(of(leaf).device)) for leaf in tree.leaves([model.params, model.state["slots"]])}
    assert places == {(of(xp.asarray(X)).name, str(of(xp.asarray(X)).device))}


def test_weights_are_copied_before_a_step_that_writes_to_them_and_not_after_the_last(monkeypatch):
    """A fit of a few steps on large weights took as long for its copies as for the steps."""
    copies = []
    plain = tree.copy
    monkeypatch.setattr(loop, "FETCH_SECONDS", 0.0)
    monkeypatch.setattr(loop.tree, "copy", lambda nest: copies.append(None) or plain(nest))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 2)).astype("float32"), rng.integers(0, 3, 30)

    def fit(steps, **options):
        model = nn.Model(nn.Sequential(nn.Dense(3)), optimizer=nn.SGD(0.1), seed=0, backend="numpy")
        model.fit(x, y, epochs=1, batch_size=30 // steps, verbose=0, **options)
        copies.clear()
        model.fit(x, y, epochs=1, batch_size=30 // steps, verbose=0, **options)
        return len(copies)

    assert fit(1) == 2  # params and state, when the fit begins
    assert fit(3) == 2 + 2 * 2
    assert fit(3, callbacks=[nn.Callback()]) == 2 + 3 * 2  # a callback may write to them
