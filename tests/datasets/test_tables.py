"""Reading tables: what stands in the file comes out, or one line says what is wrong, and nothing is left behind."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn.cli import main
from arraynn.datasets.tables import TextColumn, read_table
from arraynn.encoding import Column
from tests.datasets.strange_tables import LONG, READ, REFUSED

pl = pytest.importorskip("polars", reason="the extra tables is not installed")
ROOT = Path(__file__).parents[2]


def test_there_are_at_least_a_hundred_unusual_files():
    names = [name for name, *_ in READ + REFUSED]
    assert len(names) >= 100
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "data", "expected"), READ, ids=[case[0] for case in READ])
def test_an_unusual_file_gives_its_cells(tmp_path, name, data, expected):
    (tmp_path / name).write_bytes(data)
    table = read_table(tmp_path / name)
    whole = all(len(values) == table.count for values in expected.values())
    assert whole
    for column, values in expected.items():
        parts = [chunk.columns[column] for chunk in table.chunks([column])]
        if any(isinstance(value, str) for value in values):
            assert [text for part in parts for text in part.as_text().texts()] == values
        else:
            found = [part.numbers(table.decimal) for part in parts]
            wanted = np.asarray([np.nan if value is None else value for value in values])
            np.testing.assert_array_equal(np.concatenate([one[0] for one in found]), wanted)
            assert not any(one[1].size for one in found)


@pytest.mark.parametrize(("name", "data", "line"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_wrong_file_raises_one_line_and_leaves_no_file(tmp_path, monkeypatch, capsys, name, data, line):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(data)
    code = main(["train", name, "--target", "y", "--quiet", "--backend", "numpy"])
    shown = capsys.readouterr()
    assert (code, shown.out) == (1, "")
    told = f"arraynn train: error: {line.replace('FILE', name)}"
    assert shown.err.count("\n") == 1
    if line.endswith(": "):  # the library that failed goes on in its own words
        assert shown.err.startswith(told)
    else:
        assert shown.err == f"{told}\n"
    assert [path.name for path in tmp_path.rglob("*")] == [name]


def texts():
    numbers = st.floats().map(str) | st.integers().map(str) | st.decimals(allow_nan=False).map(str)
    bits = st.text("0123456789+-.,eEinfaNdx_ ", max_size=8)
    return st.lists(st.none() | numbers | bits | st.text(max_size=6), max_size=12)


@settings(deadline=None, max_examples=300)
@given(texts(), st.sampled_from(".,"))
@example(["1.e5", ".5", "5.", "+.5e+3", "1,5", "1.5,5", " 1", "١", "infinity", "nan", "1e400", None, ""], ",")
@example(["1.e5", ".5", "5.", "+.5e+3", "1,5", "1.5,5", " 1", "١", "infinity", "nan", "1e400", None, ""], ".")
def test_polars_columns_equal_the_reference_columns(values, decimal):
    slow = Column("text", np.asarray([*values, None], object)[:-1])
    fast = TextColumn("text", pl.Series(values, dtype=pl.String))
    for one, other in zip(slow.numbers(decimal), fast.numbers(decimal), strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(slow.texts()) == list(fast.texts())
    words, inverse = fast.factorized()
    assert [words[place] for place in inverse] == values
    from arraynn.encoding import is_padded

    padded = [{w for w in one.beginning_with_zero() if is_padded(w)} for one in (slow, fast)]
    assert padded[0] == padded[1]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(*[st.text(st.characters(exclude_characters="\r\0", codec="utf-8"), max_size=6)] * 3), min_size=1
    ),
    st.sampled_from(",;\t|"),
)
def test_cells_written_by_csv_are_read_back(tmp_path_factory, rows, separator):
    """Whatever text the csv module writes, blank rows of one kind apart, comes back cell by cell."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows([("a", "b", "y"), *rows])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(out.getvalue().encode())
    table = read_table(path, separator=separator)
    found = [
        tuple("" if value is None else value for value in row)
        for chunk in table.chunks()
        for row in zip(*(list(chunk.columns[name].values) for name in "aby"), strict=True)
    ]
    assert found == rows


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=80) | st.text('a1,;\t"\n\r.é\0 -', max_size=60).map(lambda text: text.encode("latin-1")),
    st.sampled_from(["t.csv", "t.tsv", "t.jsonl", "t.csv.gz", "t.parquet", "t.xlsx"]),
)
def test_any_bytes_give_a_table_or_a_data_error(tmp_path_factory, data, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    with suppress(nn.DataError):
        table = read_table(path)
        total = 0
        for chunk in table.chunks():
            assert chunk.start == total
            total += chunk.count
            assert set(chunk.columns) == set(table.names)
            assert {len(column) for column in chunk.columns.values()} == {chunk.count}
            for column in chunk.columns.values():
                column.numbers(table.decimal)
                column.as_text().factorized()
        assert table.count == total


def test_blocks_of_any_size_give_the_same(tmp_path, monkeypatch):
    """Cells with newlines in quotes fall on the ends of blocks."""
    from arraynn.datasets import _records

    data = b"a,b,y\n" + b"".join(
        b'%d,"x\n""%d""",%d\n' % (i, i, i) if i % 3 else b"%d,z,%d\n" % (i, i) for i in range(300)
    )
    (tmp_path / "t.csv").write_bytes(data)
    found = []
    for size in (40, 41, 97, 2**20):
        monkeypatch.setattr(_records.Records, "_size", lambda self, size=size: size)
        table = read_table(tmp_path / "t.csv")
        cells = [
            (c, chunk.where(i)) for chunk in table._read(table.names) for i, c in enumerate(chunk.columns["b"].texts())
        ]
        found.append(cells)
    assert found[0] == found[1] == found[2] == found[3]
    assert found[0][2] == ('x\n"2"', "row 5 of t.csv")


def test_chosen_columns_of_a_wide_table_are_read(tmp_path):
    names = [f"c{i}" for i in range(10_000)]
    data = ",".join(names) + "\n" + "\n".join(",".join(str(i * k % 7) for i in range(10_000)) for k in range(3)) + "\n"
    (tmp_path / "w.csv").write_text(data)
    table = read_table(tmp_path / "w.csv")
    chunk = next(iter(table.chunks(["c9999", "c3"])))
    assert chunk.columns["c9999"].numbers()[0].tolist() == [0, 9999 % 7, 2 * 9999 % 7]
    assert chunk.columns["c3"].numbers()[0].tolist() == [0, 3, 6]


def test_parquet_and_excel_keep_their_types(tmp_path):
    from datetime import date, datetime

    frame = pl.DataFrame(
        {
            "n": [1, None, 3],
            "f": [0.5, 1.5, None],
            "t": ["x", None, "007"],
            "b": [True, False, None],
            "d": [date(2024, 1, 2), None, date(1970, 1, 1)],
            "m": [datetime(1970, 1, 1, 0, 1), datetime(2024, 1, 1), None],
            "y": [1, 2, 3],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    tables = [read_table(tmp_path / "t.parquet")]
    if pytest.importorskip("fastexcel") and pytest.importorskip("openpyxl"):
        import openpyxl

        book = openpyxl.Workbook()
        book.active.append(frame.columns)
        for row in frame.rows():
            book.active.append(row)
        book.save(tmp_path / "t.xlsx")
        tables.append(read_table(tmp_path / "t.xlsx"))
    for table in tables:
        (chunk,) = table.chunks()
        kinds = {name: column.kind for name, column in chunk.columns.items()}
        assert kinds == {
            "n": "number",
            "f": "number",
            "t": "text",
            "b": "flag",
            "d": "date",
            "m": "date",
            "y": "number",
        }
        wanted = {"n": [1, np.nan, 3], "b": [1, 0, np.nan], "d": [1704153600, np.nan, 0], "m": [60, 1704067200, np.nan]}
        for name, values in wanted.items():
            np.testing.assert_array_equal(chunk.columns[name].values, values)
        assert list(chunk.columns["t"].texts()) == ["x", None, "007"]
    assert tables[0].where(0) == "row 1 of t.parquet"


def test_the_description_names_separator_encoding_and_decimal_mark(tmp_path):
    (tmp_path / "t.csv").write_bytes("größe;y\n1,5;2\n".encode("cp1252"))
    assert read_table(tmp_path / "t.csv").description == "semicolons between cells, cp1252, decimal commas"
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbfa,y\n1,2\n")
    assert read_table(tmp_path / "b.csv").description == "commas between cells, utf-8, a byte-order mark"


def test_given_separator_and_encoding_are_used(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,y\n1,2\n")
    assert read_table(tmp_path / "t.csv", separator=";").names == ("a,y",)
    with pytest.raises(nn.DataError, match="there is no encoding 'no'"):
        read_table(tmp_path / "t.csv", encoding="no")
    with pytest.raises(nn.DataError, match="separator must be one character"):
        read_table(tmp_path / "t.csv", separator="ab")
    (tmp_path / "l.csv").write_bytes("a,y\nä,2\n".encode("cp1252"))
    with pytest.raises(nn.DataError, match="is not in utf-8; try --encoding cp1252"):
        read_table(tmp_path / "l.csv", encoding="utf8")
    (tmp_path / "t.pdf").write_bytes(b"%PDF")
    with pytest.raises(nn.DataError, match=r"t\.pdf has none of the endings \.csv, \.tsv"):
        read_table(tmp_path / "t.pdf")
    with pytest.raises(nn.DataError, match="there is no such file"):
        read_table(tmp_path / "none.csv")


def test_without_polars_one_line_names_the_extra(tmp_path, monkeypatch, capsys):
    (tmp_path / "t.csv").write_bytes(LONG)
    monkeypatch.setitem(sys.modules, "polars", None)
    assert main(["train", str(tmp_path / "t.csv"), "--target", "y", "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert 'pip install "arraynn[tables]" installs it' in told
    assert not (tmp_path / "out").exists()


def test_import_and_help_work_without_polars():
    program = "import sys, arraynn, arraynn.datasets, arraynn.cli; arraynn.cli.main(['train', '--help']); "
    program += "print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "False"
    assert "one_hot" in done.stdout
