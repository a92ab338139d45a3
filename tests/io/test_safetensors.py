"""The format, read without trust; the library that defines it is the oracle for what is good."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import arraynn as nn
from arraynn.io import safetensors as reader
from arraynn.io.safetensors import read, serialized, strict_json

GOOD = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def written(path, header, data=b"\0" * 16, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


ARRAYS = hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.dictionaries(st.text(max_size=8), ARRAYS, max_size=5), st.dictionaries(st.text(max_size=5), st.text(max_size=9))
)
@pytest.mark.thorough
def test_written_tensors_are_read_back(tmp_path_factory, tensors, metadata):
    tensors.pop("__metadata__", None)
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(serialized(tensors, metadata))
    found, back = read(path)
    assert found == metadata
    assert back.keys() == tensors.keys()
    for name, array in tensors.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        np.testing.assert_array_equal(back[name], array)


def test_the_bytes_equal_those_of_the_safetensors_library():
    rng = np.random.default_rng(0)
    tensors = {
        "b.weight": rng.random((2, 3)), "a": rng.random(3).astype("f4"), "é\n\x1f": np.zeros((0, 2), "f4"),
        "z": np.asarray(2.0, "f4"), "B": np.asarray(3.0), "swapped": rng.random(4).astype(">f8"),
        '"quoted"\\': np.ones((1, 1)),
    }  # fmt: skip
    for length in range(9):  # of the header, by which it is padded
        metadata = {"arraynn": '{"ü": "\x7f"}' + "x" * length}
        native = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in tensors.items()}
        assert serialized(tensors, metadata) == safetensors.numpy.save(native, metadata)
    one = {"w": rng.random((3, 5)).T[1:]}  # of rows that do not lie in order
    assert serialized(one, {"a": "b"}) == safetensors.numpy.save({"w": np.ascontiguousarray(one["w"])}, {"a": "b"})


def test_the_safetensors_library_is_not_imported():
    run = (
        "import sys; sys.modules['safetensors'] = None\nimport arraynn as nn\nfrom arraynn.learn.play import Session\n"
    )
    run += "Session().call('save', {})"
    subprocess.run([sys.executable, "-c", run], check=True, cwd=Path(__file__).parents[2])


def test_the_safetensors_library_reads_the_valid_files_of_these_tests(tmp_path):
    path = written(tmp_path / "file", {"a": GOOD, "b": {**GOOD, "data_offsets": [16, 32]}}, bytes(32))
    assert read(path)[1].keys() == safetensors.numpy.load_file(path).keys()


def entry(**changes):
    return {"a": {**GOOD, **changes}}


BROKEN = {
    "an empty file": b"",
    "seven bytes": b"\0" * 7,
    "a header longer than the file": (entry(), b"", 10**6),
    "a header of 2**63 bytes": (entry(), b"", 2**63),
    "no JSON": (b"{", b""),
    "a list": (b"[]", b""),
    "not UTF-8": (b'{"\xff": 1}', b""),
    "deep lists": (b"[" * 100_000, b""),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b""),
    "nan": (b'{"a": NaN}', b""),
    "a number beyond floats": (b'{"a": 1e999}', b""),
    "a number of many digits": (b'{"a": ' + b"1" * 5000 + b"}", b""),
    "a key twice": (b'{"a": ' + json.dumps(GOOD).encode() + b', "a": ' + json.dumps(GOOD).encode() + b"}", bytes(16)),
    "a key twice within": (
        b'{"a": {"dtype": "F32", "dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}',
        bytes(16),
    ),
    "metadata that is no object": ({"__metadata__": 1}, b""),
    "metadata that is no text": ({"__metadata__": {"a": 1}}, b""),
    "a tensor that is a number": ({"a": 1}, b""),
    "no dtype": ({"a": {"shape": [2, 2], "data_offsets": [0, 16]}}, bytes(16)),
    "more than it has": (entry(extra=1), bytes(16)),
    "three offsets": (entry(data_offsets=[0, 8, 16]), bytes(16)),
    "an unknown dtype": (entry(dtype="O"), bytes(16)),
    "integers": (entry(dtype="I32"), bytes(16)),
    "half floats": (entry(dtype="F16", shape=[8]), bytes(16)),
    "a dtype that is a number": (entry(dtype=4), bytes(16)),
    "a negative axis": (entry(shape=[-2, -2]), bytes(16)),
    "an axis that is a float": (entry(shape=[2.0, 2]), bytes(16)),
    "an axis that is true": (entry(shape=[True, 4]), bytes(16)),
    "a huge shape": (entry(shape=[2**62, 2**62]), bytes(16)),
    "a shape whose product wraps to the right one": (entry(shape=[2**62, 4, 4]), bytes(16)),
    "a huge shape of nothing": (entry(shape=[0, 2**62], data_offsets=[0, 0]), b""),
    "too many axes": (entry(shape=[1] * 33 + [4]), bytes(16)),
    "a shape that the bytes do not fill": (entry(shape=[3]), bytes(16)),
    "offsets beyond the file": (entry(shape=[2**20], data_offsets=[0, 2**22]), bytes(16)),
    "negative offsets": (entry(data_offsets=[-16, 0]), bytes(16)),
    "offsets the wrong way": (entry(data_offsets=[16, 0]), bytes(16)),
    "a gap": (entry(data_offsets=[16, 32]), bytes(32)),
    "an overlap": ({"a": GOOD, "b": {**GOOD, "data_offsets": [8, 24]}}, bytes(24)),
    "the same bytes twice": ({"a": GOOD, "b": GOOD}, bytes(16)),
    "truncated": (entry(), bytes(15)),
    "trailing bytes": (entry(), bytes(17)),
    "data of no tensor": ({}, bytes(4)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_raises_one_error_with_its_name_and_allocates_no_memory(name, tmp_path):
    broken, path = BROKEN[name], tmp_path / "the-file"
    if isinstance(broken, bytes):
        path.write_bytes(broken)
    else:
        written(path, *broken)
    tracemalloc.start()
    try:
        with pytest.raises(nn.CheckpointError, match="the-file"):
            read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1e6 + 20 * path.stat().st_size


def test_a_giant_header_is_refused_before_it_is_parsed(tmp_path):
    path = written(tmp_path / "file", b'{"a": [' + b"[]," * 2_000_000 + b"[]]}", b"")
    tracemalloc.start()
    with pytest.raises(nn.CheckpointError, match="parts"):
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * path.stat().st_size


def test_the_length_of_the_header_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAX_HEADER", 10)
    with pytest.raises(nn.CheckpointError, match="limit"):
        read(written(tmp_path / "file", entry()))


def test_a_key_twice_is_refused_though_the_safetensors_library_accepts_it(tmp_path):
    """Why the library does not read: of two equal keys it takes one, without a word."""
    path = written(tmp_path / "file", *BROKEN["a key twice"])
    assert list(safetensors.numpy.load_file(path)) == ["a"]
    with pytest.raises(nn.CheckpointError, match="twice"):
        read(path)


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path / "file", entry())
    real = os.fstat

    class Longer:
        def __init__(self, handle):
            self.st_size = real(handle).st_size + 16

    path.write_bytes(written(path, entry(shape=[2, 4], data_offsets=[0, 32])).read_bytes())
    monkeypatch.setattr(reader.os, "fstat", Longer)
    with pytest.raises(nn.CheckpointError, match="while it was read"):
        read(path)


@pytest.mark.parametrize("what", ["folder", "pipe", "missing", "null"])
def test_paths_that_are_not_files_are_refused(what, tmp_path):
    path = tmp_path / "it"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("Windows has no such files")
        os.mkfifo(path)  # opening it would wait for ever
    elif what == "null":
        path = tmp_path / "a\0b"
    with pytest.raises(nn.CheckpointError):
        read(path)


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', "[NaN]", "[-Infinity]", "[1e400]", "{", "", "[" * 3000, "9" * 5000]
)
def test_strict_json_refuses(text):
    with pytest.raises(nn.CheckpointError, match="it "):
        strict_json(text, "it")
