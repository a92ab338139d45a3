import gzip
import math
import os
import struct
import tempfile
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arraynn.datasets import read_idx
from arraynn.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array):
    """`array` as the bytes of an IDX file."""
    kind = array.dtype.str[1:]
    header = bytes([0, 0, CODES[kind], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def written(tmp_path, content, name="a-idx"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


IMAGES = np.arange(60, dtype="u1").reshape(3, 4, 5)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("shape", [(7,), (3, 4, 5), (1, 1, 1, 1)])
def test_round_trip(tmp_path, pack, kind, shape):
    array = (np.arange(math.prod(shape)) - 3).astype(kind).reshape(shape)
    found = read_idx(written(tmp_path, pack(idx(array))))
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert found.flags.writeable
    np.testing.assert_array_equal(found, array)


def test_compression_is_detected_by_content_not_by_name(tmp_path):
    np.testing.assert_array_equal(read_idx(written(tmp_path, idx(IMAGES), "plain.gz")), IMAGES)
    np.testing.assert_array_equal(read_idx(str(written(tmp_path, gzip.compress(idx(IMAGES)), "packed"))), IMAGES)


def test_a_large_array_is_written_and_read_in_pieces(tmp_path):
    array = np.arange(3_000_000, dtype="i4").astype("u1")
    np.testing.assert_array_equal(read_idx(written(tmp_path, gzip.compress(idx(array), 1))), array)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 8, 15, 16, 17, 75])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_truncation_is_found_wherever_it_is(tmp_path, pack, length):
    with pytest.raises(DataError, match="a-idx"):
        read_idx(written(tmp_path, pack(idx(IMAGES)[:length])))


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 20, 60])
def test_a_truncated_gzip_file_is_found(tmp_path, cut):
    with pytest.raises(DataError, match="a-idx"):
        read_idx(written(tmp_path, gzip.compress(idx(IMAGES))[:-cut]))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_trailing_bytes_are_refused(tmp_path, pack):
    with pytest.raises(DataError, match=r"a-idx.*too long"):
        read_idx(written(tmp_path, pack(idx(IMAGES) + b"\0")))


def test_bytes_after_the_gzip_stream_are_refused(tmp_path):
    with pytest.raises(DataError, match="a-idx"):
        read_idx(written(tmp_path, gzip.compress(idx(IMAGES)) + b"more"))


def test_a_wrong_gzip_checksum_is_found(tmp_path):
    packed = bytearray(gzip.compress(idx(IMAGES)))
    packed[-8] ^= 1
    with pytest.raises(DataError, match="a-idx"):
        read_idx(written(tmp_path, packed))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html>", "not an IDX file"),
        (b"\0\1\x08\1" + bytes(8), "not an IDX file"),
        (b"\0\0\x0a\1" + bytes(8), "type code 0x0a"),
        (b"\0\0\x08\0" + bytes(8), "0 axes"),
        (b"\0\0\x08\xff" + bytes(2000), "255 axes"),
        (b"\0\0\x08\2\0\0\0\0\0\0\0\5", "empty"),
    ],
)
def test_bad_headers_are_refused(tmp_path, content, told):
    for pack in (bytes, gzip.compress):
        with pytest.raises(DataError, match=rf"a-idx.*{told}"):
            read_idx(written(tmp_path, pack(content)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("sizes", [(2**32 - 1,), (2**20, 28, 28), (2**32 - 1,) * 32, (100_000, 1000)])
def test_a_huge_declared_shape_allocates_no_memory(tmp_path, pack, sizes):
    path = written(
        tmp_path, pack(b"\0\0\x0e" + bytes([len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + bytes(9))
    )
    tracemalloc.start()  # sees NumPy's allocations too
    try:
        with pytest.raises(DataError, match="a-idx"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_compressed_file_beyond_two_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("arraynn.datasets._idx._MAX_UNPACKED", 59)
    with pytest.raises(DataError, match="unpack the file first"):
        read_idx(written(tmp_path, gzip.compress(idx(IMAGES))))


def test_a_decompression_bomb_is_not_unpacked(tmp_path):
    path = written(tmp_path, gzip.compress(idx(IMAGES) + bytes(2**26), 1))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="too long"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_a_missing_file_and_a_folder_are_reported(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError, match="no such file"):
            read_idx(path)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    pack=st.sampled_from([bytes, lambda content: gzip.compress(content, mtime=0)]),
    edits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4),
    keep=st.integers(0, 200),
)
def test_a_damaged_file_loads_or_raises_data_error(pack, edits, keep):
    content = bytearray(pack(idx(IMAGES)))
    for place, value in edits:
        content[place % len(content)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a-idx")
        with open(path, "wb") as file:
            file.write(content[:keep] if keep < 150 else content)
        message = "a-idx"
        try:
            assert read_idx(path).size
        except DataError as error:
            message = str(error)
        assert "a-idx" in message
