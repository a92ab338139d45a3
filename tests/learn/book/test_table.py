import csv
import math

import pytest

from arraynn.learn.book import ROWS, Figures, Result, Row
from arraynn.learn.book.runs import Point
from arraynn.learn.book.store import Store
from arraynn.learn.book.table import Line, Table, _distance, printed

ROW = next(row for row in ROWS if row.name == "l2")


def result(stream, accuracy=0.95, loss=0.226, rate=0.019900507413187767, row=ROW, **more):
    curve = (Point(0, 0.36, 1.099), Point(10_000, accuracy, loss))
    figures = Figures(accuracy, loss, 0.165, 0.061, 0.84, 0.525, rate)
    return Result(
        row.name,
        str(stream),
        "numpy",
        10_000,
        3.25,
        Figures(0.36, 1.0986),
        Figures(0.69, 0.845),
        figures,
        curve,
        **more,
    )


def table(results, rows=(ROW,), epochs=None):
    return Table(rows, results, epochs)


def test_figures_are_printed_as_the_book_prints_them():
    assert [printed(value) for value in (0.36, 1.0986, 0.0)] == [".360", "1.099", ".000"]


def test_all_columns_stand_side_by_side():
    text = table([result("book"), result(0, 0.94, 0.2), result(1, 0.96, 0.3)]).text("numpy")
    lines = {line.split("  ")[1]: line for line in text.splitlines() if line.startswith("  ")}
    cells = [part for part in lines["epoch 10000"].split("  ") if part.strip()]
    assert [part.strip() for part in cells] == [
        "epoch 10000",
        ".947, .217",
        ".950, .226",
        ".950, .226",
        ".950 ± .014, .250 ± .071",
    ]
    assert ".690, .845" in lines["epoch 100"]
    assert ".830, .435" in lines["validation"]
    assert ".019900507413187767" in lines["learning rate"]
    assert "2 seeds, numpy" in text.splitlines()[0]


def test_agreement_to_the_printed_digits_is_counted():
    notes = "\n".join(table([result("book")]).notes())
    assert "epoch 100: the book's stream agrees with its code today to the printed digits in 1 of 1 rows" in notes
    assert "learning rates: the book's stream agrees with the book to the printed digits in 1 of 1 rows" in notes
    notes = "\n".join(table([result("book", loss=0.3, rate=0.0199)]).notes())
    assert (
        "the end: the book's stream agrees with its code today to the printed digits in 0 of 1 rows, not in l2" in notes
    )
    assert "in 0 of 1 rows, not in l2" in notes.partition("learning rates")[2]


def test_large_differences_are_noted_with_their_reason():
    far = [result(seed, 0.5 + seed / 100, 0.9 + seed / 100) for seed in range(5)]
    notes = "\n".join(table(far).notes())
    assert "l2: the book is more than 3 standard deviations off (accuracy" in notes
    assert "no reason is known" in notes
    notes = "\n".join(table(far[:2]).notes())
    assert "more than 3 standard deviations off" in notes
    assert "but 2 seeds are too few to tell" in notes
    near = [result(0, 0.93, 0.2), result(1, 0.96, 0.23)]
    assert "standard deviations off (accuracy" not in "\n".join(table(near).notes())


def test_the_distance_ignores_half_a_printed_digit():
    assert _distance(Line("r", "loss", 0.0, None, None, 0.0004, 0.0001, 5)) == 0
    assert _distance(Line("r", "loss", 0.5, None, None, 0.4, 0.05, 5)) == pytest.approx((0.1 - 0.0005) / 0.05)
    assert _distance(Line("r", "loss", 0.5, None, None, 0.4, 0.0, 5)) == math.inf
    assert _distance(Line("r", "loss", None, None, None, 0.4, 0.1, 5)) == 0


def test_a_run_cut_short_is_compared_with_nothing_at_its_end():
    text = table([result("book")], epochs=300).text("numpy")
    assert "epoch 300" in text
    assert ".947" not in text


def test_rows_that_cannot_be_run_say_why(monkeypatch, tmp_path):
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path))
    text = table([], rows=(ROWS[-1],)).text("numpy")
    assert "not run: needs the four files of Fashion-MNIST" in text


def test_a_run_that_broke_off_is_noted_and_left_out():
    results = [
        result(0),
        result(1),
        Result(ROW.name, "2", "numpy", 10_000, 1.0, problem="training diverged at epoch 3"),
    ]
    text = table(results).text("numpy")
    assert "l2, 2: training diverged at epoch 3" in text
    assert table(results).lines(ROW)[4].count == 2


def test_every_row_but_fashion_has_recorded_figures():
    for row in ROWS:
        if row.data != "fashion":
            assert row.today.loss is not None, row.name
            assert row.today_100.accuracy is not None, row.name
            assert row.book.accuracy is not None, row.name


def test_names_of_rows_are_unique():
    assert len({row.name for row in ROWS}) == len(ROWS) == 23
    assert isinstance(ROWS[0], Row)


def test_the_csv_has_every_figure_unrounded(tmp_path):
    table([result("book"), result(0)]).write(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    rate = next(line for line in lines if line["figure"] == "learning rate")
    assert rate["book"] == rate["book_stream"] == "0.019900507413187767"
    assert {line["row"] for line in lines} == {"l2"}


# ---------------------------------------------------------------- what is kept of runs


def test_stored_results_are_read_back(tmp_path):
    results = [result("book"), result(0), Result("sgd", "1", "numpy", 5, 2.0, problem="diverged, at once")]
    store = Store(tmp_path)
    for one in results:
        store.add(one)
    again = Store(tmp_path)
    assert [(r.row, r.stream, r.end, r.curve, r.problem) for r in again.results] == [
        (r.row, r.stream, r.end, r.curve, r.problem) for r in results
    ]


def test_a_broken_last_line_is_cut_away(tmp_path):
    store = Store(tmp_path)
    store.add(result("book"))
    for name in ("runs.csv", "curves.csv"):
        with (tmp_path / name).open("ab") as file:
            file.write(b"l2,3,numpy,100")
    again = Store(tmp_path)
    assert [r.stream for r in again.results] == ["book"]
    again.add(result(4))
    assert [r.stream for r in Store(tmp_path).results] == ["book", "4"]


# ---------------------------------------------------------------- the picture


def test_a_loss_printed_as_0_is_left_out_on_a_logarithmic_axis():
    from arraynn.learn.book.picture import draw

    row = next(row for row in ROWS if row.name == "sine-64-0.1")
    figure = draw([row], [result("book", 0.98, 1e-6, row=row), result(0, 0.97, 1e-5, row=row)], "loss")
    figure.canvas.draw()  # warns, and so fails, where a point cannot be placed
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert len(axes.lines) == 2
    (axes,) = draw([row], [result("book", row=row)], "accuracy").axes
    assert len(axes.lines) == 2  # the run, and the book's figure


def test_nothing_to_draw_is_an_empty_picture():
    from arraynn.learn.book.picture import draw

    assert [axes.get_visible() for axes in draw([ROW], [], "loss").axes] == [False]
