"""The command line: what it prints and keeps, and that whatever goes wrong is one line and the right exit code."""

from __future__ import annotations

import csv
import errno
import os
import re
import signal
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import arraynn as nn
from arraynn import cli
from arraynn.cli import main

ROOT = Path(__file__).parents[1]
FAST = ["--epochs", "2", "--backend", "numpy"]
FILES = ["boundary.png", "curves.png", "history.csv", "model.safetensors"]
NAN = float("nan")


@pytest.fixture(autouse=True)
def elsewhere(request, tmp_path, monkeypatch):
    """Every test works in a folder of its own, with no data sets at hand, and draws only where it says `pictures`."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARRAYNN_DATA", raising=False)
    monkeypatch.delenv("ARRAYNN_TRACEBACK", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def train(*words: object) -> None:
    assert main(["train", *map(str, words), *FAST, "--quiet"]) == 0


def names(folder) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def save(**arrays) -> str:
    np.savez("mine.npz", **arrays)
    return "mine.npz"


def points(rows: int = 40, columns: int = 2):
    x = np.random.default_rng(0).normal(size=(rows, columns)).astype("float32")
    return x, (x[:, 0] > 0).astype(int)


# ---------------------------------------------------------------- what a run shows and keeps


def test_a_run_prints_its_progress_and_writes_four_files(run, pictures):
    code, out, err = run("train", "vertical", *FAST)
    assert (code, err) == (0, "")
    assert names("runs/vertical-001") == FILES
    for wanted in (
        f"backend   numpy {np.__version__} on cpu\n          asked for by name",
        "data      vertical, 300 rows of shape (2,), 3 classes; 300 rows for validation",
        "training  2 epochs, 32 rows per step, adam, learning rate 0.01, seed 0",
        f"into      {Path('runs', 'vertical-001')}",
        "2  Dense  (N, 3)",
        "epoch 2/2  loss",
        "val_accuracy",
        "in runs",
    ):
        assert wanted in out
    assert re.search(r"\n +rows +loss +accuracy\ntraining +300 +[\d.]+ +[\d.]+\nvalidation +300 +[\d.]+ +[\d.]+\n", out)


def test_without_a_named_backend_the_reason_for_the_choice_is_printed(run):
    _, out, _ = run("train", "vertical", "--epochs", 1)
    backend = nn.backend("auto")
    assert f"backend   {backend.name}" in out
    assert backend.reason in out
    assert out.count(backend.reason) == 1  # not by the log as well


def test_folders_of_runs_are_numbered(run):
    folders = [run("train", "vertical", *FAST, "--quiet")[1].strip() for _ in range(2)]
    assert folders == [str(Path("runs", f"vertical-{n:03}")) for n in (1, 2)]


def test_quiet_prints_the_folder_only(run, pictures):
    assert run("train", "sine", *FAST, "--quiet", "--out", "a/b") == (0, f"{Path('a/b')}\n", "")
    assert names("a/b") == ["curves.png", "fit.png", "history.csv", "model.safetensors"]


def test_the_same_seed_gives_the_same_model(run):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        train("vertical", "--seed", seed, "--out", out)
    a, b, c = (nn.Model.load(f"{out}/model.safetensors", backend="numpy").params[0]["weight"] for out in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_history_csv_equals_the_history_of_the_model():
    train("vertical", "--out", "run")
    history = nn.Model.load("run/model.safetensors", backend="numpy").history
    with open("run/history.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["epoch", *history]
    assert [[float(cell) for cell in row] for row in rows] == [
        [e, *v] for e, v in enumerate(zip(*history.values(), strict=True))
    ]


def test_a_folder_with_a_model_is_refused_before_training(run, monkeypatch):
    train("vertical", "--out", "run")
    before = Path("run/model.safetensors").read_bytes()
    monkeypatch.setattr(nn.Model, "fit", lambda *args, **kwargs: pytest.fail("it was trained"))
    code, _, err = run("train", "digits", "--out", "run")
    assert code == 2
    assert "model.safetensors exists; --resume continues it with more --epochs, --overwrite" in one_line(err)
    assert Path("run/model.safetensors").read_bytes() == before


def test_overwrite_removes_all_files_of_the_previous_run(pictures):
    train("vertical", "--out", "run")
    train("digits", "--out", "run", "--overwrite")
    assert names("run") == ["curves.png", "history.csv", "model.safetensors"]
    assert nn.Model.load("run/model.safetensors", backend="numpy").input_shape == (64,)


def test_every_option_reaches_the_model(run):
    words = "--hidden 7,5 --activation sigmoid --dropout 0.25 --l1 1e-5 --l2 1e-4 --optimizer sgd --momentum 0.5"
    words += " --learning-rate 0.25 --decay 0.125 --seed 3 --batch-size full --validation-split 0.5 --samples 10"
    code, out, _ = run("train", "spiral", "--classes", 4, *words.split(), *FAST, "--out", "run")
    model = nn.Model.load("run/model.safetensors", backend="numpy")
    penalty = {"weight_regularizer": nn.L1L2(1e-5, 1e-4), "bias_regularizer": nn.L1L2(1e-5, 1e-4)}
    first, second = (nn.Dense(n, **penalty) for n in (7, 5))
    rest = nn.Sigmoid(), nn.Dropout(0.25)
    assert code == 0
    assert model.network == nn.Sequential(first, *rest, second, *rest, nn.Dense(4))
    assert model.optimizer == nn.SGD(nn.InverseTimeDecay(0.25, decay=0.125), momentum=0.5)
    assert (model.seed, model.epoch, model.step) == (3, 2, 2)
    assert "20 rows of shape (2,), 4 classes; 20 rows for validation" in out


def test_the_spiral_s_defaults_are_the_full_model_of_the_book(run):
    code, out, _ = run("train", "spiral", *FAST, "--out", "run")
    model = nn.Model.load("run/model.safetensors", backend="numpy")
    penalty = {"weight_regularizer": nn.L2(5e-4), "bias_regularizer": nn.L2(5e-4)}
    first = nn.Dense(512, weight_initializer=nn.initializers.he_normal, **penalty)
    assert code == 0
    assert model.network == nn.Sequential(first, nn.ReLU(), nn.Dropout(0.1), nn.Dense(3))
    assert model.optimizer == nn.Adam(nn.InverseTimeDecay(0.05, decay=5e-5))
    assert cli._recipes.RECIPES["spiral"].epochs == 10_001
    assert "3,000 rows of shape (2,), 3 classes; 3,000 rows for validation" in out
    assert "the whole set per step" in out


def test_no_hidden_layer_is_a_linear_model():
    train("vertical", "--hidden", "none", "--l2", "0.01", "--out", "run")
    network = nn.Model.load("run/model.safetensors", backend="numpy").network
    assert network == nn.Sequential(nn.Dense(3, weight_regularizer=nn.L2(0.01), bias_regularizer=nn.L2(0.01)))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "adagrad"])
def test_each_optimizer_has_a_rate_that_learns(optimizer):
    code = main(["train", "vertical", "--optimizer", optimizer, "--backend", "numpy", "--quiet", "--out", "run"])
    accuracy = nn.Model.load("run/model.safetensors", backend="numpy").history["val_accuracy"]
    assert code == 0
    assert accuracy[-1] > 0.85


def test_lenet_learns_the_digits_and_predicts_them():
    options = ["--network", "lenet", "--backend", "numpy", "--epochs", "2", "--quiet", "--out", "run"]
    assert main(["train", "digits", *options]) == 0
    model = nn.Model.load("run/model.safetensors", backend="numpy")
    _, _, x_test, y_test = nn.datasets.digits()
    assert model.evaluate(x_test, y_test)["accuracy"] > 0.9
    assert [type(layer).__name__ for layer in model.network.layers[:3]] == ["Reshape", "Conv2D", "ReLU"]


def test_lenet_takes_images_of_any_size():
    from arraynn.cli._recipes import lenet

    for shape, units in (((28, 28), 800), ((28, 28, 3), 800), ((64,), 200), ((32, 30, 1), 1000)):
        params, output = lenet(shape, 10).init(np.random.default_rng(0), shape)
        assert [own["weight"].shape[0] for own in params if own and own["weight"].ndim == 2] == [units, 500]
        assert output == (10,)


def test_digits_are_learnt():
    assert main(["train", "digits", "--backend", "numpy", "--epochs", "20", "--quiet", "--out", "run"]) == 0
    assert nn.Model.load("run/model.safetensors", backend="numpy").history["val_accuracy"][-1] >= 0.96


def test_print_every_chooses_the_lines(run):
    _, out, _ = run("train", "vertical", "--backend", "numpy", "--epochs", 7, "--print-every", 3)
    assert re.findall(r"epoch (\d)/7", out) == ["1", "3", "6", "7"]


def test_lines_of_a_long_run_have_the_validation_loss(run):
    _, out, _ = run("train", "vertical", "--backend", "numpy", "--epochs", 230, "--samples", 5)
    lines = re.findall(r"epoch +\d+/230.*", out)
    assert 15 < len(lines) < 30
    assert all("val_loss" in line for line in lines[1:])


def test_without_matplotlib_one_line_names_the_extra(run):
    code, out, err = run("train", "vertical", *FAST)
    assert (code, err) == (0, "")
    assert names("runs/vertical-001") == ["history.csv", "model.safetensors"]
    assert out.splitlines()[-1] == 'no curves.png and boundary.png: they need matplotlib, pip install "arraynn[plot]"'


def test_zero_penalties_and_a_zero_rate_are_allowed():
    train("vertical", "--learning-rate", "0", "--decay", "0", "--l1", "0", "--l2", "0", "--dropout", "0")


# ---------------------------------------------------------------- a user's own file


@pytest.mark.parametrize(
    "form", ["labels", "column", "one-hot", "booleans", "images", "row of numbers", "train and test"]
)
def test_integer_targets_are_classes(run, form):
    x, y = points()
    arrays = {
        "labels": {"x": x, "y": y},
        "column": {"x": x, "y": y[:, None]},
        "one-hot": {"x": x, "y": np.eye(2, dtype=int)[y]},
        "booleans": {"x": x, "y": y > 0},
        "images": {"x": np.zeros((40, 3, 4), "uint8"), "y": y},
        "row of numbers": {"x": x[:, 0], "y": y},
        "train and test": {"x_train": x, "y_train": y, "x_test": x[:5], "y_test": y[:5]},
    }[form]
    code, out, err = run("train", save(**arrays), *FAST)
    assert (code, err) == (0, "")
    assert "2 classes" in out
    assert ("5 rows for validation" if form == "train and test" else "8 rows for validation") in out
    drawn = {"images": "no curves.png:", "row of numbers": "no curves.png and fit.png:"}
    assert drawn.get(form, "no curves.png and boundary.png:") in out


@pytest.mark.parametrize("columns", [None, 1, 3])
def test_float_targets_are_values(run, columns):
    x, _ = points()
    code, out, err = run("train", save(x=x, y=x[:, 0] if columns is None else np.tile(x[:, :1], columns)), *FAST)
    assert (code, err) == (0, "")
    assert f"regression of {columns or 1} column" in out
    assert " r2\n" in out
    assert nn.Model.load("runs/mine-001/model.safetensors", backend="numpy").output_shape == (columns or 1,)


def test_with_a_validation_split_the_test_data_are_used_at_the_end_only(run):
    x, y = points()
    _, out, _ = run("train", save(x=x, y=y, x_test=x[:5], y_test=y[:5]), *FAST, "--validation-split", 0.25)
    assert re.search(r"training +30 .*\nvalidation +10 .*\ntest +5 ", out)


def test_a_validation_split_of_0_trains_on_all_rows(run):
    x, y = points()
    _, out, _ = run("train", save(x=x, y=y), *FAST, "--validation-split", 0)
    assert "val_loss" not in out
    assert re.search(r"training +40 ", out)


def test_data_that_train_badly_give_hints(run):
    x, y = points()
    _, out, _ = run("train", save(x=100 * x, y=y.astype(float)), *FAST)
    assert "networks learn better from inputs scaled to about -1 to 1" in out
    assert "save it as integers for a classification" in out


# ---------------------------------------------------------------- predict


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(text.splitlines()))


def test_predictions_equal_those_of_the_model(run):
    train("vertical", "--out", "run")
    x, _ = nn.datasets.vertical(3, 3, seed=9)
    code, out, err = run("predict", "run/model.safetensors", save(x=x), "--backend", "numpy")
    header, *rows = read_csv(out)
    model = nn.Model.load("run/model.safetensors", backend="numpy")
    assert (code, err) == (0, "")
    assert header == ["row", "prediction", "probability_0", "probability_1", "probability_2"]
    assert [row[:2] for row in rows] == [[str(i), str(k)] for i, k in enumerate(model.predict(x))]
    assert np.allclose([[float(p) for p in row[2:]] for row in rows], model.predict_proba(x), atol=1e-6)


def test_predictions_go_to_a_file_and_the_model_may_be_named_by_its_folder(run):
    train("sine", "--out", "run")
    code, out, _ = run("predict", "run", save(x_test=np.linspace(0, 1, 5)), "--out", "predictions.csv")
    assert (code, out) == (0, "5 predictions in predictions.csv\n")
    header, *rows = read_csv(Path("predictions.csv").read_text(encoding="utf-8"))
    assert header == ["row", "prediction"]
    assert len(rows) == 5


def test_columns_of_several_predicted_values_are_numbered(run):
    x, _ = points()
    train(save(x=x, y=x), "--out", "run")
    assert read_csv(run("predict", "run", "mine.npz")[1])[0] == ["row", "prediction_0", "prediction_1"]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"z": np.zeros(3)}, "has z, and neither x nor x_test"),
        ({"x": np.zeros((2, 3))}, "(N, 2), got "),
        ({"x": np.asarray([[0.0, 1.0], [0.0, NAN]])}, "x holds nan in row 1"),
        ({"x": np.zeros((0, 2))}, "x in mine.npz is empty: its shape is (0, 2)"),
        ({"x": np.asarray([["a", "b"]])}, "numbers are needed"),
        ({"x": np.asarray([[None, None]])}, "x in mine.npz holds Python objects, and loading those can run any code"),
        ({"x": np.float64(3)}, "x in mine.npz is a single number"),
    ],
)
def test_data_that_cannot_be_predicted_give_one_line_of_error(run, arrays, said):
    train("vertical", "--out", "run")
    code, _, err = run("predict", "run", save(**arrays))
    assert code == 1
    assert said in one_line(err)


def _npy(shape, data=b""):
    """The bytes of a .npy file whose header says this shape of float32."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize("command", ["train", "predict run"])
@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"x.npy": _npy((6, 10**13), bytes(48))}, "x in mine.npz: shape (6, 10000000000000) of float32 does not fill"),
        ({"x.npy": _npy((2, 2), bytes(48))}, "x in mine.npz: shape (2, 2) of float32 does not fill"),
        ({"x.npy": _npy((6, 2), bytes(40))}, "x in mine.npz: shape (6, 2) of float32 does not fill"),
        ({"x": _npy((6, 2), bytes(48)), "x.npy": _npy((6, 2), bytes(48))}, "mine.npz holds an array twice"),
        (None, "mine.npz cannot be read as .npz: File is not a zip file"),
    ],
)
def test_train_and_predict_refuse_a_file_with_the_same_message(run, command, members, said):
    train("vertical", "--out", "run")
    if members is None:
        Path("mine.npz").write_text("1,2\n3,4\n")
    else:
        with zipfile.ZipFile("mine.npz", "w") as archive:
            for name, content in {**members, "y.npy": _npy((6,), bytes(24))}.items():
                archive.writestr(name, content)
    code, _, err = run(*command.split(), "mine.npz")
    assert code == 1
    assert said in one_line(err)
    assert "batch-size" not in err
    assert "allow_pickle" not in err


def test_out_of_memory_at_predict_does_not_name_options_of_train(run, monkeypatch):
    train("vertical", "--out", "run")
    monkeypatch.setattr(nn.Model, "predict", lambda model, x: (_ for _ in ()).throw(MemoryError("3 TiB")))
    code, _, err = run("predict", "run", save(x=np.zeros((2, 2))))
    assert (code, one_line(err).strip()) == (1, "arraynn predict: error: out of memory (3 TiB)")


def test_files_that_are_not_models_or_data_give_one_line_of_error(run):
    Path("noise").write_bytes(b"noise")
    train("vertical", "--out", "run")
    for words in (["noise", "noise"], ["none", "noise"], ["run", "none.npz"], ["run", "noise"], [".", "noise"]):
        code, _, err = run("predict", *words)
        assert code == 1
        one_line(err)
    np.savez("x.npz", x=np.zeros((1, 2)))
    code, _, err = run("predict", "run", "x.npz", "--out", "no/such/folder.csv")
    assert (code, "no/such/folder.csv" in one_line(err)) == (1, True)


# ---------------------------------------------------------------- doctor, help


def test_doctor_shows_every_backend_versions_and_threads(run):
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    for status in nn.backends.report():
        assert re.search(rf"^{status.name} ", out, flags=re.MULTILINE)
        assert status.remedy in out
    for wanted in (
        "'auto' takes",
        f"numpy             {np.__version__}",
        "python ",
        "array-api-compat",
        "BLAS ",
        "cores: ",
    ):
        assert wanted in out
    assert ("no CuPy: " in out) == (find_spec("cupy") is None)


def test_doctor_reports_a_broken_backend_named_in_the_environment(run, monkeypatch):
    monkeypatch.setenv("ARRAYNN_BACKEND", "nonsense")
    code, out, _ = run("doctor")
    assert code == 0
    assert "'auto' fails: backend 'nonsense' cannot be used" in out
    assert "ARRAYNN_BACKEND=nonsense" in out


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["predict", "--help"], ["doctor", "--help"]])
def test_help_lists_the_commands(run, words):
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert out.startswith("usage: arraynn")


def test_version_prints_the_version(run):
    code, out, _ = run("--version")
    assert (code, out.split()[0]) == (0, "arraynn")


def test_python_m_arraynn_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "arraynn", "--version"], capture_output=True, text=True, env=environment()
    )
    assert (done.returncode, done.stdout[:8]) == (0, "arraynn ")


# ---------------------------------------------------------------- what goes wrong


def one_line(err: str) -> str:
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train sprial", "'sprial' is neither a .npz file, nor a table, nor one of spiral, vertical, sine, "),
        ("train sprial", "did you mean 'spiral'?"),
        ("train spiral --epochs 0", "argument --epochs: '0' is not an integer of at least 1; try 100"),
        ("train spiral --batch-size 0", "'0' is not an integer of at least 1; try 32, or full for the whole set"),
        ("train spiral --batch-size many", "'many' is not an integer"),
        ("train spiral --dropout 1.0", "argument --dropout: '1.0' is not a number in [0, 1); try 0.1"),
        ("train spiral --dropout nan", "'nan' is not a number in [0, 1)"),
        ("train spiral --learning-rate -1", "argument --learning-rate: '-1' is not a number in [0, inf); try 0.01"),
        ("train spiral --learning-rate inf", "'inf' is not a number in [0, inf)"),
        ("train spiral --decay -0.1", "argument --decay"),
        ("train spiral --l1 -1", "argument --l1"),
        ("train spiral --l2 x", "argument --l2: 'x' is not a number"),
        ("train spiral --momentum 1 --optimizer sgd", "argument --momentum: '1' is not a number in [0, 1)"),
        ("train spiral --momentum 0.9", "--momentum 0.9 goes with --optimizer sgd, not with adam"),
        ("train spiral --validation-split 1", "argument --validation-split"),
        ("train spiral --hidden 64,0", "'64,0' is not a list of integers of at least 1; try 64,64, or none"),
        ("train spiral --hidden 64,x", "'64,x' is not a list"),
        ("train spiral --seed -1", "argument --seed: '-1' is not an integer of at least 0"),
        ("train spiral --samples 0", "argument --samples"),
        (
            "train spiral --network lenet",
            "--network lenet takes images of at least 4 by 4 pixels, got rows",
        ),
        ("train digits --network lenet --hidden 64", "--hidden goes with --network mlp, not with lenet"),
        (
            "train digits --samples 5",
            "--samples goes with blobs, circles, moons, sine, spiral, vertical, xor, not with digits",
        ),
        ("train sine --classes 5", "--classes goes with blobs, circles, spiral, vertical, not with sine"),
        ("train spiral --activation cosine", "argument --activation: 'cosine' is none of elu, gelu"),
        ("train spiral --optimizer best", "argument --optimizer: 'best' is none of adadelta"),
        ("train spiral --print-every 0", "argument --print-every"),
        ("train spiral --epoch 5", "there is no option --epoch; did you mean --epochs?"),
        ("train", "the following arguments are required: DATA"),
        (
            "teach spiral",
            "did you mean 'bench'? there are train, describe, evaluate, predict",
        ),
    ],
)
def test_a_wrong_command_gives_one_line_and_exit_code_2(run, words, said):
    code, out, err = run(*words.split())
    assert (code, out) == (2, "")
    assert said in one_line(err)
    assert re.search(r"See arraynn( train)? --help\n$", err)
    assert names(".") == []


X, Y = points()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X, "y": Y - 1}, "class labels must be at least 0, got -1"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, "labels must lie in [0, 1]"),
        ({"x": X, "y": Y * 10**6}, "too many classes for 40 rows; for a regression, save floats"),
        ({"x": X, "y": np.full((40, 3), 7)}, "y holds integers of shape (40, 3)"),
        ({"x": X, "y": np.zeros((40, 2, 2))}, "y has shape (40, 2, 2)"),
        ({"x": np.full((40, 2), NAN), "y": Y}, "x in mine.npz holds nan in row 0"),
        ({"x": X, "y": np.full(40, np.inf)}, "inf"),
        ({"x": X, "y": Y[:5]}, "x has 40 rows and y 5; they must agree"),
        ({"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y}, "a row of x has shape (2,), one of x_test (1,)"),
        ({"x": X[:0], "y": Y[:0]}, "is empty"),
        ({"x": X, "y": np.asarray([None] * 40)}, "holds Python objects"),
        ({"x": X}, "has x, but no y"),
        ({"y": Y}, "has y, but no x"),
        ({"x": X.astype(str), "y": Y}, "numbers are needed"),
    ],
)
def test_bad_data_give_one_line_exit_code_1_and_no_folder(run, arrays, said):
    code, _, err = run("train", save(**arrays), *FAST)
    assert code == 1
    assert said in one_line(err)
    assert names(".") == ["mine.npz"]


@pytest.mark.parametrize("bad", ["x", "y", "x_test", "y_test"])
@pytest.mark.parametrize("row", [0, 3, 17, 39])
@pytest.mark.parametrize("options", [[], ["--validation-split", 0.5], ["--validation-split", 0]])
def test_the_row_in_an_error_is_an_index_into_the_file(run, bad, row, options):
    x, y = np.zeros((40, 2)), np.linspace(0, 1, 40)
    arrays = {"x": x, "y": y, "x_test": x + 1, "y_test": y + 1}
    arrays[bad] = arrays[bad].copy()
    arrays[bad][row] = NAN
    if not bad.endswith("test"):
        del arrays["x_test"], arrays["y_test"]
    code, _, err = run("train", save(**arrays), *FAST, *options)
    assert code == 1
    assert f"{bad} in mine.npz holds nan in row {row};" in one_line(err)
    assert names(".") == ["mine.npz"]


def test_a_split_that_leaves_no_rows_gives_one_line_and_exit_code_1(run):
    code, _, err = run("train", save(x=X[:2], y=Y[:2]), *FAST, "--validation-split", 0.01)
    assert (code, "--validation-split 0.01 of 2 rows" in one_line(err)) == (1, True)


@pytest.mark.parametrize("content", [b"", b"noise", b"PK\x03\x04noise"])
def test_files_that_are_not_npz_give_one_line_and_exit_code_1(run, content):
    Path("bad.npz").write_bytes(content)
    code, _, err = run("train", "bad.npz")
    assert (code, "bad.npz" in one_line(err)) == (1, True)
    code, _, err = run("train", "missing.npz")
    assert (code, "missing.npz: there is no such file" in one_line(err)) == (1, True)


def test_a_truncated_idx_file_gives_one_line_and_exit_code_1(run, monkeypatch, tmp_path):
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        (folder / name).write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 9]))
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path / "data"))
    code, _, err = run("train", "mnist")
    assert (code, "truncated" in one_line(err)) == (1, True)
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path / "none"))
    code, _, err = run("train", "mnist")
    assert (code, "which is not a folder" in one_line(err)) == (1, True)


@pytest.mark.parametrize("name", ["nonsense", "numpy:7", *(["torch"] if find_spec("torch") is None else [])])
def test_an_unusable_backend_gives_one_line_and_exit_code_1(run, name):
    code, _, err = run("train", "vertical", "--backend", name)
    assert code == 1
    assert re.search(r"backend '\w+' cannot be used: .+\. .+", one_line(err))
    assert names(".") == []


@pytest.mark.parametrize(
    "out",
    [
        "file",
        "file/run",
        pytest.param("/proc/run", marks=pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")),
    ],
)
def test_a_folder_that_cannot_be_written_is_found_before_training(run, monkeypatch, out):
    Path("file").touch()
    monkeypatch.setattr(nn.Model, "fit", lambda *args, **kwargs: pytest.fail("it was trained"))
    code, _, err = run("train", "vertical", "--out", out)
    assert (code, out.split("/")[0] in one_line(err)) == (1, True)


def test_a_run_that_diverges_gives_exit_code_1_and_saves_finite_weights(run):
    words = ["train", "vertical", "--backend", "numpy", "--optimizer", "sgd", "--activation", "relu", "--l2", "1"]
    code, _, err = run(*words, "--learning-rate", "1e3", "--epochs", 50, "--out", "run")
    assert code == 1
    assert "training diverged at epoch" in one_line(err)
    if Path("run").exists():  # some epoch was finite
        assert "model.safetensors" in names("run")


def fails_with(monkeypatch, error: BaseException) -> None:
    def fit(*args, **kwargs):
        raise error

    monkeypatch.setattr(nn.Model, "fit", fit)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("Unable to allocate 9 TiB"), "out of memory (Unable to allocate 9 TiB). A smaller --batch-size"),
        (MemoryError(), "out of memory. A smaller"),
        (RuntimeError("CUDA out of memory.\nTried to"), "out of memory (CUDA out of memory. Tried to)"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "error: x: No space left on device"),
        (ZeroDivisionError("a\nbug"), "ZeroDivisionError: a bug. If this is a bug, ARRAYNN_TRACEBACK=1 shows where"),
    ],
)
def test_every_failure_gives_one_line_and_exit_code_1(run, monkeypatch, error, said):
    fails_with(monkeypatch, error)
    code, _, err = run("train", "vertical", *FAST)
    assert code == 1
    assert said in one_line(err)
    assert names(".") == []


def test_a_traceback_is_shown_on_request(run, monkeypatch):
    fails_with(monkeypatch, ZeroDivisionError("a bug"))
    monkeypatch.setenv("ARRAYNN_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in run("train", "vertical", *FAST)[2]


def test_ctrl_c_before_training_gives_exit_code_130(run, monkeypatch):
    monkeypatch.setattr("arraynn.cli._train.load", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run("train", "vertical") == (130, "", "arraynn train: interrupted\n")
    assert names(".") == []


# ---------------------------------------------------------------- processes


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "ARRAYNN_BACKEND": "numpy"}


# So many lines that the pipe is full long before the run is done: it cannot end unread, however slow this test is.
LONG = ["train", "vertical", "--epochs", 50_000, "--batch-size", "full", "--print-every", 1, "--out", "run"]


def started(*words: object) -> subprocess.Popen[str]:
    """The command as a process of its own, with Python's Ctrl-C even where the shell has switched it off."""
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    program += "from arraynn.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def wait_for_an_epoch(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch"):
            return
    pytest.fail(f"no epoch was told: {process.communicate()[1]}")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_after_ctrl_c_everything_is_saved(pictures):
    with started(*LONG) as process:
        wait_for_an_epoch(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert re.fullmatch(r"arraynn train: interrupted after \d+ of 50000 epochs; all is saved in run; .*\n", err)
    assert err.endswith("; --out run --resume continues\n")
    assert re.search(r"\ntraining +300 ", out)
    assert names("run") == sorted([*FILES, "checkpoint.safetensors"])  # so that --resume may go on
    model = nn.Model.load("run/model.safetensors", backend="numpy")
    assert 1 <= model.epoch < 50_000
    assert len(model.history["loss"]) == model.epoch


@pytest.mark.parametrize("picture", ["curves", "boundary"])
def test_ctrl_c_while_pictures_are_drawn_keeps_the_saved_files(run, pictures, monkeypatch, picture):
    from matplotlib.figure import Figure

    whole, drawn = Figure.savefig, []

    def interrupted(self, file, **options):
        drawn.append(self)
        if len(drawn) == 1 + (picture == "boundary"):
            file.write(b"half") if hasattr(file, "write") else Path(file).write_bytes(b"half")
            raise KeyboardInterrupt
        whole(self, file, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Figure, "savefig", interrupted)
        code, _, err = run("train", "vertical", "--epochs", 2, "--out", "run", "--checkpoint-every", 1)
    told = "interrupted after all 2 epochs, while its pictures and figures were made; all else is saved in run"
    assert (code, err) == (130, f"arraynn train: {told}; --out run --resume makes them\n")
    made = ["curves.png"] if picture == "boundary" else []
    assert names("run") == sorted(["checkpoint.safetensors", "history.csv", "model.safetensors", *made])
    learnt = nn.Model.load("run/model.safetensors", backend="numpy")
    assert learnt.epoch == 2
    again = "train", "vertical", "--epochs", 2, "--out", "run", "--checkpoint-every", 1, "--resume"
    code, out, err = run(*again)
    assert (code, err) == (0, "")
    assert "boundary.png, curves.png" in out or "curves.png, boundary.png" in out
    assert names("run") == FILES
    drawn_later = nn.Model.load("run/model.safetensors", backend="numpy")
    assert drawn_later.history == learnt.history
    for a, b in zip(nn.tree.leaves(drawn_later.params), nn.tree.leaves(learnt.params), strict=True):
        assert np.array_equal(a, b)
    assert "nothing to resume" in run(*again)[1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells of a closed pipe in another way")
def test_a_closed_output_pipe_ends_the_run_without_a_traceback(pictures):
    with started(*LONG) as process:
        wait_for_an_epoch(process)
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(timeout=60) == 1
    assert err == ""
    assert names("run") == FILES


def test_targets_outside_the_domain_of_a_saved_models_loss_give_exit_code_1(run):
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.hinge, backend="numpy").build((2,))
    model.save("hinge.safetensors")
    code, out, err = run("explain", "hinge.safetensors", "--data", save(x=X, y=Y + 1))
    assert (code, out) == (1, "")
    assert "Hinge takes targets of 0 and 1, or of -1 and 1" in one_line(err)


def test_a_single_class_gives_one_line_and_exit_code_1(run):
    code, _, err = run("train", save(x=X, y=Y * 0), *FAST)
    assert code == 1
    assert "y holds one class only, 0; a classification needs at least 2" in one_line(err)


def test_a_film_is_saved_of_data_that_can_be_drawn(run):
    image = pytest.importorskip("PIL.Image")
    code, out, _ = run("train", "spiral", "--samples", 10, "--hidden", 4, "--epochs", 8, "--film")
    assert code == 0
    assert "film.webp" in out
    with image.open("runs/spiral-001/film.webp") as film:
        assert film.n_frames == 9
