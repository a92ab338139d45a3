"""A user's own data: columns of tables, what is refused of them, and the program that reads them again."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import arraynn as nn
from arraynn.learn.play import Session, load_table
from arraynn.learn.play.files import open_data
from tests.learn.play.serving import ROOT

ROWS = [(0.5, 10, "yes", 1.5), (1.5, 30, "no", 2.5), (2.5, 20, "yes", 0.25), (3.5, 0, "no", 4.75), (4.5, 5, "no", 3.5)]


@pytest.fixture
def table(tmp_path):
    pytest.importorskip("polars")
    path = tmp_path / "mine.csv"
    lines = ["size,weight,good,price", *(",".join(map(str, row)) for row in ROWS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def standardized(column):
    values = np.asarray([row[column] for row in ROWS], float)
    return ((values - values.mean()) / values.std()).astype("float32")


def test_columns_are_taken_by_name_and_standardized(table):
    x, y = load_table(table, ["weight", "size"], "good")
    np.testing.assert_array_equal(x, np.stack([standardized(1), standardized(0)], axis=1))
    assert x.dtype == np.float32
    assert y.tolist() == [1, 0, 1, 0, 0]  # no, yes
    assert y.dtype == np.int64
    x, y = load_table(table, ("size",), "price")
    np.testing.assert_array_equal(x, standardized(0)[:, None])
    np.testing.assert_allclose(y, standardized(3)[:, None], rtol=1e-6)


def test_rows_without_a_number_or_a_target_are_left_out(table):
    with table.open("a", encoding="utf-8") as file:
        file.write(",1,yes,1.25\n9.5,1,,1.25\n9.5,,no,1.25\n")
    x, y = load_table(table, ["size", "weight"], "good")
    assert x.shape == (5, 2)
    assert y.tolist() == [1, 0, 1, 0, 0]


@pytest.mark.parametrize("value", ["7", "0.1", "-1e9", "1e-300"])
def test_a_column_that_never_changes_is_zero(table, value):
    """The mean of six times 0.1 is not 0.1: the column became -1 in each row."""
    table.write_text("a,b\n" + f"{value},x\n{value},y\n{value},y\n" * 2, encoding="utf-8")
    assert load_table(table, ["a"], "b")[0].tolist() == [[0.0]] * 6


@pytest.mark.parametrize(("x", "target", "said"), [
    ("sise", "good", "has no column 'sise'; did you mean 'size'?; its columns are size, weight, good, price"),
    ("size,weight", "goood", "has no column 'goood'; did you mean 'good'?"),
    ("good", "price", "column 'good' must hold numbers, but has 'yes' in row 2 of mine.csv"),
    ("size,weight,price", "good", "x names 3 columns; the page draws 1 or 2"),
    ("size", "size", "must be different columns, got size, size"),
    ("size,size", "good", "must be different columns, got size, size, good"),
    (None, "good", "is a table: name its columns, --x a,b --target c, out of size, weight, good, price"),
    ("size", None, "is a table: name its columns"),
])  # fmt: skip
def test_wrong_files_and_columns_give_one_line_of_error(table, x, target, said):
    with pytest.raises(nn.DataError) as error:
        open_data(str(table), x, target)
    assert said in str(error.value)
    assert "mine.csv" in str(error.value) or "different" in said or "x names" in said
    assert "\n" not in str(error.value)


def test_more_classes_or_rows_than_the_page_draws_are_refused(table):
    table.write_text("a,b\n" + "".join(f"{i},{'abcdefghi'[i % 9]}\n" for i in range(90)), encoding="utf-8")
    with pytest.raises(nn.DataError, match="y holds classes 0 to 8; the page takes 0 to 7"):
        open_data(str(table), "a", "b")
    table.write_text("a,b\n" + "1,x\n" * 20_001, encoding="utf-8")
    with pytest.raises(nn.DataError, match="has 20001 rows; the page draws 2 to 20000"):
        open_data(str(table), "a", "b")
    table.write_text("a,b\n1,\n,x\n2,x\n", encoding="utf-8")
    with pytest.raises(nn.DataError, match="has 1 row with numbers in a and a b; at least 2 are needed"):
        open_data(str(table), "a", "b")


@pytest.mark.parametrize(("target", "targets"), [("good", "classes"), ("price", "values")])
def test_the_program_of_a_table_gives_its_weights(table, target, targets):
    made = Session(open_data(str(table), "size,weight", target))
    assert made.targets == targets
    made.call("configure", {"settings": {"data": "file", "batch_size": 2, "layers": [{"units": 4, "dropout": 0.1}]}})
    made.call("step", {"count": 4})
    made.call("add", {"points": [[0.5, 0.25, 1]]})
    made.call("step", {"count": 2})
    program = made.code()["code"]
    assert f"load_table({str(table)!r}, ['size', 'weight'], {target!r})" in program
    run = f"{program}\nnp.savez({str(table.parent / 'w.npz')!r}, **dict(nn.tree.items(model.params)))\n"
    subprocess.run([sys.executable, "-c", run], cwd=ROOT, check=True, capture_output=True, timeout=120)
    found = dict(np.load(table.parent / "w.npz"))
    assert found.keys() == made.weights.keys()
    for path, weight in made.weights.items():
        assert found[path].tobytes() == weight.tobytes(), path


@pytest.mark.parametrize(("arguments", "said"), [
    (["--x", "a"], "--data FILE.csv names the table"),
    (["--data", "mine.npz", "--target", "a"], "name columns of a table; mine.npz is no table"),
    (["--data", "none.csv", "--x", "a", "--target", "b"], "none.csv: there is no such file"),
])  # fmt: skip
def test_options_that_exclude_each_other_give_one_line_of_error(arguments, said):
    command = [sys.executable, "-m", "arraynn", "play", "--no-browser", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("targets", "said"), [
    ([0, 1, 9], "y_test holds classes 0 to 9; the page takes 0 to 7"),
    ([0.7, 1, 0], "y holds classes, y_test float64 values"),  # 0.7 was class 0
])  # fmt: skip
def test_the_rows_of_a_test_set_are_checked_like_training_rows(tmp_path, targets, said):
    rows = {"x": np.zeros((6, 2)), "y": np.arange(6) % 2, "x_test": np.zeros((3, 2)), "y_test": np.asarray(targets)}
    np.savez(tmp_path / "mine.npz", **rows)
    with pytest.raises(nn.DataError, match=said):
        open_data(str(tmp_path / "mine.npz"))


def test_without_polars_the_error_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "mine.csv").write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(nn.DataError, match=r'pip install "arraynn\[tables\]"'):
        open_data(str(tmp_path / "mine.csv"), "a", "b")
