"""Runs that are broken off anywhere and go on: the same bits as runs that are not."""

from __future__ import annotations

import logging
import os
import signal
from datetime import timedelta

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.io import model_file
from arraynn.training import loop

X, Y = nn.datasets.spiral(12, 3)
NETWORK = nn.Sequential(
    nn.Dense(8, weight_regularizer=nn.L2(1e-3)), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3)
)


class Killed(BaseException):
    """What nobody catches."""


class Kill(nn.Callback):
    """Ends the run after so many steps, without a word to anyone: what a checkpoint sees of SIGKILL."""

    every_epoch = False

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, model):
        if model.step == self.step:
            raise Killed


def make(**options):
    options = {"optimizer": nn.Adam(nn.InverseTimeDecay(0.02, decay=1e-3)), "clip_norm": 1.0, "seed": 5} | options
    return nn.Model(NETWORK, backend=options.pop("backend", "numpy"), **options)


def watchers(folder, patience=3):
    return [
        nn.EarlyStopping("val_loss", patience=patience),
        nn.ReduceLROnPlateau("loss", patience=1, min_delta=0.05, factor=0.5),
        nn.CSVLog(folder / "log.csv"),
        nn.BestWeights(folder / "best.safetensors"),
    ]


def fit(model, folder, *more, every=2, resume=False, **options):
    path = folder / "run.safetensors"
    options = {"epochs": 6, "batch_size": 7, "validation_split": 0.2, "verbose": 0} | options
    callbacks = [*watchers(folder), nn.Checkpoint(path, every), *more]
    return model.fit(X, Y, callbacks=callbacks, resume=path if resume else None, **options)


def same(model, other):
    assert (model.step, model.epoch, model.optimizer) == (other.step, other.epoch, other.optimizer)
    assert repr(model.history) == repr(other.history)  # nan is nan
    for part in ("params", "state"):
        pairs = zip(tree.items(getattr(model, part)), tree.leaves(getattr(other, part)), strict=True)
        for (path, a), b in pairs:
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=path)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The run that nobody breaks off, without a checkpoint."""
    model, folder = make(), tmp_path_factory.mktemp("straight")
    model.fit(X, Y, callbacks=watchers(folder), epochs=6, batch_size=7, validation_split=0.2, verbose=0)
    return model, folder


@pytest.mark.parametrize("every", [1, 3, "epoch", timedelta(microseconds=1)], ids=str)
@pytest.mark.parametrize("step", [1, 4, 5, 11, 19, 20])
def test_a_run_killed_at_any_step_ends_with_the_same_bits(step, every, straight, tmp_path):
    model, folder = straight
    with pytest.raises(Killed):
        fit(make(), tmp_path, Kill(step), every=every)
    again = make()
    fit(again, tmp_path, every=every, resume=True)
    same(again, model)
    assert (tmp_path / "log.csv").read_text() == (folder / "log.csv").read_text()
    assert (tmp_path / "best.safetensors").read_bytes() == (folder / "best.safetensors").read_bytes()


def test_a_run_killed_repeatedly_ends_with_the_same_bits(straight, tmp_path):
    for step in (2, 3, 7, 8, 9, 15, 20):
        with pytest.raises(Killed):
            fit(make(), tmp_path, Kill(step), every=1, resume=True)
    again = make()
    fit(again, tmp_path, every=1, resume=True)
    same(again, straight[0])


def test_saving_changes_nothing_but_the_file(straight, tmp_path):
    model = make()
    fit(model, tmp_path, every=1)
    same(model, straight[0])


def test_resuming_a_finished_run_changes_nothing(straight, tmp_path):
    fit(make(), tmp_path)
    again = make()
    again_history = fit(again, tmp_path, Kill(again.step + 1), resume=True)
    same(again, straight[0])
    assert repr(again_history) == repr(straight[0].history)


def test_a_finished_run_can_be_continued_for_more_epochs(tmp_path):
    longer = make()
    fit(longer, tmp_path / "..", epochs=4)
    (tmp_path / "..").joinpath("run.safetensors").unlink()
    fit(make(), tmp_path, epochs=2)
    again = make()
    fit(again, tmp_path, epochs=4, resume=True)
    same(again, longer)


@pytest.mark.parametrize("delay", [0.0, 1e9])
def test_pending_reports_are_delivered_before_a_checkpoint(delay, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", delay)
    path = tmp_path / "run.safetensors"

    def run(*callbacks, resume=None):
        model = make()
        told = nn.CSVLog(tmp_path / "log.csv")  # not eager: nothing asks for the numbers but the checkpoint
        model.fit(X, Y, epochs=5, batch_size=7, callbacks=[told, *callbacks], verbose=0, resume=resume)
        return model, (tmp_path / "log.csv").read_text()

    straight, log = run()
    with pytest.raises(Killed):
        run(nn.Checkpoint(path, 4), Kill(19))
    resumed, again = run(nn.Checkpoint(path, 4), resume=path)
    same(resumed, straight)
    assert again == log


def test_a_stop_within_an_epoch_is_remembered(tmp_path):
    class Enough(nn.Callback):
        every_epoch = False

        def on_batch_end(self, model):
            return model.step == 9

    straight = make()
    fit(straight, tmp_path, Enough())
    for name in ("run.safetensors", "log.csv"):
        (tmp_path / name).unlink()
    with pytest.raises(Killed):
        fit(make(), tmp_path, Enough(), Kill(8), every=1)
    again = make()
    fit(again, tmp_path, Enough(), every=1, resume=True)
    same(again, straight)


def test_an_iterable_resumes_at_its_position(tmp_path):
    batches = [(X[i : i + 9], Y[i : i + 9]) for i in range(0, 36, 9)]
    path = tmp_path / "run.safetensors"

    def run(*callbacks, resume=None):
        model = make()
        model.fit(batches, epochs=4, callbacks=[nn.Checkpoint(path, 1), *callbacks], verbose=0, resume=resume)
        return model

    straight = run()
    path.unlink()
    with pytest.raises(Killed):
        run(Kill(6))
    same(run(resume=path), straight)


@pytest.mark.parametrize("steps", [3, 13])
@pytest.mark.parametrize(
    ("number", "error", "code"), [(signal.SIGINT, KeyboardInterrupt, None), (signal.SIGTERM, SystemExit, 143)]
)
def test_a_signal_saves_a_checkpoint_and_stops(number, error, code, steps, straight, tmp_path):
    class Send(nn.Callback):
        every_epoch = False

        def on_batch_end(self, model):
            if model.step == steps:
                signal.raise_signal(number)

    before = signal.getsignal(number)
    model = make()
    with pytest.raises(error) as raised:
        fit(model, tmp_path, Send(), every="epoch")  # whose last save was at the epoch's end
    assert signal.getsignal(number) is before
    assert getattr(raised.value, "code", None) == code
    assert nn.Model.load(tmp_path / "run.safetensors").step == model.step == steps
    again = make()
    fit(again, tmp_path, every="epoch", resume=True)
    same(again, straight[0])


def test_a_run_that_diverges_leaves_the_last_checkpoint(tmp_path):
    class Huge(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            if epoch == 2:
                model.optimizer = nn.SGD(1e30)

    model = nn.Model(nn.Sequential(nn.Dense(3)), optimizer=nn.SGD(0.1), backend="numpy", loss=nn.mean_squared_error)
    targets = np.eye(3)[Y]
    with pytest.raises(nn.DivergedError):
        model.fit(X, targets, epochs=9, callbacks=[nn.Checkpoint(tmp_path / "c", "epoch"), Huge()], verbose=0)
    assert nn.Model.load(tmp_path / "c").epoch == 3


# ---------------------------------------------------------------- what is not resumed


def test_resume_without_a_file_starts_from_the_beginning(straight, tmp_path, caplog):
    model = make()
    with caplog.at_level(logging.INFO, "arraynn"):
        fit(model, tmp_path, resume=True)
    assert "training begins" in caplog.text
    same(model, straight[0])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"seed": 6}, "seed"),
        ({"optimizer": nn.SGD(0.1)}, "optimizer"),
        ({"loss": nn.SoftmaxCrossEntropy(0.1)}, "loss"),
        ({"clip_norm": None}, "clipping"),
        ({"metrics": []}, "metrics"),
    ],
)
def test_another_model_is_refused_and_unchanged(options, word, tmp_path):
    fit(make(), tmp_path, epochs=1)
    model = make(**options)
    with pytest.raises(nn.CheckpointError, match=f"another {word}"):
        fit(model, tmp_path, resume=True)
    assert model.params is None


@pytest.mark.parametrize("options", [{"batch_size": 8}, {"shuffle": False}, {"validation_split": 0.3}])
def test_another_fit_is_refused(options, tmp_path):
    fit(make(), tmp_path, epochs=1)
    with pytest.raises(nn.CheckpointError, match="another"):
        fit(make(), tmp_path, resume=True, **options)


def test_other_callbacks_are_refused(tmp_path):
    fit(make(), tmp_path, epochs=1)
    with pytest.raises(nn.CheckpointError, match="another callbacks that keep notes"):
        fit(make(), tmp_path, nn.EarlyStopping("loss"), resume=True)


def plain(model, path, **options):
    model.fit(X, Y, batch_size=7, callbacks=nn.Checkpoint(path), **options)
    return model


def test_another_learning_rate_is_resumed_only_with_change(tmp_path, caplog):
    path, other = tmp_path / "run.safetensors", nn.Adam(nn.CosineDecay(0.005, steps=50))
    plain(make(), path)
    with pytest.raises(nn.CheckpointError, match=r"another learning_rate: .*; change=\('learning_rate',\) goes on"):
        plain(make(optimizer=other), path, resume=path)
    with caplog.at_level("INFO", logger="arraynn"):
        model = plain(make(optimizer=other), path, resume=path, epochs=3, change=("learning_rate", "epochs"))
    first = make().optimizer.learning_rate
    assert caplog.messages == [f"{path} goes on with learning_rate {first} → {other.learning_rate}; epochs 1 → 3"]
    steps = model.step // 3
    expected = [first(steps - 1), other.learning_rate(2 * steps - 1), other.learning_rate(3 * steps - 1)]
    assert model.history["learning_rate"] == pytest.approx(expected)
    assert model.optimizer == other


def test_a_change_to_the_same_value_resumes_to_the_same_bits(tmp_path, caplog):
    path = tmp_path / "run.safetensors"
    straight = plain(make(), tmp_path / "straight", epochs=3)
    plain(make(), path, epochs=1)
    with caplog.at_level("INFO", logger="arraynn"):
        same(plain(make(), path, resume=path, epochs=3, change="learning_rate"), straight)
    assert caplog.messages == [f"{path} goes on with epochs 1 → 3"]


@pytest.mark.parametrize(
    ("rule", "held"),
    [
        (lambda s: nn.Adam(nn.CosineDecay(0.02, steps=s)), lambda o: o.learning_rate),
        (lambda s: nn.SGD(nn.LinearWarmup(nn.PolynomialDecay(0.02, steps=s - 3), steps=3)), lambda o: o.learning_rate),
        (lambda s: nn.EMA(nn.Adam(nn.OneCycle(0.02, steps=s))), lambda o: o.optimizer.learning_rate),
    ],
    ids=["cosine", "after a warm-up", "in an average"],
)
def test_a_schedule_that_ends_with_the_fit_ends_with_the_longer_one(rule, held, tmp_path, caplog):
    path, epoch = tmp_path / "run.safetensors", -(-len(X) // 7)
    options = {"optimizer": rule(2 * epoch)}
    plain(make(**options), path, epochs=2)
    with caplog.at_level("INFO", logger="arraynn"):
        model = plain(make(**options), path, resume=path, epochs=4)
    longer = rule(4 * epoch)
    assert model.optimizer == longer
    assert caplog.messages == [f"{path} goes on with epochs 2 → 4; optimizer {options['optimizer']} → {longer}"]
    rates = [held(rule(2 * epoch))(k * epoch - 1) for k in (1, 2)] + [held(longer)(k * epoch - 1) for k in (3, 4)]
    assert model.history["learning_rate"] == pytest.approx(rates)
    caplog.clear()
    with caplog.at_level("INFO", logger="arraynn"):  # and what goes on unchanged is the same to the bit
        same(plain(make(**options), path, resume=path, epochs=4), model)
    assert caplog.messages == []


def test_a_schedule_of_another_end_stays_as_it_is(tmp_path, caplog):
    path = tmp_path / "run.safetensors"
    options = {"optimizer": nn.Adam(nn.CosineDecay(0.02, steps=1000))}
    plain(make(**options), path, epochs=1)
    same(plain(make(**options), path, resume=path, epochs=3), plain(make(**options), tmp_path / "straight", epochs=3))


def test_change_takes_three_names_only(tmp_path):
    for change in ("batch_size", ["learning_rate", "seed"]):
        with pytest.raises(ValueError, match=r"change takes learning_rate, epochs, validation_freq, got '(batch|seed)"):
            fit(make(), tmp_path, resume=True, change=change)


def test_a_saved_model_cannot_be_resumed(tmp_path):
    model = make()
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "run.safetensors")
    with pytest.raises(nn.CheckpointError, match="not a checkpoint"):
        fit(make(), tmp_path, resume=True)


def test_a_checkpoint_loads_as_a_model(tmp_path):
    model = make()
    fit(model, tmp_path, epochs=2)
    np.testing.assert_array_equal(nn.Model.load(tmp_path / "run.safetensors")(X).shape, (36, 3))


def test_an_unregistered_layer_is_refused_before_the_first_step(tmp_path):
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Mine(nn.Activation):
        def function(self, x):
            return x, lambda dy: dy

    model = nn.Model(nn.Sequential(Mine(), nn.Dense(3)), backend="numpy")
    with pytest.raises(nn.CheckpointError, match=r"nn\.register\(Mine\)"):
        model.fit(X, Y, callbacks=[nn.Checkpoint(tmp_path / "c")], verbose=0)
    assert model.step == 0


@pytest.mark.parametrize("every", [0, -1, True, 1.5, "step", timedelta(0)])
def test_every_is_checked(every):
    with pytest.raises(ValueError, match="every must be"):
        nn.Checkpoint("c", every)


def test_a_missing_folder_is_reported_at_once(tmp_path):
    model = make()
    with pytest.raises(nn.CheckpointError, match="no folder"):
        model.fit(X, Y, callbacks=[nn.Checkpoint(tmp_path / "no" / "c")], verbose=0)


def test_a_disk_that_is_full_for_a_while_does_not_end_the_run(tmp_path, monkeypatch, caplog):
    real, full = os.fsync, [True] * 3

    def fsync(handle):
        if full and full.pop():
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    model = make()
    model.fit(X, Y, epochs=2, batch_size=7, callbacks=[nn.Checkpoint(tmp_path / "c", 2)], verbose=0)
    assert caplog.text.count("No space left on device; an existing file") == 3
    assert nn.Model.load(tmp_path / "c").step == model.step == 12


def test_a_disk_that_stays_full_is_an_error_at_the_end(tmp_path, monkeypatch):
    def fsync(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    model = nn.Model(NETWORK, backend="numpy")
    with pytest.raises(nn.CheckpointError, match="No space left"):
        model.fit(X, Y, epochs=2, callbacks=[nn.Checkpoint(tmp_path / "c")], verbose=0)
    assert model.epoch == 2
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- from anyone

NOTES = {"EarlyStopping": 0, "ReduceLROnPlateau": 1, "BestWeights": 2}  #: where each stands among those that note


def noted(name, **values):
    return lambda header, parts: header["run"]["callbacks"][NOTES[name]][1].update(values)


def progress(**values):
    return lambda header, parts: header["run"]["progress"].update(values)


HOSTILE = {
    "a best of text": noted("BestWeights", best="1"),
    "a best that is none": noted("EarlyStopping", best={"float": "nan"}),
    "a best that is missing": lambda header, parts: header["run"]["callbacks"][1][1].pop("best"),
    "a negative patience": noted("ReduceLROnPlateau", waited=-(10**9)),
    "half an epoch of patience": noted("ReduceLROnPlateau", waited=0.5),
    "best weights of another form": lambda header, parts: parts["callbacks"][0]["best_params"].pop(),
    "best weights of another shape": lambda header, parts: parts["callbacks"][0]["best_params"][0].update(
        bias=np.zeros(9, np.float32)
    ),
    "epochs that history lacks": lambda header, parts: header.update(epoch=2**40),
    "an epoch before the first": progress(begin=-1),
    "a place beyond all places": progress(position=10**30),
    "half a place": progress(position=1.5),
    "sums that are missing": progress(losses={}),
    "sums of a metric that are missing": progress(metrics={"accuracy": {}}),
    "sums of a metric that have no sum": progress(metrics={"accuracy": {"weight": 0.0}}),
    "no optimizer": lambda header, parts: header.pop("optimizer"),
    "a layer for an optimizer": lambda header, parts: header.update(optimizer={"type": "ReLU.v1", "fields": {}}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_checkpoint_raises_checkpoint_error(name, tmp_path):
    path = tmp_path / "run.safetensors"
    with pytest.raises(Killed):
        fit(make(), tmp_path, Kill(9), every=1)  # in its second epoch
    header, parts = model_file.read(path)
    HOSTILE[name](header, parts)
    model_file.write(path, header, parts)
    with pytest.raises(nn.CheckpointError):
        fit(make(), tmp_path, every=1, resume=True)
