"""Plain numeric tables are taken; of everything else the right thing is said."""

import datetime
from decimal import Decimal

import numpy as np
import pytest

import arraynn as nn
from arraynn.training.validation import as_array, as_inputs


def refused(told, values, what="x"):
    with pytest.raises(nn.DataError, match=told) as error:
        as_array(what, values)
    assert "return_inverse" not in str(error.value) or what == "y"  # it replaced numbers by their ranks
    return str(error.value)


DAYS = np.asarray(["2020-01-01", "2020-01-03"], "M8[D]")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.asarray([[1.5, 2], [3, 4]], object), r"got dtype object, of numbers; cast it, as by x.astype\(float\)"),
        ([[1.0, None], [2.0, 3.0]], r"x has no value in row 0 \(None\); fill missing values in, or drop such rows"),
        (np.asarray([[1, 2], [3, "a"]], object), r"dtype object with 'a' in row 1; numbers that are kept as text"),
        ([["1", "2"]], r"x.astype\(float\); words that name categories become a column of 0 and 1 for each"),
        (np.ones((2, 2)) * 1j, r"complex128; give real and imaginary parts, as by np.stack\(\[x.real, x.imag\]"),
        (DAYS, r"datetime64\[D\]; take numbers of dates and times, such as days since the first"),
        (DAYS - DAYS[0], r"timedelta64\[D\]; take numbers of dates and times"),
        ([[datetime.date(2020, 1, 1), 1.0]], "row 0; take numbers of dates"),
        (np.zeros(2, [("a", float), ("b", int)]), "structured_to_unstructured"),
        (object(), "got dtype object from object; give an array, a data frame, or nested lists of numbers"),
    ],
)
def test_data_without_numbers_are_refused_with_the_remedy(values, told):
    refused(told, values)


def test_string_labels_are_refused_with_the_advice_to_number_them():
    refused(r"number classes that are words, as by np.unique\(y, return_inverse=True\)\[1\]", ["spam", "ham"], "y")


def test_a_sparse_matrix_is_refused_with_the_advice_to_call_toarray():
    sparse = pytest.importorskip("scipy.sparse")
    for make in (sparse.csr_matrix, sparse.coo_array, sparse.csc_array):
        refused(r"x is a sparse matrix, and layers take dense arrays; pass x.toarray\(\)", make(np.eye(3)))


def test_complex_arrays_are_refused_with_the_advice_to_give_real_and_imaginary_parts(xp):
    x = xp.asarray(np.ones((2, 2), np.complex64))
    if "complex" not in str(x.dtype):
        pytest.skip("no complex numbers here")
    refused("give real and imaginary parts", x)


# ---------------------------------------------------------------- frames


def test_a_pandas_frame_of_booleans_and_floats_is_taken():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.5, 2.5], "b": [True, False], "c": [3, 4]})
    np.testing.assert_array_equal(as_array("x", frame), [[1.5, 1, 3], [2.5, 0, 4]])
    assert as_array("x", frame).dtype == np.float64
    twice = pandas.concat([frame[["a", "b"]], frame[["a"]]], axis=1)
    np.testing.assert_array_equal(as_array("x", twice), [[1.5, 1, 1.5], [2.5, 0, 2.5]])


@pytest.mark.parametrize("kind", ["Float64", "Int64", "boolean", "UInt8", "Float32"])
def test_nullable_columns_without_nulls_are_taken(kind):
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([1, 0, 1], dtype=kind)
    np.testing.assert_array_equal(as_array("x", pandas.DataFrame({"a": column, "b": [0.5, 1.5, 2.5]}))[:, 0], [1, 0, 1])
    labels = as_array("y", column)
    assert labels.dtype.kind == ("f" if "Float" in kind else "b" if kind == "boolean" else labels.dtype.kind)
    np.testing.assert_array_equal(labels, [1, 0, 1])
    if kind in ("Int64", "UInt8"):
        assert labels.dtype.kind in "iu"
    column[1] = None
    told = r"(column 'a' of x has no value in row 1|holds nan in row 1)"
    with pytest.raises(nn.DataError, match=told):
        nn.Model(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, backend="numpy").fit(
            pandas.DataFrame({"a": column, "b": [0.5, 1.5, 2.5]}), np.zeros(3)
        )


def test_columns_of_decimals_and_objects_are_taken():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [Decimal("1.25"), Decimal(2)], "b": pandas.Series([1, 2.5], dtype=object)})
    np.testing.assert_array_equal(as_array("x", frame), [[1.25, 1], [2, 2.5]])


def test_other_columns_are_named():
    pandas = pytest.importorskip("pandas")
    numbers = {"a": [1.0, 2.0]}
    for column, told in [
        (["spam", "ham"], r"column 'b' of x must hold real numbers, .*'spam' in row 0.* pandas.get_dummies"),
        (pandas.to_datetime(["2020-01-01", "2020-01-02"]), "column 'b' of x must hold real numbers, .*days since the"),
        (pandas.Categorical([3, 7]), r"column 'b' is categorical; .*pandas.get_dummies\(x\)"),
        ([1j, 2j], "column 'b' of x must hold real numbers, .*real and imaginary"),
    ]:
        refused(told, pandas.DataFrame({**numbers, "b": column}))


def test_polars_frames_are_taken():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1.5, 2.5], "b": [True, False], "c": [3, 4]})
    np.testing.assert_array_equal(as_array("x", frame), [[1.5, 1, 3], [2.5, 0, 4]])
    refused("column 'b' of x", frame.with_columns(b=polars.Series(["spam", "ham"])))
    with pytest.raises(nn.DataError, match="x holds nan in row 1"):  # what polars makes of a null
        nn.Model(nn.Sequential(nn.Dense(2)), backend="numpy").fit(
            frame.with_columns(b=polars.Series([True, None])), [0, 1]
        )
    refused("column 'b' is categorical", frame.with_columns(b=polars.Series(["s", "h"], dtype=polars.Categorical)))
    refused("days since the first", frame.with_columns(b=polars.Series([datetime.date(2020, 1, 1)] * 2)))
    np.testing.assert_array_equal(as_array("y", frame["c"]), [3, 4])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_trains_as_its_numbers_do(library, rng):
    module = pytest.importorskip(library)
    x, flag = rng.standard_normal((40, 2)), rng.integers(0, 2, 40).astype(bool)
    frame = module.DataFrame({"a": x[:, 0], "b": x[:, 1], "flag": flag})
    y = module.Series([bool(v > 0) for v in x[:, 0]])
    runs = []
    for inputs, targets in ((frame, y), (np.column_stack([x, flag]), x[:, 0] > 0)):
        model = nn.Model(nn.Sequential(nn.Dense(2)), backend="numpy")
        runs.append((model.fit(inputs, targets, epochs=2), model.evaluate(inputs, targets), model.predict(inputs)))
    assert runs[0][:2] == runs[1][:2]
    np.testing.assert_array_equal(runs[0][2], runs[1][2])


def test_several_inputs_may_be_frames():
    pandas = pytest.importorskip("pandas")
    a, b = as_inputs((pandas.DataFrame({"a": [1.0, 2.0], "b": [True, False]}), np.ones((2, 1))))
    np.testing.assert_array_equal(a, [[1, 1], [2, 0]])
    assert b.shape == (2, 1)
