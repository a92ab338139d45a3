"""What `arraynn train` can be told of optimizers, activations, losses and data, and `arraynn evaluate`."""

import numpy as np
import pytest

import arraynn as nn
from arraynn.cli import main
from arraynn.cli._recipes import ACTIVATIONS, LOSSES, OPTIMIZERS
from arraynn.losses import as_loss


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)


def train(*words):
    return main(["train", *map(str, words), "--backend", "numpy", "--out", "run", "--overwrite", "--quiet"])


def model():
    return nn.Model.load("run/model.safetensors", backend="numpy")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_trains(name):
    assert train("moons", "--samples", 40, "--epochs", 12, "--optimizer", name) == 0
    assert type(model().optimizer).__name__.lower() == name
    assert model().history["loss"][-1] < model().history["loss"][0]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_trains(name):
    assert train("blobs", "--samples", 20, "--epochs", 3, "--activation", name) == 0
    assert type(model().network[1]).__name__.lower() == name
    assert model().history["loss"][-1] < model().history["loss"][0]


def is_of_values(name):
    return as_loss(name).targets == "values" and not hasattr(as_loss(name), "threshold")


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains_on_data_of_its_kind(name):
    if name == "poisson":  # which takes no negative targets
        x = np.linspace(0, 1, 40, dtype="float32")[:, None]
        np.savez("counts.npz", x=x, y=np.floor(5 * x))
        assert train("counts.npz", "--epochs", 3, "--loss", name) == 0
    else:
        assert train("sine" if is_of_values(name) else "moons", "--samples", 40, "--epochs", 3, "--loss", name) == 0
    assert model().loss == as_loss(name)
    assert model().history["loss"][-1] < model().history["loss"][0]


@pytest.mark.parametrize(
    ("data", "least"), [("moons", 0.95), ("circles", 0.95), ("blobs", 0.95), ("xor", 0.85), ("iris", 0.9)]
)
def test_every_data_set_is_learnt_with_its_default_settings(data, least):
    assert train(data) == 0
    assert model().history["val_accuracy"][-1] >= least


def test_clipping_dtype_and_weights_reach_the_model():
    assert train("moons", "--epochs", 2, "--clip-norm", 0.5, "--dtype", "float64", "--class-weight", "0:1,1:0") == 0
    assert (model().clip_norm, model().dtype) == (0.5, "float64")
    x, _ = nn.datasets.moons(50)
    assert not model().predict(x).any()  # the class of weight 0 is not learnt
    assert train("moons", "--epochs", 2, "--class-weight", "balanced") == 0


def test_early_stopping_ends_the_run_and_keeps_the_best_weights():
    assert train("blobs", "--epochs", 400, "--learning-rate", 0.3, "--early-stopping", 3) == 0
    values = model().history["val_loss"]
    assert len(values) < 400
    assert int(np.argmin(values)) == len(values) - 4
    x, y = nn.datasets.blobs(100, seed=1)
    assert model().evaluate(x, y)["loss"] == pytest.approx(min(values), rel=1e-5)


def test_early_stopping_without_validation_follows_the_loss():
    assert train("iris", "--epochs", 3, "--validation-split", 0, "--early-stopping", 50) == 0
    assert "val_loss" not in model().history


def test_evaluate_measures_the_rows_that_were_not_trained_on(capsys):
    assert train("moons", "--samples", 60, "--epochs", 5) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "moons", "--samples", "60", "--metrics", "accuracy,f1,roc_auc"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["rows", "loss", "accuracy", "f1", "roc_auc"]
    assert row.split()[:2] == ["test", "120"]
    x, y = nn.datasets.moons(60, seed=1)
    assert float(row.split()[2]) == pytest.approx(model().evaluate(x, y)["loss"], abs=1e-4)


def test_evaluate_of_a_file_takes_its_test_rows_or_all(capsys):
    x, y = nn.datasets.moons(60)
    assert train("moons", "--epochs", 2) == 0
    np.savez("all.npz", x=x, y=y)
    np.savez("split.npz", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
    capsys.readouterr()
    assert main(["evaluate", "run/model.safetensors", "all.npz"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["all", "120"]
    assert main(["evaluate", "run", "split.npz"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["test", "10"]


def test_evaluate_refuses_data_that_do_not_fit(capsys):
    assert train("moons", "--epochs", 2) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "iris"]) == 1
    assert "class labels must lie in [0, 1], got 2" in capsys.readouterr().err
    assert main(["evaluate", "nowhere", "moons"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["evaluate", "run", "moons", "--metrics", "acuracy"]) == 2
    assert "did you mean 'accuracy'" in capsys.readouterr().err
