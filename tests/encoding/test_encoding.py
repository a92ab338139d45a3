"""What becomes of a table's columns: decided from training rows, kept as data, the same for every kind of frame."""

from __future__ import annotations

import math

import numpy as np
import pytest

import arraynn as nn
from arraynn import encoding as en
from arraynn.encoding import RULES, learn
from arraynn.io.registry import decode, encode

ROWS = 120
RNG = np.random.default_rng(0)
FRAME = {
    "id": list(range(ROWS)),
    "size": [float(v) for v in RNG.normal(50, 9, ROWS).round(2)],
    "gaps": [None if i % 7 == 0 else float(i % 13) for i in range(ROWS)],
    "colour": [("red", "green", "blue")[i % 3] for i in range(ROWS)],
    "zip": [f"{10_000 + i % 30}" if i % 31 else "00501" for i in range(ROWS)],
    "owner": [("yes", "no")[i % 2] for i in range(ROWS)],
    "name": [f"person {i}" for i in range(ROWS)],
    "one": ["x"] * ROWS,
    "nothing": [None] * ROWS,
    "on": [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(ROWS)],
    "price": [float(v) for v in RNG.normal(1000, 300, ROWS).round(1)],
}


def found(frame=FRAME, target="price", **wishes):
    return {one.name: one for one in learn(frame, target, **wishes).encoding.columns}


def test_each_column_gets_the_encoding_of_its_kind():
    kinds = {name: type(one).__name__ for name, one in found().items()}
    assert kinds == {
        "id": "LeftOut",
        "size": "NumberColumn",
        "gaps": "NumberColumn",
        "colour": "CategoryColumn",
        "zip": "EmbeddedColumn",
        "owner": "FlagColumn",
        "name": "LeftOut",
        "one": "LeftOut",
        "nothing": "LeftOut",
        "on": "DateColumn",
    }
    reasons = {name: one.reason for name, one in found().items() if isinstance(one, en.LeftOut)}
    assert reasons == {
        "id": "an id: different whole numbers, nearly consecutive",
        "name": "an id or free text: nearly all values differ",
        "one": "constant, 'x'",
        "nothing": "no values",
    }


def test_numbers_are_standardized_and_missing_values_flagged():
    encoding = learn({k: FRAME[k] for k in ("size", "gaps", "price")}, "price").encoding
    x = encoding.encode(FRAME)
    sizes = np.asarray(FRAME["size"])
    np.testing.assert_allclose(x[:, 0], (sizes - sizes.mean()) / sizes.std(), rtol=1e-5, atol=1e-6)
    given = np.asarray([v for v in FRAME["gaps"] if v is not None])
    filled = np.asarray([np.median(given) if v is None else v for v in FRAME["gaps"]])
    np.testing.assert_allclose(x[:, 1], (filled - given.mean()) / given.std(), rtol=1e-5, atol=1e-6)
    assert x[:, 2].tolist() == [float(v is None) for v in FRAME["gaps"]]
    assert x.dtype == np.float32


def test_the_encoding_is_learnt_from_training_rows_only():
    frame = {"a": [1.0, 2.0, 3.0, 1000.0], "b": ["x", "y", "x", "new"], "y": [1.0, 2.0, 3.0, 4.0]}
    encoding = learn(frame, "y", rows=[0, 1, 2]).encoding
    number, category = encoding.columns
    assert number.mean == pytest.approx(2.0)
    assert category.values == ("x", "y")
    assert encoding.targets[0].mean == pytest.approx(2.0)
    assert encoding.encode(frame)[3].tolist() == pytest.approx([998 / np.sqrt(2 / 3), 0, 0])


def test_given_kinds_of_columns_override_the_detected_ones():
    one = found(categories=["zip"], numeric=["id"], drop=["size"], text=["gaps"])
    assert isinstance(one["zip"], en.CategoryColumn)
    assert isinstance(one["id"], en.NumberColumn)
    assert one["size"] == en.LeftOut("size", "as asked")
    assert one["gaps"].values == tuple(sorted(str(i) for i in range(13)))
    with pytest.raises(nn.DataError, match="drop: there is no column 'sise'"):
        found(drop=["sise"])
    with pytest.raises(nn.DataError, match="given as numeric and as drop"):
        found(drop=["id"], numeric=["id"])


def test_a_few_texts_among_numbers_are_missing_values_and_are_reported():
    frame = {"a": [*map(str, range(0, 300, 3)), "many"], "y": [float(i % 9) + 0.5 for i in range(101)]}
    learnt = learn(frame, "y", numeric=["a"])
    assert learnt.notes == ("column 'a': 1 text among its numbers, counted as missing: 'many' in row 100",)
    assert learnt.encoding.encode({"a": ["lots"]})[0, 1] == 1.0
    strict = learn({"a": frame["a"][:-1], "y": frame["y"][:-1]}, "y", numeric=["a"]).encoding
    with pytest.raises(nn.DataError, match="column 'a' holds 'lots' in row 1; a number was expected"):
        strict.encode({"a": ["1", "lots"]})


def test_embedding_codes_include_missing_and_unknown_values():
    words = [f"w{i % 25:02d}" for i in range(100)] + ["rare", None]
    frame = {"w": words, "y": [float(i % 7) + 0.5 for i in range(102)]}
    encoding = learn(frame, "y").encoding
    (column,) = encoding.coded
    assert column.values == tuple(f"w{i:02d}" for i in range(25))
    wide, codes = encoding.encode({"w": ["w00", "w24", None, "rare", "never seen"]})
    assert codes.tolist() == [2, 26, 1, 0, 0]
    assert wide.shape == (5, 0)
    assert column.vocabulary == 27
    assert encoding.input_layer() == nn.Parallel(nn.Identity(), nn.Embedding(27, column.units))


def test_dates_of_every_format_are_parsed():
    forms = ["2024-03-31", "2024/3/31", "31.3.2024", "31/3/2024", "2024-03-31T00:00:00Z", "2024-03-31 02:00:00+02:00"]
    assert {en._values.date(text) for text in forms} == {1711843200.0}
    months = [f"{m}/{d}/2024" for m in (1, 2, 3) for d in (5, 13, 28)]
    encoding = learn({"d": months, "y": [1.5 * i for i in range(9)]}, "y").encoding
    assert encoding.columns[0].day_first is False
    assert encoding.columns[0].periods == ("year", "week")
    days = [f"{d}/{m}/2024" for m in (1, 2, 3) for d in (5, 13, 28)]
    other = learn({"d": days, "y": [1.5 * i for i in range(9)]}, "y").encoding
    assert other.columns[0].day_first is True
    np.testing.assert_array_equal(encoding.encode({"d": months}), other.encode({"d": days}))
    with pytest.raises(nn.DataError, match=r"column 'd' holds '31/31/2024' in row 0; a date was expected"):
        other.encode({"d": ["31/31/2024"]})


def test_targets_are_classes_or_values():
    def target(values, **wishes):
        return learn({"a": [float(i) ** 2 for i in range(len(values))], "y": values}, "y", **wishes).encoding.targets[0]

    assert target(["b", "a"] * 10).classes == ("a", "b")
    assert target([10, 9] * 10).classes == (9, 10)
    assert target(["10", "9"] * 10).classes == (9, 10)
    assert target([True, False] * 10).classes == (False, True)
    assert isinstance(target([1, 2] * 10, task="regression"), en.ValueTarget)
    assert isinstance(target([float(i) for i in range(20)]), en.ValueTarget)
    assert target([1.5, 2.5] * 10, task="classification").classes == ("1.5", "2.5")
    with pytest.raises(nn.DataError, match="is not numeric"):
        target(["b", "a"] * 10, task="regression")
    with pytest.raises(nn.DataError, match="holds dates"):
        target(["2024-01-01", "2024-01-02"] * 10)
    with pytest.raises(nn.DataError, match="more than 1,000 classes"):
        target([f"w{i}" for i in range(1001)])
    with pytest.raises(nn.DataError, match="holds 'x' in row 40, where its other values are numbers"):
        target([*map(str, np.arange(40) + 0.5), "x"])


def test_predictions_of_several_targets_are_in_their_own_units():
    frame = {"a": [1.0, 2.0, 4.0], "y": [10.0, 20.0, 60.0], "z": [0.1, 0.5, 0.2]}
    encoding = learn(frame, ["y", "z"]).encoding
    y = encoding.encode_targets(frame)
    assert y.shape == (3, 2)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(encoding.decode(np.asarray(y)), np.stack([frame["y"], frame["z"]], axis=1))
    with pytest.raises(nn.DataError, match=r"needs? numbers"):
        learn({**frame, "z": ["p", "q", "p"]}, ["y", "z"])


def test_a_copy_of_the_target_is_reported_and_kept():
    frame = {"a": FRAME["size"], "copy": [2 * v + 1 for v in FRAME["price"]], "price": FRAME["price"]}
    learnt = learn(frame, "price")
    assert learnt.notes[0].startswith("column 'copy' nearly equals the target 'price'")
    assert "copy" in [one.name for one in learnt.encoding.used]
    classes = {"a": FRAME["size"], "code": [{"red": 1, "green": 2, "blue": 3}[c] for c in FRAME["colour"]]}
    learnt = learn({**classes, "colour": FRAME["colour"]}, "colour")
    assert [note.split(" nearly")[0] for note in learnt.notes] == ["column 'code'"]


def test_infinite_numbers_are_refused_with_their_row():
    with pytest.raises(nn.DataError, match="column 'a' holds inf in row 1; every number must be finite"):
        learn({"a": [1.0, np.inf, 2.0], "y": [1.5, 2.5, 3.5]}, "y")
    encoding = learn({"a": [1.0, 3.0, 2.0], "y": [1.5, 2.5, 3.5]}, "y").encoding
    with pytest.raises(nn.DataError, match="column 'a' holds '-inf' in row 0; every number must be finite"):
        encoding.encode({"a": [-np.inf]})


def test_columns_are_found_by_name_at_prediction():
    encoding = learn(FRAME, "price").encoding
    few = {name: FRAME[name] for name in reversed(list(FRAME)) if name not in ("price", "id", "nothing")}
    for one, other in zip(encoding.encode(FRAME), encoding.encode({**few, "more": [0] * ROWS}), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(nn.DataError, match="the table has no column 'size', nor 'gaps'; it has 'colour'"):
        encoding.encode({"colour": ["red"], "zip": ["1"], "owner": ["yes"], "on": ["2024-01-01"]})
    with pytest.raises(nn.DataError, match="column 'owner' holds 'maybe' in row 1; true or false was expected"):
        encoding.encode({name: [*FRAME[name][:1], "maybe" if name == "owner" else FRAME[name][1]] for name in FRAME})


def test_every_kind_of_frame_gives_the_same_encoding():
    """pandas and polars frames go by their own methods; integers with gaps, categories and dates too."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    plain = learn(FRAME, "price").encoding
    frames = [pd.DataFrame(FRAME), pl.DataFrame(FRAME, strict=False)]
    frames.append(frames[0].assign(colour=frames[0]["colour"].astype("category"), on=pd.to_datetime(frames[0]["on"])))
    frames.append(frames[1].with_columns(pl.col("on").str.to_date(), pl.col("colour").cast(pl.Categorical)))
    frames.append(frames[0].convert_dtypes())
    frames.append(frames[0].astype({"gaps": "Float64", "id": "Int64", "owner": "object"}))
    for frame in frames:
        encoding = learn(frame, "price").encoding
        assert encoding == plain
        for one, other in zip(encoding.encode(frame), plain.encode(FRAME), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(encoding.encode_targets(frame), plain.encode_targets(FRAME))


def test_an_encoding_survives_saving_and_is_hashable():
    encoding = learn(FRAME, "price").encoding
    assert decode(encode(encoding)) == encoding
    assert hash(encoding) == hash(learn(FRAME, "price").encoding)
    assert len(str(encoding).splitlines()) == len(FRAME)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: en.NumberColumn("a", 0.0, 0.0, 0.0), "scale must be above 0"),
        (lambda: en.NumberColumn("a", float("nan"), 1.0, 0.0), "mean of column 'a' must be a finite number"),
        (lambda: en.NumberColumn("a", 0.0, 1.0, 0.0, decimal=";"), "decimal"),
        (lambda: en.CategoryColumn("a", ("x", "x")), "must differ"),
        (lambda: en.EmbeddedColumn("a", ("x",), 0), "units must be an integer"),
        (lambda: en.DateColumn("a", 0.0, 1.0, ("month",)), "periods"),
        (lambda: en.ClassTarget("y", ("1", 1)), "must differ"),
        (lambda: en.ValueTarget("y", 0.0, -1.0), "scale above 0"),
        (lambda: nn.TableEncoding((1,), ()), "columns must be a tuple of encoded columns"),
        (lambda: nn.TableEncoding((en.LeftOut("a", ""), en.LeftOut("a", "")), ()), "column names must be unique"),
    ],
)
def test_invalid_encodings_are_refused(make, told):
    with pytest.raises((ValueError, TypeError), match=told):
        make()


def test_invalid_tables_are_refused():
    with pytest.raises(nn.ShapeError, match="same number of rows"):
        learn({"a": [1], "y": [1, 2]}, "y")
    with pytest.raises(nn.DataError, match="names must be texts"):
        learn({0: [1], "y": [1]}, "y")
    with pytest.raises(nn.DataError, match="is empty: it has 0 rows"):
        learn({"a": [], "y": []}, "y")
    with pytest.raises(nn.DataError, match="there is no column 'z'"):
        learn(FRAME, "z")


def test_of_many_rows_a_sample_decides_and_the_numbers_go_to_a_file(monkeypatch):
    monkeypatch.setattr(en._table, "MAPPED", 1000)
    assert isinstance(learn(FRAME, "price").encoding.encode(FRAME)[0], np.memmap)
    assert RULES.sample == 65_536


def test_memory_of_a_mapped_file_is_released_and_its_numbers_stay(tmp_path):
    made = np.memmap(tmp_path / "x", np.float32, "w+", shape=(1000, 8))
    made[:] = np.arange(8000).reshape(1000, 8)
    own = np.memmap(tmp_path / "x", np.float32, "c", shape=(1000, 8))
    made.flush()
    own[0] = -1.0  # which the file does not know of, so it must not be forgotten
    for array in (made, made[5:], np.asarray(made), own, np.ones(3), 5):
        en.forget(array)
    en.forget(made, 0, 10)
    np.testing.assert_array_equal(made, np.arange(8000).reshape(1000, 8))
    assert (own[0] == -1.0).all()


def test_sets_that_are_large_together_all_go_to_files(monkeypatch):
    monkeypatch.setattr(en._table, "MAPPED", 1000)
    assert not isinstance(en.Parts(5, 4, 0).wide, np.memmap)
    assert isinstance(en.Parts(5, 4, 0, beside=990).wide, np.memmap)


def test_a_constant_column_with_missing_values_is_not_scaled_by_rounding_error():
    """Its deviation came out as some 1e-17, so a new number one tenth larger became 7e15."""
    gaps = [0.1] * 6 + [math.nan] * 6
    encoding = nn.encoding.learn({"a": gaps, "y": ["no", "yes"] * 6}, "y").encoding
    found = np.asarray(encoding.encode({"a": [0.1, 0.2]}))
    np.testing.assert_allclose(found[:, 0], [0, 0.1], atol=1e-6)
