import io
import os
import tempfile
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arraynn.datasets import load_npz, load_npz_inputs
from arraynn.errors import DataError

X, Y = np.arange(12, dtype="f4").reshape(6, 2), np.asarray([0, 1, 2, 0, 1, 2])


def saved(tmp_path, save=np.savez, **arrays):
    path = tmp_path / "a.npz"
    save(path, **arrays)
    return path


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(tmp_path, method=zipfile.ZIP_STORED, **members):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name + ".npy", content)
    return path


def header(shape, descr="'<f4'"):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_of_x_and_y_has_no_test_data(tmp_path, save):
    data = load_npz(saved(tmp_path, save, x=X, y=Y, other=np.zeros(3)))
    np.testing.assert_array_equal(data.x_train, X)
    np.testing.assert_array_equal(data.y_train, Y)
    assert data.x_train.dtype == X.dtype
    assert data.y_train.dtype == Y.dtype
    assert data.x_test is None
    assert data.y_test is None


@pytest.mark.parametrize(("x", "y"), [("x_train", "y_train"), ("x", "y")])
def test_x_test_and_y_test_are_the_test_data(tmp_path, x, y):
    path = saved(tmp_path, **{"y_test": Y[:2], x: X, y: Y, "x_test": X[:2] + 1})
    x_train, y_train, x_test, y_test = load_npz(str(path))
    for found, expected in ((x_train, X), (y_train, Y), (x_test, X[:2] + 1), (y_test, Y[:2])):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["?", "u1", "i8", "f2", "f8", ">f4"])
def test_every_numeric_dtype_is_loaded(tmp_path, kind):
    x = load_npz(saved(tmp_path, x=X.astype(kind), y=Y)).x_train
    assert x.dtype == np.dtype(kind)


def test_fortran_order_is_loaded(tmp_path):
    np.testing.assert_array_equal(load_npz(saved(tmp_path, x=np.asfortranarray(X), y=Y)).x_train, X)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": X}, "has x, but no y; it needs x and y"),
        ({"a": X, "b": Y}, "has a, b, but no x, y; it needs"),
        ({}, "has nothing, but no x, y"),
        ({"x_train": X}, "no y_train"),
        ({"x": X, "y": Y, "x_test": X}, "no y_test"),
        ({"x_test": X, "y_test": Y}, "no x, y"),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, "two training sets"),
        ({"x": X, "y": Y[:5]}, "x has 6 rows and y 5"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y[:1]}, "x_test has 6 rows and y_test 1"),
        ({"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y}, r"a row of x has shape \(2,\), one of x_test \(1,\)"),
        ({"x": X[:0], "y": Y[:0]}, "x in .* is empty"),
        ({"x": X, "y": np.asarray(3)}, "y in .* is a single number"),
        ({"x": X, "y": np.asarray(list("abcabc"))}, "y in .* is of type <U1; numbers are needed"),
        ({"x": X.astype("c8"), "y": Y}, "x in .* is of type complex64"),
    ],
)
def test_wrong_arrays_raise_an_error_that_names_the_file(tmp_path, arrays, told):
    with pytest.raises(DataError, match=told) as caught:
        load_npz(saved(tmp_path, **arrays))
    assert "a.npz" in str(caught.value)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickled object was loaded",))


def test_pickled_objects_are_refused_without_unpickling(tmp_path):
    trapped = np.empty(6, dtype=object)
    trapped[:] = [Trap() for _ in range(6)]
    with pytest.raises(DataError, match=r"y in .*Python objects.*run any code"):
        load_npz(saved(tmp_path, x=X, y=trapped))


def test_objects_in_fields_of_a_structured_dtype_are_refused(tmp_path):
    content = header("(6,)", "[('a', '|O')]") + bytes(48)
    with pytest.raises(DataError, match="Python objects"):
        load_npz(zipped(tmp_path, x=content, y=npy(Y)))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", ["(2**60,)", "(1000000000000, 2)", "(6, 3)", "(6, 1)", "(-6, -2)", "(0, 2**70)"])
def test_a_shape_larger_than_its_data_allocates_no_memory(tmp_path, method, shape):
    path = zipped(tmp_path, method, x=header(shape) + X.tobytes(), y=npy(Y))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"a\.npz"):
            load_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["-" * 9000 + "1", "(" * 4000, "1" + "+1" * 4000, "[]", "{}", ""])
def test_a_header_that_overloads_the_parser_is_refused(tmp_path, text):
    """The first used to escape as a MemoryError."""
    content = b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode() + X.tobytes()
    with pytest.raises(DataError, match=r"a\.npz"):
        load_npz(zipped(tmp_path, x=content, y=npy(Y)))


def test_a_size_that_the_stored_data_cannot_hold_is_refused(tmp_path):
    """The zip directory claims as much as the array's header does: only the compressed size tells that both lie."""
    content = header("(250000000,)") + bytes(100)
    path = zipped(tmp_path, zipfile.ZIP_DEFLATED, x=content, y=npy(Y))
    raw = path.read_bytes()
    claimed = (len(content) - 100 + 10**9).to_bytes(4, "little")
    path.write_bytes(raw.replace(len(content).to_bytes(4, "little"), claimed))
    with pytest.raises(DataError, match=r"x in .*more than its \d+ can hold"):
        load_npz(path)


def test_a_compression_method_numpy_does_not_write_is_refused(tmp_path):
    with pytest.raises(DataError, match="savez_compressed"):
        load_npz(zipped(tmp_path, zipfile.ZIP_BZIP2, x=npy(X), y=npy(Y)))


@pytest.mark.parametrize("content", [b"", b"not a zip file", npy(X)])
def test_files_that_are_not_npz_are_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz cannot be read as \.npz"):
        load_npz(path)


def test_members_that_are_not_arrays_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.npz"):
        load_npz(zipped(tmp_path, x=b"text", y=npy(Y)))


def test_a_damaged_array_is_found_by_its_checksum(tmp_path):
    path = saved(tmp_path, x=X, y=Y)
    path.write_bytes(path.read_bytes().replace(X.tobytes(), X[::-1].tobytes()))
    with pytest.raises(DataError, match="CRC"):
        load_npz(path)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_npz(tmp_path / "none.npz")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    save=st.sampled_from([np.savez, np.savez_compressed]),
    edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
    keep=st.integers(0, 2000),
)
def test_a_damaged_file_loads_or_raises_data_error(save, edits, keep):
    buffer = io.BytesIO()
    save(buffer, x=X, y=Y)
    content = bytearray(buffer.getvalue())
    for place, value in edits:
        content[place % len(content)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.npz")
        with open(path, "wb") as file:
            file.write(content[:keep] if keep < 500 else content)
        message = "a.npz"
        try:
            assert len(load_npz(path).x_train)
        except DataError as error:
            message = str(error)
        assert "a.npz" in message


def test_for_words_the_error_suggests_one_hot_for_x_and_integer_codes_for_y(tmp_path):
    words, numbers = np.asarray(["spam", "ham"]), np.arange(2)
    np.savez(tmp_path / "x.npz", x=words, y=numbers)
    with pytest.raises(DataError, match=r"x in .*numbers are needed: encode categories one-hot"):
        load_npz(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", x=numbers, y=words)
    with pytest.raises(DataError, match=r"y in .*numbers are needed: .*numpy.unique\(y, return_inverse=True\)"):
        load_npz(tmp_path / "y.npz")


# ---------------------------------------------------------------- x alone


def test_inputs_are_x_or_x_test(tmp_path):
    np.testing.assert_array_equal(load_npz_inputs(saved(tmp_path, x=X, y=Y, x_test=X[:2])), X)
    np.testing.assert_array_equal(load_npz_inputs(saved(tmp_path, x_test=X[:2], y_test=["no numbers"])), X[:2])


def test_a_file_without_x_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has x_train, y_train, and neither x nor x_test; write it by numpy\.savez"):
        load_npz_inputs(saved(tmp_path, x_train=X, y_train=Y))


@pytest.mark.parametrize(
    "content",
    [
        header("(6, 10000000000000)") + X.tobytes(),
        header("(6, 1)") + X.tobytes(),
        header("(6, 3)") + X.tobytes(),
        npy(np.asarray([None])),
        npy(np.float32(1)),
        npy(X[:0]),
    ],
)
def test_both_readers_refuse_a_file_with_the_same_message(tmp_path, content):
    path, said = zipped(tmp_path, x=content, y=npy(Y)), []
    tracemalloc.start()
    for read in (load_npz, load_npz_inputs):
        with pytest.raises(DataError) as caught:
            read(path)
        said.append(str(caught.value))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert said[0] == said[1]
