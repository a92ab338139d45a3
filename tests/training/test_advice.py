import pickle
import warnings

import numpy as np
import pytest

import arraynn as nn
from arraynn.cli import main
from arraynn.training import advice


def classifier(classes, **options):
    return nn.Model(nn.Sequential(nn.Dense(classes)), backend="numpy", **options)


X = np.random.default_rng(0).standard_normal((400, 3))


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        ([10, 15], 16, r"2 distinct values up to 15, and no row has the class 0, 1, 2, 3, 4, …; the network has 16"),
        ([1, 2, 3], 4, "no row has the class 0;.*number the labels from 0"),
        ([0, 2], 3, "no row has the class 1;"),
    ],
)
@pytest.mark.parametrize("rows", [400, 8])
def test_an_offset_or_a_gap_in_the_labels_gives_a_warning(labels, classes, said, rows, backend):
    if rows == 8 and classes < 16:
        pytest.skip("a few rows may miss a class by chance")
    model = nn.Model(nn.Sequential(nn.Dense(classes)), backend=backend)
    y = np.resize(labels, rows)
    with pytest.warns(nn.DataWarning, match=said) as caught:
        model.fit(X[:rows], y, verbose=0)
    assert caught[0].filename == __file__  # the line that gave the data


@pytest.mark.parametrize(
    ("labels", "classes"), [([0, 1, 2], 3), ([0, 1], 5), ([0, 1, 3, 4, 6, 7, 9], 10), ([0, 1, 2, -1], 3)]
)
def test_other_labels_give_no_warning(labels, classes):
    loss = nn.SoftmaxCrossEntropy(ignore_label=-1)
    model = nn.Model(nn.Sequential(nn.Dense(classes)), loss, backend="numpy")
    rows = 20 if len(labels) == 7 else 400
    model.fit(X[:rows], np.resize(labels, rows), verbose=0)


def test_the_command_line_warns_in_one_line(tmp_path, capsys):
    np.savez(tmp_path / "d.npz", x=X, y=np.resize([10, 15], 400))
    assert main(["train", str(tmp_path / "d.npz"), "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(lines) == 1
    assert lines[0].startswith("arraynn train: warning: the labels have 2 distinct values up to 15")


SECONDS = 1_700_000_000 + np.arange(400)


@pytest.mark.parametrize("dtype", ["int64", "float64", "uint32"])
def test_inputs_that_float32_cannot_distinguish_give_a_warning(dtype, backend):
    if dtype == "float64" and backend == "jax":
        pytest.skip("JAX has no float64 unless asked")
    x = np.stack([np.arange(400), SECONDS], axis=1).astype(dtype)
    said = r"column 1 of x has 400 distinct values from 1700000000 to 1700000399, of which float32 can tell apart \d:"
    model = nn.Model(nn.Sequential(nn.Dense(2)), backend=backend)
    with pytest.warns(nn.DataWarning, match=said + ".*float64"):
        model.fit(x, np.arange(400) % 2, batch_size=400, verbose=0)


def test_targets_that_float32_cannot_distinguish_give_a_warning():
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.mean_absolute_error, backend="numpy")
    with pytest.warns(nn.DataWarning, match="y has 400 distinct values"):
        model.fit(X, SECONDS, verbose=0)


@pytest.mark.parametrize(
    "column",
    [
        np.arange(400) * 3_600_000,
        SECONDS - SECONDS[0],
        np.full(400, SECONDS[0]),
        1e9 + 1e9 * X[:, 0],
        X[:, 0],
        255 * X[:, 0],
    ],
)
def test_inputs_that_float32_can_distinguish_give_no_warning(column):
    classifier(2).fit(column[:, None], np.arange(400) % 2, verbose=0, batch_size=400)


def test_in_float64_the_same_inputs_give_no_warning():
    x = SECONDS[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error", nn.DataWarning)
        classifier(2, dtype="float64", optimizer=nn.SGD(0.0)).fit(x, np.arange(400) % 2, verbose=0)


def test_integer_inputs_of_an_embedding_are_not_checked(monkeypatch):
    monkeypatch.setattr(advice, "of_digits", lambda *_: pytest.fail("x is looked up"))
    model = nn.Model(nn.Sequential(nn.Embedding(5, 2), nn.Dense(2)), backend="numpy")
    model.fit(np.arange(8) % 5, np.arange(8) % 2, verbose=0)


def test_divergence_on_large_targets_advises_to_scale_them():
    model = nn.Model(
        nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(1)), nn.mean_squared_error, nn.SGD(0.1), backend="numpy"
    )
    with pytest.raises(nn.DivergedError, match=r"the targets reach .*e\+0\d: scale them.*; else a smaller") as caught:
        model.fit(X, 1e8 * X[:, 0], epochs=20, verbose=0)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.remedy) == (str(caught.value), caught.value.remedy)
    model = nn.Model(
        nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(1)), nn.mean_squared_error, nn.SGD(0.1), backend="numpy"
    )
    with pytest.raises(nn.DivergedError, match=r"finite weights; x reaches .*: scale its columns"):
        model.fit(1e5 * X, X[:, 0], epochs=20, verbose=0)
