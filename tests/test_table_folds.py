"""`arraynn train TABLE --folds K`: K networks on folds of the rows, and the model of their mean."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import arraynn as nn
from arraynn.cli import _table_folds
from arraynn.cli._splits import folds_of
from arraynn.cli._table_folds import FoldedRun

pl = pytest.importorskip("polars", reason="the extra tables is not installed")

FAST = ["--backend", "numpy", "--hidden", "8", "--epochs", "3"]
MODEL = "model.safetensors"


def flowers(rows=90):
    rng, kinds = np.random.default_rng(0), np.arange(rows) % 3
    return {
        "petal": (kinds + rng.normal(0, 0.2, rows)).round(2).tolist(),
        "place": [f"place {i % 23}" for i in range(rows)],  # embedded, so a row of x is a tuple
        "owner": [f"owner {i % 9}" for i in range(rows)],
        "day": [f"2024-{1 + i % 12:02d}-01" for i in range(rows)],
        "kind": [("iris", "rose", "tulip")[k] for k in kinds],
        "size": (10_000 * kinds + rng.normal(0, 900, rows)).round(1).tolist(),
    }


@pytest.fixture(autouse=True)
def elsewhere(request, tmp_path, monkeypatch):
    """Every test works in a folder of its own, and draws only where it says `pictures`."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.chdir(tmp_path)
    pl.DataFrame(flowers()).write_csv("flowers.csv")


def loaded(path):
    return nn.Model.load(path, backend="numpy")


@pytest.mark.parametrize("target", ["kind", "size"])
def test_predictions_are_the_mean_of_the_networks(run, pictures, target):
    code, out, err = run("train", "flowers.csv", "--target", target, "--folds", "3", "--out", "r", *FAST)
    assert (code, err) == (0, "")
    assert "3 networks, each trained on all but one of 3 folds of the training rows" in out
    assert re.search(r"^training +72 ", out, re.M)
    assert re.search(r"^out of fold +72 +-?\d", out, re.M)
    assert re.search(r"^fold 2 of 3: 0:\d\d for 3 epochs; validation \S+ -?\d", out, re.M)
    assert re.search(r"^test +18 ", out, re.M)
    assert {path.name for path in Path("r").iterdir()} >= {MODEL, "fold-1", "fold-2", "fold-3", "importance.png"}
    frame, model = flowers(), loaded(f"r/{MODEL}")
    members = [loaded(f"r/fold-{k}/{MODEL}") for k in (1, 2, 3)]
    outputs = [np.asarray(member(frame)) for member in members]
    assert np.abs(outputs[0] - outputs[1]).max() > 0.01
    np.testing.assert_allclose(np.asarray(model(frame)), np.mean(outputs, axis=0), rtol=1e-5, atol=1e-5)
    assert run("evaluate", "r", "flowers.csv")[0] == 0
    assert run("predict", "r", "flowers.csv", "--out", "p.csv") == (0, "90 predictions in p.csv\n", "")
    assert run("explain", "r", "--data", "flowers.csv")[0] == 0


def test_the_out_of_fold_figure_is_of_rows_that_a_network_has_not_seen(run):
    """A target that a column cannot tell is learnt by heart: training rows are right, others by chance."""
    rng = np.random.default_rng(1)
    frame = {"a": rng.normal(size=60).tolist(), "b": rng.normal(size=60).tolist()}
    frame["y"] = rng.choice(["no", "yes"], 60).tolist()
    pl.DataFrame(frame).write_csv("chance.csv")
    words = ["--folds", "4", "--backend", "numpy", "--epochs", "300", "--l2", "1e-9", "--dropout", "0"]
    words += ["--learning-rate", "0.01"]
    _, out, _ = run("train", "chance.csv", "--target", "y", "--out", "r", *words)
    parts = []
    for k in (1, 2, 3, 4):
        found = re.search(rf"^fold {k} of 4: .*; validation accuracy (\S+)", out, re.M)
        parts.append(float(found[1]))
    own = float(re.search(r"^out of fold +48 +(\S+)", out, re.M)[1])
    assert own == pytest.approx(np.mean(parts), abs=1e-3)  # 48 training rows: folds of 12


def test_a_small_table_is_cross_validated_by_default(run):
    def networks(*words):
        code, out, err = run("describe", "flowers.csv", "--target", "kind", *words)
        assert (code, err) == (0, "")
        found = re.search(r"(\d+) networks, each trained", out)
        return int(found[1]) if found else 1

    assert networks() == 5
    assert networks("--folds", "2") == 2
    assert networks("--group", "owner", "--folds", "3") == 3
    alone = (["--folds", "1"], ["--time", "day"], ["--group", "owner"], ["--validation-split", "0.3"])
    for words in (*alone, ["--test-split", "0"]):
        assert networks(*words) == 1
    pl.DataFrame(flowers(30)).write_csv("flowers.csv")
    assert networks() == 1
    pl.DataFrame(flowers(2600)).write_csv("flowers.csv")
    assert networks() == 1


def test_options_that_exclude_folds_give_one_line_of_error(run):
    for words, told in (
        (["--time", "day"], "--folds and --time do not go together; give one of them"),
        (["--validation-split", "0.2"], "--folds and --validation-split do not go together; give one of them"),
        (["--test-split", "0"], "--folds and --test-split 0 do not go together; give one of them"),
    ):
        code, out, err = run("train", "flowers.csv", "--target", "kind", "--folds", "3", *words)
        assert (code, out) == (2, "")
        assert told in err
    code, _, err = run("train", "flowers.csv", "--target", "kind", "--folds", "80")
    assert (code, err) == (
        1,
        "arraynn train: error: --folds 80: there are 72 rows to train on, at least 80 are needed\n",
    )
    code, _, err = run("train", "spiral", "--folds", "3")
    assert (code, "--folds goes with a table, such as FILE.csv" in err) == (2, True)
    assert not Path("runs").exists()


def test_an_interrupted_run_resumes_with_its_finished_networks(run, monkeypatch):
    seen = []

    def broken(self, model, epoch, logs, own=nn.EarlyStopping.on_epoch_end):
        own(self, model, epoch, logs)
        seen.append(epoch)
        if len(seen) == 5:  # the second epoch of the second network
            raise KeyboardInterrupt

    words = ["train", "flowers.csv", "--target", "kind", "--folds", "3", "--checkpoint-every", "1", *FAST]
    assert run(*words, "--out", "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(nn.EarlyStopping, "on_epoch_end", broken)
        code, _, err = run(*words, "--out", "broken")
    assert code == 130
    told = "interrupted after 2 of 3 epochs of fold 2 of 3; all is saved in broken/fold-2"
    assert err == f"arraynn train: {told}; --out broken --resume continues\n"
    for command in ("predict", "evaluate"):
        code, _, err = run(command, "broken", "flowers.csv")
        assert (code, err.count("\n")) == (1, 1)
        assert "broken holds a run that was interrupted before its model was saved; arraynn train with" in err
        assert "--out broken --resume finishes it" in err
    code, _, err = run(*words, "--out", "broken")
    assert code == 2
    assert "broken/fold-2/checkpoint.safetensors exists; --resume continues it" in err
    code, out, _ = run(*words, "--out", "broken", "--resume")
    assert code == 0
    assert "fold 1 of 3 is trained already" in out
    assert "continues from broken/fold-2/checkpoint.safetensors" in out
    frame = flowers()
    np.testing.assert_array_equal(loaded(f"whole/{MODEL}")(frame), loaded(f"broken/{MODEL}")(frame))
    code, out, _ = run(*words, "--out", "broken", "--resume")
    assert (code, out.count("\n")) == (0, 1)
    assert "there is nothing to resume; --overwrite starts over" in out  # more epochs do not go on
    code, _, err = run(*words, "--out", "broken")
    assert (code, "--resume" in err) == (2, False)
    code, _, err = run(*words[:-1], "9", "--out", "broken", "--resume")
    assert (code, err.count("\n")) == (1, 1)
    assert "only a run with --folds 1 continues with more epochs" in err


def test_files_of_an_earlier_run_are_not_used(run, monkeypatch):
    def broken(self, model, epoch, logs):
        raise KeyboardInterrupt

    words = ["train", "flowers.csv", "--target", "kind", "--folds", "3", *FAST, "--out", "r"]
    assert run(*words)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(nn.EarlyStopping, "on_epoch_end", broken)
        assert run(*words, "--overwrite", "--seed", "1")[0] == 130
    code, out, _ = run(*words, "--resume", "--seed", "1")
    assert code == 0
    assert "is trained already" not in out
    assert run(*words[:-1], "fresh", "--seed", "1")[0] == 0
    frame = flowers()
    np.testing.assert_array_equal(loaded(f"r/{MODEL}")(frame), loaded(f"fresh/{MODEL}")(frame))


def test_networks_of_a_run_that_was_killed_between_two_folds_are_not_lost(run):
    words = ["train", "flowers.csv", "--target", "kind", "--folds", "3", *FAST, "--out", "r"]
    assert run(*words)[0] == 0
    whole = loaded(f"r/{MODEL}")
    for left in (MODEL, f"fold-3/{MODEL}"):
        Path("r", left).unlink()
    code, _, err = run(*words)
    assert (code, f"r/fold-1/{MODEL} exists; --resume continues it" in err) == (2, True)
    code, out, _ = run(*words, "--resume")
    assert (code, out.count("is trained already")) == (0, 2)
    np.testing.assert_array_equal(whole(flowers()), loaded(f"r/{MODEL}")(flowers()))


@pytest.mark.parametrize(("owner", "told"), [("_FoldRun", "fold 1 of 3"), ("FoldedRun", "3 networks")])
def test_ctrl_c_while_pictures_are_drawn_keeps_the_trained_networks(run, monkeypatch, owner, told):
    def broken(*_):
        raise KeyboardInterrupt

    words = ["train", "flowers.csv", "--target", "kind", "--folds", "3", *FAST, "--out", "r"]
    with monkeypatch.context() as patch:
        patch.setattr(getattr(_table_folds, owner), "draw", broken)
        code, _, err = run(*words)
    assert (code, err.count("\n")) == (130, 1)
    assert told in err
    assert "while" in err
    assert "--out r --resume" in err
    code, out, _ = run(*words, "--resume")
    assert code == 0
    assert out.count("is trained already") == (0 if owner == "_FoldRun" else 3)  # a broken one is drawn anew
    assert run(*words[:-1], "unbroken")[0] == 0
    np.testing.assert_array_equal(loaded(f"r/{MODEL}")(flowers()), loaded(f"unbroken/{MODEL}")(flowers()))


def test_overwriting_a_run_removes_its_networks(run):
    words = ["train", "flowers.csv", "--target", "kind", *FAST, "--out", "r", "--quiet"]
    top = {MODEL, "history.csv", "curves.png", "importance.png", "confusion.png"}
    for folds in (1, 3, 2, 1):
        assert run(*words, "--folds", folds, "--overwrite")[0] == 0
        left = {path.name for path in Path("r").iterdir()}
        own = {f"fold-{k + 1}" for k in range(folds)} if folds > 1 else set()
        assert left - top == own
        assert ("history.csv" in left) == (folds == 1)


def test_seeds_work_with_folds(run):
    words = ["train", "flowers.csv", "--target", "size", "--folds", "2", "--seeds", "2", *FAST, "--out", "s"]
    code, out, _ = run(*words)
    assert code == 0
    assert re.search(r"^out of fold( +\S+ ± \S+){3}$", out, re.M)
    assert re.search(r"^baseline mean, on test( +\S+ ± \S+){3}$", out, re.M)


def test_without_rows_held_out_the_figures_are_of_the_training_rows(run):
    words = ["--test-split", "0", "--validation-split", "0", "--out", "r"]
    code, out, err = run("train", "flowers.csv", "--target", "kind", *FAST, *words)
    assert (code, err) == (0, "")
    assert re.search(r"^baseline majority, on training ", out, re.M)


def test_folds_have_equal_sizes_and_class_proportions():
    labels = np.repeat([0, 1], [80, 23])
    found = folds_of(103, 5, 0, labels=labels, groups=None)
    assert sorted(set(found)) == [0, 1, 2, 3, 4]
    for label, count in ((0, 16), (1, 23 / 5)):
        np.testing.assert_allclose(np.bincount(found[labels == label], minlength=5), count, atol=1)
    assert np.ptp(np.bincount(found)) <= 2
    assert (found != folds_of(103, 5, 1, labels=labels, groups=None)).any()


def test_a_group_is_in_one_fold():
    groups = np.repeat(np.arange(30), np.arange(30) + 1)
    found = folds_of(len(groups), 4, 0, labels=None, groups=groups)
    assert all(len(set(found[groups == group])) == 1 for group in range(30))
    assert np.ptp(np.bincount(found)) <= 30
    with pytest.raises(nn.DataError, match="--folds 4: there are 2 groups to train on, at least 4 are needed"):
        folds_of(4, 4, 0, labels=None, groups=np.asarray([0, 0, 1, 1]))


@pytest.mark.parametrize("step", ["draw", "report"])
def test_ctrl_c_while_the_joint_pictures_are_drawn_keeps_the_networks(run, monkeypatch, step):
    def interrupted(*_):
        raise KeyboardInterrupt

    command = "train", "flowers.csv", "--target", "kind", "--folds", "2", "--out", "r", *FAST
    with monkeypatch.context() as patch:
        patch.setattr(FoldedRun, step, interrupted)
        code, _, err = run(*command)
    assert code == 130
    assert err.startswith(
        "arraynn train: interrupted after all 2 networks, while their pictures and figures were made; "
    )
    assert err.endswith("; --out r --resume joins them and makes these\n")
    assert not (Path("r") / MODEL).exists()  # which would be taken for a run that is done
    kept = [loaded(f"r/fold-{i}/{MODEL}") for i in (1, 2)]
    code, out, err = run(*command, "--resume")
    assert (code, err) == (0, "")
    assert out.count("is trained already") == 2
    networks, _ = loaded(f"r/{MODEL}").params
    for one, other in zip(nn.tree.leaves(networks), nn.tree.leaves([model.params for model in kept]), strict=True):
        assert np.array_equal(one, other)
