"""Workers beside what else a fit or a command line may be asked for."""

import numpy as np
import pytest

import arraynn as nn
from arraynn.cli import main

RNG = np.random.default_rng(4)
X = RNG.standard_normal((60, 5)).astype("f4")
Y = (X[:, 0] + RNG.standard_normal(60) > 0).astype("i8")


@pytest.mark.parametrize("how", [{"shards": 4}, {"workers": nn.workers()}])
def test_micro_batch_is_refused_with_workers_or_shards(how):
    network, told = nn.Sequential(nn.Dense(2)), "micro_batch does not go with workers or shards"
    with pytest.raises(ValueError, match=told):
        nn.make_train_step(network, nn.softmax_cross_entropy, nn.SGD(), micro_batch=8, **how)
    model = nn.Model(network, backend="numpy")
    with pytest.raises(ValueError, match=told):
        model.fit(X, Y, micro_batch=8, verbose=0, **how)
    assert model.params is None


@pytest.mark.parametrize("weighted", [False, True])
def test_a_metric_of_a_whole_set_has_its_rows_in_order_on_any_number_of_workers(weighted, monkeypatch):
    monkeypatch.setattr(type(nn.backend("numpy")), "inference_rows", 7)
    weight = (RNG.random(60) + 0.5).astype("f4")

    def histories(group):
        network = nn.Sequential(nn.Dense(6), nn.ReLU(), nn.Dense(2))
        model = nn.Model(network, metrics=["accuracy", "roc_auc"], seed=2, backend="numpy")
        held = (X, Y, weight) if weighted else (X, Y)
        model.fit(X, Y, epochs=2, validation_data=held, workers=group, shards=8, verbose=0)
        measured = model.evaluate(*held)
        assert "roc_auc" not in model.history
        assert model.history["val_roc_auc"][-1] == measured["roc_auc"]
        return model.history

    alone = histories(None)
    for count in (2, 4):
        assert nn.workers(f"threads:{count}").run(histories) == [alone] * count


def test_more_workers_than_blocks_of_rows_measure_a_whole_set_too():
    def area(group):
        model = nn.Model(nn.Sequential(nn.Dense(2)), metrics="roc_auc", seed=2, backend="numpy")
        return model.fit(X, Y, validation_data=(X, Y), workers=group, shards=4, verbose=0)["val_roc_auc"]

    assert nn.workers("threads:4").run(area) == [area(None)] * 4


def test_targets_that_are_labels_train_on_workers():
    names = np.asarray(["ham", "spam"])[Y]

    def fit(group):
        model = nn.Model(nn.Sequential(nn.Dense(2)), classes=("ham", "spam"), seed=2, backend="numpy")
        return model.fit(X, names, workers=group, shards=4, verbose=0)["loss"], model.predict(X).tolist()

    assert nn.workers("threads:2").run(fit) == [fit(None)] * 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rows.csv", "--target", "a", "--workers", "2"], "go with a data set or FILE.npz, not with a table"),
        (["rows.csv", "--target", "a", "--shards", "2"], "go with a data set or FILE.npz, not with a table"),
        (["spiral", "--seeds", "2", "--workers", "2"], "--seeds and --workers do not go together"),
    ],
)
def test_options_that_workers_do_not_support_are_reported(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words]) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_seeds_and_a_film_work_with_shards(tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL")
    monkeypatch.chdir(tmp_path)
    common = ["--epochs", "2", "--hidden", "4", "--shards", "2", "--backend", "numpy", "--film"]
    assert main(["train", "spiral", *common, "--seeds", "2", "--out", "both"]) == 0
    assert len(list((tmp_path / "both").glob("seed-*/film.webp"))) == 2
    assert "mean ± standard deviation of 2 seeds" in capsys.readouterr().out
