"""A table from a file to predictions: the model that takes frames, and the three commands."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import arraynn as nn
from arraynn.cli._splits import duplicates, split
from arraynn.cli._table_figures import baselines, confusion, figures, importance, per_class, score

pl = pytest.importorskip("polars", reason="the extra tables is not installed")

FAST = ["--backend", "numpy", "--folds", "1", "--hidden", "8", "--epochs", "3"]
RNG = np.random.default_rng(0)


def flowers(rows=150):
    kinds = np.arange(rows) % 3
    return {
        "id": list(range(rows)),
        "petal": (kinds + RNG.normal(0, 0.2, rows)).round(2).tolist(),
        "leaf": [None if i % 9 == 0 else round(float(v), 2) for i, v in enumerate(RNG.normal(3, 1, rows))],
        "site": [("north", "south", "east")[i % 3 if i % 5 else 0] for i in range(rows)],
        "kind": [("iris", "rose", "tulip")[k] for k in kinds],
    }


def houses(rows=200):
    area = RNG.normal(100, 20, rows).round(1)
    return {
        "area": area.tolist(),
        "street": [f"street {i % 23}" for i in range(rows)],
        "sold": [f"{2020 + i % 4}-{1 + i % 12:02d}-01" for i in range(rows)],
        "owner": [f"o{i % 17}" for i in range(rows)],
        "price": (3000 * area + RNG.normal(0, 5000, rows)).round(0).tolist(),
    }


@pytest.fixture(autouse=True)
def elsewhere(request, tmp_path, monkeypatch):
    """Every test works in a folder of its own, and draws only where it says `pictures`."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARRAYNN_TRACEBACK", raising=False)
    pl.DataFrame(flowers()).write_csv("flowers.csv")
    pl.DataFrame(houses()).write_csv("houses.csv")


def network(encoding):
    return nn.Sequential(encoding.input_layer(), nn.Dense(8), nn.ReLU(), nn.Dense(encoding.outputs))


def model_of(frame, target, loss, **options):
    encoding = nn.TableEncoding.learn(frame, target=target)
    return nn.Model(network(encoding), loss, backend="numpy", encoding=encoding, **options)


# ---------------------------------------------------------------- the model


@pytest.mark.parametrize("kind", ["dict", "polars", "pandas"])
def test_all_methods_of_a_model_take_frames(kind, tmp_path):
    plain = flowers()
    frame = plain if kind == "dict" else pytest.importorskip(kind).DataFrame(plain)
    model = model_of(frame, "kind", nn.softmax_cross_entropy, optimizer=nn.Adam(0.02))
    history = model.fit(frame, epochs=20, validation_data=frame, class_weight={"rose": 1.0}, verbose=0)
    assert history["val_accuracy"][-1] > 0.9
    assert model.evaluate(frame)["accuracy"] == history["val_accuracy"][-1]
    found = model.predict(frame)
    assert set(found) <= {"iris", "rose", "tulip"}
    assert (found == np.asarray(plain["kind"])).mean() == pytest.approx(history["val_accuracy"][-1], abs=1e-6)
    assert model.predict_proba(frame).shape == model(frame).shape == (150, 3)
    few = {name: values[:3] for name, values in plain.items()}
    assert "forward" in str(model.explain(few))
    assert "loss" in str(model.explain(few))
    model.save(tmp_path / "m")
    again = nn.Model.load(tmp_path / "m", backend="numpy")
    assert (again.encoding, again.classes) == (model.encoding, ("iris", "rose", "tulip"))
    np.testing.assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))


def test_batches_of_an_iterable_may_be_tables():
    frame = flowers()
    parts = [{name: values[start : start + 50] for name, values in frame.items()} for start in (0, 50, 100)]
    models = [model_of(frame, "kind", nn.softmax_cross_entropy) for _ in range(2)]
    models[0].fit(frame, epochs=2, batch_size=50, shuffle=False, verbose=0)
    models[1].fit(parts, epochs=2, verbose=0)
    assert models[0].history == models[1].history


def test_predicted_values_are_in_the_unit_of_the_target():
    frame = houses()
    model = model_of(frame, "price", nn.mean_squared_error, metrics="r2")
    model.fit(frame, epochs=60, validation_split=0.2, verbose=0)
    error = np.abs(model.predict(frame) - np.asarray(frame["price"]))
    assert error.mean() < 30_000
    without = {name: values for name, values in frame.items() if name != "price"}
    assert model.evaluate(frame) == pytest.approx(model.evaluate(without, frame["price"]))


def test_a_model_without_an_encoding_refuses_a_frame_with_the_remedy():
    with pytest.raises(nn.DataError, match=r"x is a table; give the model an encoding"):
        nn.Model(nn.Sequential(nn.Dense(2))).fit(flowers(), verbose=0)
    with pytest.raises(TypeError, match="encoding must be a TableEncoding"):
        nn.Model(nn.Sequential(nn.Dense(2)), encoding=1)


def test_a_hostile_encoding_in_a_file_raises_checkpoint_error(tmp_path):
    import safetensors
    from safetensors.numpy import load_file, save_file

    model = model_of(flowers(), "kind", nn.softmax_cross_entropy)
    model.fit(flowers(), epochs=1, verbose=0)
    model.save(tmp_path / "m")
    with safetensors.safe_open(tmp_path / "m", "numpy") as file:
        header = json.loads(file.metadata()["arraynn"])
    tensors = load_file(tmp_path / "m")
    for place, value in (
        (("encoding",), 5),
        (("encoding", "fields", "columns"), [{"type": "Dense.v1", "fields": {"units": 3}}]),
        (("encoding", "fields", "columns", 1, "fields", "scale"), 0.0),
        (("encoding", "fields", "columns", 1, "fields", "name"), 7),
        (("encoding", "fields", "targets", 0, "fields", "classes"), [[]]),
        (("classes",), ["only one"]),
        (("classes",), ["a", "b", "c"]),
    ):
        changed = json.loads(json.dumps(header))
        inner = changed
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
        save_file(tensors, tmp_path / "bad", {"arraynn": json.dumps(changed)})
        with pytest.raises(nn.CheckpointError):
            nn.Model.load(tmp_path / "bad", backend="numpy")


# ---------------------------------------------------------------- the commands


def test_one_command_trains_and_one_predicts(run):
    code, out, err = run("train", "flowers.csv", "--target", "kind", "--out", "run", *FAST)
    assert (code, err) == (0, "")
    assert re.search("id +left out: an id", out)
    assert re.search(r"test +30 ", out)
    assert "majority, on test" in out
    assert re.search(r"class +precision +recall +test rows", out)
    assert re.search(r"petal +-?\d\.\d+ ± ", out)
    files = {path.name for path in Path("run").iterdir()}
    assert files >= {"model.safetensors", "history.csv"}
    with open("new.csv", "w", newline="") as file:  # other order, a new word, a gap, a column more, no target
        csv.writer(file).writerows([["more", "site", "leaf", "petal", "id"], ["x", "west", "", "0.1", "7"]])
    code, out, err = run("predict", "run", "new.csv", "--out", "p.csv", "--backend", "numpy")
    assert (code, out, err) == (0, "1 prediction in p.csv\n", "")
    with open("p.csv", newline="") as file:
        header, row = csv.reader(file)
    assert header[:5] == ["more", "site", "leaf", "petal", "id"]
    assert header[5:] == ["prediction", "probability_iris", "probability_rose", "probability_tulip"]
    assert row[:5] == ["x", "west", "", "0.1", "7"]
    assert row[5] in ("iris", "rose", "tulip")
    assert sum(map(float, row[6:])) == pytest.approx(1, abs=1e-5)
    assert run("predict", "run", "new.csv", "--backend", "numpy")[1].splitlines()[1].split(",")[:6] == row[:6]
    code, out, _ = run("explain", "run", "--data", "flowers.csv")
    assert code == 0
    assert "forward" in out


def test_train_draws_curves_importance_and_errors(run, pictures):
    run("train", "flowers.csv", "--target", "kind", "--out", "classes", *FAST)
    run("train", "houses.csv", "--target", "price", "--out", "values", *FAST)
    for folder, picture in (("classes", "confusion.png"), ("values", "predicted.png")):
        for name in ("curves.png", "importance.png", picture):
            assert (Path(folder) / name).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("trained", ["houses.csv", "commas.csv"])
def test_predict_takes_a_file_with_another_number_format(run, trained):
    text = Path("houses.csv").read_text(encoding="utf-8")
    Path("commas.csv").write_text(text.replace(",", ";").replace(".", ","), encoding="utf-8")
    assert run("train", trained, "--target", "price", *FAST, "--out", "r")[0] == 0
    written = []
    for name in ("houses.csv", "commas.csv"):
        code, _, err = run("predict", "r", name, "--out", f"{name}.out")
        assert (code, err) == (0, "")
        with open(f"{name}.out", newline="", encoding="utf-8") as file:
            written.append([row[-1] for row in csv.reader(file)])
    assert written[0] == written[1]


def test_predictions_are_written_atomically(run):
    run("train", "flowers.csv", "--target", "kind", "--out", "run", "--quiet", *FAST)
    Path("bad.csv").write_text("petal,leaf,site\n1,2,north\n2,tall,south\n")
    code, out, err = run("predict", "run", "bad.csv", "--out", "p.csv")
    told = "column 'leaf' holds 'tall' in row 3 of bad.csv; a number was expected"
    assert (code, out, err) == (1, "", f"arraynn predict: error: {told}\n")
    Path("few.csv").write_text("leaf,site\n2,north\n")
    code, _, err = run("predict", "run", "few.csv", "--out", "p.csv")
    assert err == "arraynn predict: error: the table has no column 'petal'; it has 'leaf', 'site'\n"
    assert not list(Path().glob("*p.csv*"))
    for file in ("bad.csv", "few.csv"):  # nor is there a header on the screen
        assert run("predict", "run", file)[:2] == (1, "")
    code, _, err = run("predict", "run", "x.npz")
    assert (code, "was trained on a table" in err) == (1, True)


def test_describe_prints_what_train_would_do_without_training(run):
    code, out, err = run("describe", "houses.csv", "--target", "price", "--drop", "owner", "--folds", "1")
    assert (code, err) == (0, "")
    assert re.search(r"street +embedded, 23 values", out)
    assert re.search(r"sold +date: time, time of year, time of week +2020-01-01 to 2023-12-01", out)
    assert re.search(r"owner +left out: as asked", out)
    assert "128 rows for training, 32 rows for validation, 40 rows for test" in out
    assert [path.name for path in Path().iterdir() if path.is_dir()] == []
    _, trained, _ = run("train", "houses.csv", "--target", "price", "--drop", "owner", "--out", "r", *FAST)
    for line in out.splitlines()[:8]:
        assert line in trained.splitlines()


def test_rows_without_a_target_and_duplicate_rows_are_reported(run):
    lines = Path("flowers.csv").read_text().splitlines()
    lines = [lines[0], *(line for line in lines[1:61] for _ in range(2)), "900,1,2,north,"]
    Path("t.csv").write_text("\n".join(lines) + "\n")
    code, out, _ = run("train", "t.csv", "--target", "kind", "--out", "r", *FAST)
    assert code == 0
    assert "1 row without a target is left out" in out
    assert re.search(r"note: \d+ held-out rows are equal to a training row", out)


def test_a_run_is_reproducible_and_can_be_resumed(run):
    for folder in ("a", "b"):
        run("train", "houses.csv", "--target", "price", "--out", folder, "--quiet", *FAST)
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()
    code, out, _ = run("train", "houses.csv", "--target", "price", "--out", "a", "--resume", *FAST)
    ways = "more --epochs continue it, --overwrite starts over"
    assert (code, out) == (0, f"a holds a finished run; there is nothing to resume; {ways}\n")
    assert run("train", "houses.csv", "--target", "price", "--out", "a", "--resume", *FAST[:-2])[1] == out
    words = ["train", "houses.csv", "--target", "price", "--out", "a", "--resume", *FAST[:-1], "5"]
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert "a/model.safetensors goes on with epochs 3 → 5" in out
    assert "for 5 epochs" in out
    for name in ("loss", "val_loss"):
        one, more = (nn.Model.load(f"{k}/model.safetensors", backend="numpy").history[name] for k in "ba")
        assert (len(more), more[:3]) == (5, one)
    code, _, err = run(*words[:-1], "7", "--drop", "owner")
    assert (code, err.count("\n")) == (1, 1)
    assert "a/model.safetensors cannot be resumed: it was trained with another encoding of the table" in err


def test_a_resumed_run_that_gets_worse_keeps_the_best_weights(run):
    words = ["train", "houses.csv", "--target", "price", "--out", "a", "--quiet", *FAST[:-1]]
    run(*words, "30")
    before = nn.Model.load("a/model.safetensors", backend="numpy")
    assert run(*words, "32", "--resume", "--learning-rate", "50")[0] == 0
    after = nn.Model.load("a/model.safetensors", backend="numpy")
    assert min(after.history["val_loss"][30:]) > min(before.history["val_loss"])
    for a, b in zip(nn.tree.leaves(before.params), nn.tree.leaves(after.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_of_a_table_is_measured_in_the_targets_own_unit(run):
    run("train", "houses.csv", "--target", "price", "--out", "h", "--quiet", *FAST)
    frame = pl.read_csv("houses.csv", try_parse_dates=False)
    model = nn.Model.load("h/model.safetensors", backend="numpy")
    error = np.asarray(model.predict(frame)) - frame["price"].to_numpy()
    frame.with_columns(more=pl.lit("x")).select(reversed([*frame.columns, "more"])).write_parquet("houses.parquet")
    for file in ("houses.csv", "houses.parquet"):  # another order, and a column that nobody asked for
        code, out, err = run("evaluate", "h", file, "--metrics", "rmse,mae")
        head, row = (line.split() for line in out.splitlines())
        assert (code, err, head, row[:2]) == (0, "", ["rows", "loss", "rmse", "mae"], ["all", "200"])
        want = (error**2).mean(), (error**2).mean() ** 0.5, np.abs(error).mean()
        np.testing.assert_allclose([float(v.replace(",", "")) for v in row[2:]], want, rtol=5e-3)
    assert run("evaluate", "h", "houses.csv")[1].split()[:5] == ["rows", "loss", "r2", "rmse", "mae"]
    run("train", "flowers.csv", "--target", "kind", "--out", "f", "--quiet", *FAST)
    model = nn.Model.load("f/model.safetensors", backend="numpy")
    frame = pl.read_csv("flowers.csv")
    share = (np.asarray(model.predict(frame)) == frame["kind"].to_numpy()).mean()
    code, out, err = run("evaluate", "f", "flowers.csv", "--metrics", "accuracy")
    assert (code, err, float(out.split()[-1])) == (0, "", pytest.approx(share, abs=5e-5))


def test_several_targets_have_figures_of_their_own_each_in_its_own_unit(run):
    words = ["train", "houses.csv", "--target", "price,area", "--drop", "owner", *FAST]
    code, out, _ = run(*words, "--out", "two")
    assert code == 0
    for name in ("training", "validation", "test"):
        for of in ("price", "area"):
            assert re.search(rf"^{name}, {of} +\d+( +-?\d\S*){{3}}$", out, re.M), out
        assert re.search(rf"^{name}, mean of 2 targets +\d+ +-?\d\S*$", out, re.M)
    assert re.search(r"^baseline mean, on test, area( +-?\d\S*){3}$", out, re.M)
    frame = pl.read_csv("houses.csv")
    model = nn.Model.load("two/model.safetensors", backend="numpy")
    found = np.asarray(model.predict(frame))
    code, out, err = run("evaluate", "two", "houses.csv")
    head, *lines = (line.split() for line in out.splitlines())
    assert (code, err, head) == (0, "", ["rows", "loss", "r2", "rmse", "mae"])
    r2 = []
    for k, (name, line) in enumerate(zip(("price", "area"), lines, strict=False)):
        truth = frame[name].to_numpy()
        error = found[:, k] - truth
        r2.append(1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum())
        assert line[:3] == ["all,", name, "200"]
        want = (error**2).mean(), r2[-1], (error**2).mean() ** 0.5, np.abs(error).mean()
        np.testing.assert_allclose([float(v.replace(",", "")) for v in line[3:]], want, rtol=5e-3)
    assert lines[2][:-1] == ["all,", "mean", "of", "2", "targets", "200"]
    assert float(lines[2][-1]) == pytest.approx(np.mean(r2), rel=5e-3)
    assert len(lines) == 3
    code, out, _ = run(*words, "--seeds", "2", "--out", "s", "--test-split", "0.3")
    assert code == 0
    assert re.search(r"^test, area( +\S+ ± \S+){3}$", out, re.M), out
    assert re.search(r"^test, mean of 2 targets +\S+ ± \S+$", out, re.M)
    assert re.search(r"^baseline mean, on test, price( +\S+ ± \S+){3}$", out, re.M)


def test_a_figure_of_several_targets_does_not_depend_on_the_unit_of_another():
    frame = {"a": RNG.normal(size=50).tolist(), "y": RNG.normal(size=50).tolist(), "z": RNG.normal(size=50).tolist()}
    scores = []
    for factor in (1.0, 1e6):
        scaled = {**frame, "z": [factor * v for v in frame["z"]]}
        encoding = nn.encoding.learn(scaled, ["y", "z"]).encoding
        y = encoding.encode_targets(scaled)
        found = encoding.decode(np.asarray(y) * 0.5)
        scores.append(score(encoding, y, found))
        own = figures(encoding, y, found)
        assert list(own) == ["y", "z", "mean of 2 targets"]
        assert own["z"]["MAE"] == pytest.approx(factor * scores_of(frame["z"]))
    assert scores[0] == pytest.approx(scores[1])


def scores_of(values):
    """The mean absolute error of predictions halfway to the mean."""
    return np.abs(np.asarray(values) - np.mean(values)).mean() / 2


def test_evaluate_and_explain_leave_out_rows_without_a_target_as_train_does(run):
    lines = Path("flowers.csv").read_text().splitlines()
    gaps = [lines[0], "900,1,2,north,", *lines[1:], "901,1,2,north,NA"]
    Path("gaps.csv").write_text("\n".join(gaps) + "\n")
    assert run("train", "flowers.csv", "--target", "kind", "--out", "f", "--quiet", *FAST)[0] == 0
    whole = run("evaluate", "f", "flowers.csv")
    told = "2 rows without a target are left out\n"
    assert run("evaluate", "f", "gaps.csv") == (0, told + whole[1], "")
    assert told in run("train", "gaps.csv", "--target", "kind", "--out", "g", *FAST)[1]
    assert run("explain", "f", "--data", "gaps.csv") == run("explain", "f", "--data", "flowers.csv")
    words = ["--target", "price,area", "--drop", "owner", "--out", "two", "--quiet", *FAST]
    assert run("train", "houses.csv", *words)[0] == 0
    rows = Path("houses.csv").read_text().splitlines()
    Path("some.csv").write_text("\n".join([*rows, ",street 1,2020-01-01,o1,5", "9,street 1,2020-01-01,o1,"]) + "\n")
    assert run("evaluate", "two", "some.csv") == (0, told + run("evaluate", "two", "houses.csv")[1], "")


def test_data_that_do_not_fit_a_model_of_a_table_give_one_line_of_error(run):
    run("train", "houses.csv", "--target", "price", "--out", "h", "--quiet", *FAST)
    frame = pl.read_csv("houses.csv")
    frame.drop("price").write_csv("blind.csv")
    frame.drop("area").write_csv("few.csv")
    frame.head(0).write_csv("empty.csv")
    Path("tall.csv").write_text("area,street,sold,owner,price\ntall,street 1,2020-01-01,o1,1\n")
    Path("gap.csv").write_text("area,street,sold,owner,price\n9,street 1,2020-01-01,o1,\n")
    np.savez("x.npz", x=np.zeros((4, 2), np.float32), y=np.zeros(4, np.int64))
    model = nn.Model(nn.Sequential(nn.Dense(2)), backend="numpy").build((2,))
    model.save("plain.safetensors")
    tabular = "this model was trained on a table; give it FILE, a .csv, .parquet, .jsonl or .xlsx"
    plain = (
        "houses.csv is a table, and this model was not trained on one: it takes inputs of shape (2,); give it "
        "{}FILE.npz, or a model of arraynn train houses.csv --target COLUMN"
    )
    other = "'area', 'street', 'sold', 'owner'"
    for words, told in (
        (["evaluate", "h", "blind.csv"], f"the table has no column 'price'; it has {other}"),
        (["evaluate", "h", "few.csv"], "the table has no column 'area'; it has 'street', 'sold', 'owner', 'price'"),
        (["evaluate", "h", "tall.csv"], "column 'area' holds 'tall' in row 2 of tall.csv; a number was expected"),
        (["evaluate", "h", "gap.csv"], "gap.csv has 0 rows with a target; at least 1 is needed"),
        (["explain", "h", "--data", "gap.csv"], "gap.csv has 0 rows with a target; at least 1 is needed"),
        (["evaluate", "h", "empty.csv"], "empty.csv has no rows below its row of names"),
        (["predict", "h", "empty.csv"], "empty.csv has no rows below its row of names"),
        (["evaluate", "h", "x.npz"], f"x.npz: {tabular}"),
        (["evaluate", "h", "spiral"], f"spiral: {tabular}"),
        (["predict", "h", "x.npz"], f"x.npz: {tabular}"),
        (["explain", "h", "--data", "spiral"], f"spiral: {tabular.replace('FILE', '--data FILE')}"),
        (["explain", "h"], tabular.replace("FILE", "--data FILE")),
        (["evaluate", "plain.safetensors", "houses.csv"], plain.format("")),
        (["predict", "plain.safetensors", "houses.csv"], plain.format("")),
        (["explain", "plain.safetensors", "--data", "houses.csv"], plain.format("--data ")),
        (["explain", "--data", "houses.csv"], plain.format("--data ")),
    ):
        code, out, err = run(*words)
        assert (words, code, out, err) == (words, 1, "", f"arraynn {words[0]}: error: {told}\n")


def test_an_interrupted_run_resumes_to_the_same_end(run, monkeypatch):
    def broken(self, model, epoch, logs, own=nn.EarlyStopping.on_epoch_end):
        own(self, model, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    words = ["train", "flowers.csv", "--target", "kind", "--quiet", "--checkpoint-every", "1", *FAST]
    assert run(*words, "--out", "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(nn.EarlyStopping, "on_epoch_end", broken)
        assert run(*words, "--out", "broken")[0] == 130
    assert run(*words, "--out", "broken", "--resume")[0] == 0
    one, other = (nn.Model.load(f"{folder}/model.safetensors", backend="numpy") for folder in ("whole", "broken"))
    assert one.history == other.history
    frame = flowers()
    np.testing.assert_array_equal(one(frame), other(frame))


def test_seeds_give_mean_and_deviation_for_every_data_set(run):
    code, out, _ = run("train", "flowers.csv", "--target", "kind", "--seeds", "2", "--out", "s", *FAST)
    assert code == 0
    assert re.search(r"mean ± standard deviation of 2 seeds\n +accuracy +log loss\n", out)
    assert out.splitlines()[:3] == ["seed 0, 1 of 2", str(Path("s", "seed-0")), "seed 1, 2 of 2"]
    assert re.search(r"test +\S+ ± \S+ +\S+ ± \S+", out)
    assert {path.name for path in Path("s").iterdir()} == {"seed-0", "seed-1"}
    code, out, _ = run(
        "train", "spiral", "--seeds", "2", "--seed", "3", "--samples", "20", "--out", "t", *FAST[:2], *FAST[4:]
    )
    assert re.search(r"validation +\S+ ± \S+", out)
    assert {path.name for path in Path("t").iterdir()} == {"seed-3", "seed-4"}


def test_wrong_options_for_tables_are_refused(run):
    for words, told in (
        (["houses.csv"], "a table needs --target, the column to predict: one of area, street, sold, owner, price"),
        (["spiral", "--target", "y"], "--target goes with a table, such as FILE.csv"),
        (["houses.csv", "--target", "price", "--group", "owner", "--time", "sold"], "--group and --time are two ways"),
        (
            ["houses.csv", "--target", "price", "--seeds", "2", "--resume", "--out", "x"],
            "--seeds and --resume do not go",
        ),
    ):
        code, out, err = run("train", *words)
        assert (code, out) == (2, "")
        assert told in err
    for words, told in (
        (["houses.csv", "--target", "cost"], "--target: there is no column 'cost'"),
        (["houses.csv", "--target", "price", "--time", "street"], "holds neither dates nor numbers"),
        (["houses.csv", "--target", "price", "--numeric", "ares"], "--numeric: there is no column 'ares'"),
        (["houses.csv", "--target", "price", "--drop", "ares"], "--drop: there is no column 'ares'"),
    ):
        code, _, err = run("train", *words)
        assert code == 1
        assert told in err
    assert not Path("runs").exists()


# ---------------------------------------------------------------- splits


def test_each_set_has_the_class_proportions():
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    sets = split(1000, 0.25, 0.2, 0, labels=labels, groups=None, times=None)
    assert sorted(np.concatenate(list(sets.values())).tolist()) == list(range(1000))
    for name, share in (("test", 0.2), ("validation", 0.2), ("training", 0.6)):
        counts = np.bincount(labels[sets[name]])
        np.testing.assert_allclose(counts, share * np.asarray([700, 200, 100]), atol=1)
    rare = split(10, 0.4, 0.4, 1, labels=np.asarray([0] * 9 + [1]), groups=None, times=None)
    assert 9 in rare["training"]


def test_the_column_that_splits_the_rows_is_reported(run):
    words = ["describe", "houses.csv", "--target", "price"]
    code, out, _ = run(*words, "--group", "owner", "--drop", "street")
    assert code == 0
    assert re.search(r"^owner +left out: the column of --group$", out, re.M)
    assert re.search(r"^street +left out: as asked$", out, re.M)
    assert re.search(r"^split by --group owner, each group in one set: \d+ rows for training", out, re.M)
    assert re.search(r"^owner +left out: as asked$", run(*words, "--group", "owner", "--drop", "owner")[1], re.M)
    code, out, _ = run(*words, "--time", "sold")
    assert code == 0
    assert re.search(r"^split by --time sold, the latest rows last: \d+ rows for training", out, re.M)


def test_rows_of_a_group_are_in_one_set():
    groups = np.repeat(np.arange(40), 5)
    for seed in range(20):
        sets = split(200, 0.2, 0.2, seed, labels=None, groups=groups, times=None)
        own = [set(groups[places]) for places in sets.values()]
        assert len(own) == 3
        assert not own[0] & own[1] | own[0] & own[2] | own[1] & own[2]
        assert 20 <= len(sets["test"]) <= 60
    with pytest.raises(nn.DataError, match="there are 2 groups, at least 3"):
        split(4, 0.2, 0.2, 0, labels=None, groups=np.asarray([0, 0, 1, 1]), times=None)


def test_training_is_before_validation_is_before_test():
    times = np.asarray([5.0, 1, 3, 3, 2, 4, 9, 8, 7, 6] * 10)
    sets = split(100, 0.2, 0.2, 0, labels=None, groups=None, times=times)
    assert times[sets["training"]].max() < times[sets["validation"]].min()
    assert times[sets["validation"]].max() < times[sets["test"]].min()
    with pytest.raises(nn.DataError, match="leave none to train on"):
        split(1, 0.0, 0.9, 0, labels=None, groups=None, times=np.asarray([1.0]))


def test_equal_rows_across_the_split_are_counted():
    x = np.asarray([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]], np.float32)
    sets = {"training": (x[:2], np.asarray([0, 1])), "test": (x[1:], np.asarray([0, 0]))}
    assert duplicates(sets) == 1


# ---------------------------------------------------------------- figures


def test_an_unused_column_has_importance_0_and_the_only_used_one_all():
    frame = {"a": RNG.normal(size=300).tolist(), "b": RNG.normal(size=300).tolist()}
    frame["y"] = [2 * v for v in frame["a"]]
    encoding = nn.encoding.learn(frame, "y").encoding
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, backend="numpy", encoding=encoding)
    x, y = encoding.rows(frame)
    model.build((2,)).set_params([{"weight": np.asarray([[1.0], [0.0]]), "bias": np.zeros(1)}])
    found = importance(model, x, y, 0)
    assert list(found) == ["a", "b"]
    assert found["a"][0] == pytest.approx(2.0, abs=0.2)  # of R²: shuffled, the errors are twice the spread
    assert found["b"] == (0.0, 0.0)


def test_precision_and_recall_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    y, found = RNG.integers(0, 3, 60), RNG.integers(0, 3, 60)
    table = confusion(y, found, 3)
    np.testing.assert_array_equal(table, metrics.confusion_matrix(y, found))
    wanted = metrics.precision_recall_fscore_support(y, found)
    for one, other in zip(zip(*per_class(table), strict=True), (wanted[0], wanted[1], wanted[3]), strict=True):
        np.testing.assert_allclose(one, other)


def test_the_majority_class_is_counted_with_a_32_bit_index_type(monkeypatch):
    """bincount takes what casts safely to intp: on a 32-bit system, as in the browser, int64 does not."""
    counted = np.bincount

    def narrow(values, minlength=0):
        assert values.dtype == np.intp
        return counted(values, minlength=minlength)

    frame = flowers()
    encoding = nn.encoding.learn(frame, "kind").encoding
    x, y = encoding.rows(frame)
    whole = x, np.asarray(y).astype(np.int16)  # an int64 is this system's intp
    monkeypatch.setattr(np, "bincount", narrow)
    assert "majority" in baselines(encoding, {"training": whole, "test": whole}, "test")[0]


def test_baselines_are_reported_beside_the_figures():
    pytest.importorskip("sklearn")
    for frame, target, names in ((flowers(), "kind", ["majority", "logistic"]), (houses(), "price", ["mean", "ridge"])):
        encoding = nn.encoding.learn(frame, target).encoding
        whole = encoding.rows(frame)
        found, why = baselines(encoding, {"training": whole, "test": whole}, "test")
        assert (list(found), why) == (names, "")
        name = "accuracy" if target == "kind" else "R²"
        assert found[names[0]][""][name] < 0.4 < 0.9 < found[names[1]][""][name]
