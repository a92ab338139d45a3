"""Callbacks of arraynn in estimators: told what, and when, they are told in a Model; what they write can be used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

import arraynn as nn
from arraynn.sklearn import MLPClassifier, MLPRegressor, from_model

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = nn.datasets.spiral(20, 3)  # 60 rows


class Diary(nn.Callback):
    """Writes down what it is told of, and answers True to `stop_at`."""

    def __init__(self, stop_at=None):
        self.stop_at, self.told, self.logs = stop_at, [], []

    def note(self, text):
        self.told.append(text)
        return text == self.stop_at

    def on_fit_begin(self, model):
        self.note("begin")

    def on_batch_end(self, model):
        return self.note(f"step {model.step}")

    def on_epoch_end(self, model, epoch, logs):
        assert model.epoch == epoch + 1 == len(model.history["loss"])
        self.logs.append(logs["loss"])
        return self.note(f"epoch {epoch}")

    def on_fit_end(self, model):
        self.note("end")


class Fails(nn.Callback):
    def __init__(self, where):
        self.where = where

    def on_epoch_end(self, model, epoch, logs):
        if self.where == "epoch" and epoch == 1:
            raise RuntimeError("in the epoch")

    def on_fit_end(self, model):
        if self.where == "end":
            raise RuntimeError("at the end")


def model_told(*callbacks, epochs=3):
    nn.Model(nn.Sequential(nn.Dense(3)), backend="numpy").fit(X, Y, epochs=epochs, batch_size=20, callbacks=callbacks)


def estimator_told(*callbacks, epochs=3):
    MLPClassifier((), batch_size=20, max_iter=epochs, callbacks=callbacks).fit(X, Y)


@pytest.mark.parametrize("stop_at", [None, "step 4", "epoch 1"])
def test_a_model_and_an_estimator_call_callbacks_alike(stop_at):
    diaries = []
    for told in (model_told, estimator_told):
        diaries.append(Diary(stop_at))
        told(diaries[-1])
    assert diaries[0].told == diaries[1].told
    assert diaries[0].told[-1] == "end"


@pytest.mark.parametrize("told", [model_told, estimator_told])
@pytest.mark.parametrize("where", ["epoch", "end"])
def test_an_error_in_one_callback_does_not_stop_calls_of_the_others(told, where):
    diary = Diary()
    with pytest.raises(RuntimeError, match="in the epoch" if where == "epoch" else "at the end"):
        told(Fails(where), diary)
    assert diary.told[-2:] == [f"epoch {1 if where == 'epoch' else 2}", "end"]


def test_returning_true_after_a_batch_stops_and_the_epoch_counts_the_rows_seen():
    whole = Diary()
    MLPClassifier(5, batch_size=20, max_iter=1, random_state=0, shuffle=False, callbacks=[whole]).fit(X[:20], Y[:20])
    diary = Diary("step 1")
    mlp = MLPClassifier(5, batch_size=20, max_iter=9, random_state=0, shuffle=False, callbacks=[diary])
    mlp.partial_fit(X, Y, classes=[0, 1, 2])
    assert (mlp.n_iter_, mlp.t_, len(mlp.loss_curve_)) == (1, 20, 1)
    first = MLPClassifier(5, batch_size=20, random_state=0, shuffle=False)
    first.partial_fit(X[:20], Y[:20], classes=[0, 1, 2])
    assert mlp.loss_ == first.loss_ == diary.logs[0]
    assert np.array_equal(mlp.coefs_[0], first.coefs_[0])


def test_partial_fits_continue_the_epoch_count_and_the_history():
    diary, histories = Diary(), []

    class Keep(nn.Callback):
        def on_fit_end(self, model):
            histories.append({name: list(values) for name, values in model.history.items()})

    mlp = MLPClassifier(5, batch_size=60, random_state=0, callbacks=[diary, Keep()])
    for _ in range(3):
        mlp.partial_fit(X, Y, classes=[0, 1, 2])
    assert [text for text in diary.told if "epoch" in text] == ["epoch 0", "epoch 1", "epoch 2"]
    assert histories[-1]["loss"] == mlp.loss_curve_
    assert histories[-1]["learning_rate"] == [0.001] * 3


def test_warm_starts_continue_the_epoch_count_and_a_new_fit_restarts_it():
    diary = Diary()
    mlp = (
        MLPRegressor(hidden_layer_sizes=5, batch_size=60, max_iter=2, warm_start=True, callbacks=diary)
        .fit(X, Y)
        .fit(X, Y)
    )
    assert [text for text in diary.told if "epoch" in text] == ["epoch 0", "epoch 1", "epoch 2", "epoch 3"]
    diary.told.clear()
    mlp.set_params(warm_start=False).fit(X, Y)
    assert [text for text in diary.told if "epoch" in text] == ["epoch 0", "epoch 1"]


def test_callbacks_added_later_see_the_history_of_earlier_epochs():
    mlp = MLPClassifier(5, random_state=0).partial_fit(X, Y, classes=[0, 1, 2])
    diary = Diary()
    mlp.set_params(callbacks=[diary]).partial_fit(X, Y)
    assert "epoch 1" in diary.told


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("every", ["epoch", 2, timedelta(microseconds=1)])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_checkpoint_loads_with_the_predictions_of_the_estimator(tmp_path, kind, every):
    path = tmp_path / "c.safetensors"
    seen = []

    class Look(nn.Callback):
        def on_batch_end(self, model):
            seen.append(path.exists())

    options = {"batch_size": 20, "max_iter": 2, "random_state": 0, "dropout": 0.1}
    mlp = kind(hidden_layer_sizes=5, callbacks=[nn.Checkpoint(path, every), Look()], **options).fit(X, Y)
    assert seen.index(True) == {"epoch": 3, 2: 2}.get(every, 1)  # within the run
    model = nn.Model.load(path, backend="numpy")
    assert model.epoch == 2
    assert model.step == 6
    assert model.history["loss"] == mlp.loss_curve_
    again = from_model(model)
    assert np.array_equal(again.predict(X), mlp.predict(X))
    again.partial_fit(X, Y)
    plain = kind(hidden_layer_sizes=5, **options).fit(X, Y)
    assert np.array_equal(plain.coefs_[0], mlp.coefs_[0])  # to save changes nothing


def test_a_checkpoint_is_written_on_the_way_out_by_ctrl_c(tmp_path):
    path = tmp_path / "c.safetensors"

    class Interrupted(nn.Callback):
        def on_batch_end(self, model):
            if model.step == 2:
                os.kill(os.getpid(), signal.SIGINT)

    mlp = MLPClassifier(5, batch_size=20, random_state=0, callbacks=[nn.Checkpoint(path), Interrupted()])
    with pytest.warns(UserWarning, match="interrupted by user"):
        mlp.fit(X, Y)
    model = nn.Model.load(path, backend="numpy")
    assert model.step == 2
    assert np.array_equal(model.params[0]["weight"], mlp.coefs_[0])


def test_a_checkpoint_without_a_folder_is_refused_before_training(tmp_path):
    mlp = MLPClassifier(5, callbacks=[nn.Checkpoint(tmp_path / "none" / "c.safetensors")])
    with pytest.raises(nn.CheckpointError, match="there is no folder"):
        mlp.fit(X, Y)
    assert mlp.loss_curve_ == []


def test_a_checkpoint_of_a_fit_that_diverges_is_the_last_finite_one(tmp_path):
    path = tmp_path / "c.safetensors"
    mlp = MLPRegressor(
        hidden_layer_sizes=5, callbacks=[nn.Checkpoint(path)], solver="sgd", learning_rate_init=1e30, max_iter=5
    )
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        mlp.fit(X, Y)
    model = nn.Model.load(path, backend="numpy")
    assert model.epoch < 5
    assert all(np.isfinite(leaf).all() for leaf in nn.tree.leaves(model.params))


def test_a_checkpoint_of_an_estimator_cannot_be_resumed(tmp_path):
    path = tmp_path / "c.safetensors"
    MLPClassifier(5, max_iter=1, callbacks=nn.Checkpoint(path)).fit(X, Y)
    model = nn.Model.load(path, backend="numpy")
    with pytest.raises(nn.CheckpointError, match="a saved model, not a checkpoint"):
        model.fit(X, Y, resume=path)


@pytest.mark.parametrize("solver", ["adam", "sgd", nn.AdamW(0.01)])
def test_files_are_loaded_and_predicted_from_without_scikit_learn(tmp_path, solver):
    best, checkpoint = (nn.BestWeights(tmp_path / "best", "loss"), nn.Checkpoint(tmp_path / "checkpoint"))
    options = {"max_iter": 2, "random_state": 0, "alpha": 0.01, "dropout": 0.1, "callbacks": [best, checkpoint]}
    mlp = MLPClassifier(5, solver=solver, **options).fit(X, Y)
    mlp.to_model().save(tmp_path / "model")
    np.savez(tmp_path / "x.npz", x=X)
    program = f"""
import sys
for name in ("sklearn", "scipy", "arraynn.sklearn"):
    sys.modules[name] = None  # as where they are not installed
import arraynn as nn
from arraynn.cli import main
for name in ("best", "checkpoint", "model"):
    model = nn.Model.load(name, backend="numpy")
    x, y = nn.datasets.load_npz_inputs("x.npz"), {Y.tolist()}
    model.fit(x, y)
    assert main(["predict", name, "x.npz", "--backend", "numpy"]) == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in done.stdout.splitlines()]
    found = [[int(row[1]) for row in rows[start + 1 : start + 61]] for start in (0, 61, 122)]
    assert found[1] == found[2] == mlp.predict(X).tolist()
