"""What holds for every backend that is installed: arrays go in and come out unchanged, on the device asked for."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import array_api_compat
import array_api_strict
import numpy as np
import pytest

from arraynn.backends import backend as open_backend
from arraynn.backends import for_type, of
from arraynn.errors import BackendUnavailable

STRICT_DEVICES = [d._device for d in array_api_strict.__array_namespace_info__().devices()]
NARROW = ["bool", "int8", "int16", "int32", "uint8", "float32"]
WIDE = ["int64", "float64"]


@pytest.fixture
def wide(backend: str, request: pytest.FixtureRequest) -> None:
    """64-bit numbers, also on JAX."""
    if backend == "jax":
        request.getfixturevalue("jax_x64")


@pytest.mark.parametrize("dtype", [*NARROW, *WIDE])
def test_numpy_arrays_go_there_and_back(backend: str, wide: None, dtype: str) -> None:
    opened = open_backend(backend)
    host = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    x = opened.asarray(host)
    assert opened.owns(x)
    assert x.dtype == opened.dtype(dtype)
    assert array_api_compat.device(x) == opened.device
    back = opened.to_numpy(x)
    assert type(back) is np.ndarray
    assert back.dtype == host.dtype
    np.testing.assert_array_equal(back, host)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_a_dtype_is_taken_by_name_or_as_the_librarys_own(backend: str, dtype: str) -> None:
    opened = open_backend(backend)
    for asked in (dtype, opened.dtype(dtype)):
        assert opened.asarray(np.array([1, 2], dtype="uint8"), asked).dtype == opened.dtype(dtype)
        assert opened.asarray(opened.asarray([True]), asked).dtype == opened.dtype(dtype)


def test_an_unknown_dtype_is_named(backend: str) -> None:
    with pytest.raises(BackendUnavailable, match="float17"):
        open_backend(backend).asarray([1.0], "float17")


@pytest.mark.parametrize(
    "values", [[[1, 2], [3, 4]], (0.5, 1.5), 2.0, 3, True, [], [[True], [False]], [np.float32(1), np.float32(2)]]
)
def test_lists_and_numbers_become_arrays(backend: str, values: Any) -> None:
    opened = open_backend(backend)
    x = opened.asarray(values)
    assert opened.owns(x)
    np.testing.assert_array_equal(opened.to_numpy(x), np.asarray(values))


def test_python_floats_take_the_librarys_default_dtype(backend: str) -> None:
    opened = open_backend(backend)
    default = opened.xp.__array_namespace_info__().default_dtypes(device=opened.device)["real floating"]
    assert opened.asarray([0.5]).dtype == opened.asarray(0.5).dtype == default


@pytest.mark.parametrize("make", [np.transpose, np.flipud, lambda x: x[:, ::2], np.asfortranarray, lambda x: x[:0]])
def test_any_layout_is_taken(backend: str, make: Any) -> None:
    opened = open_backend(backend)
    host = make(np.arange(12, dtype="float32").reshape(3, 4))
    np.testing.assert_array_equal(opened.to_numpy(opened.asarray(host)), host)


def test_the_bytes_of_files_are_turned_round(backend: str) -> None:
    opened = open_backend(backend)
    host = np.array([1, 2, 300], dtype=">i4")
    assert opened.to_numpy(opened.asarray(host, "int32")).tolist() == [1, 2, 300]


def test_a_read_only_array_is_taken_and_left_alone(backend: str) -> None:
    opened = open_backend(backend)
    host = np.frombuffer(np.arange(4, dtype="float32").tobytes(), dtype="float32")
    x = opened.asarray(host, copy=True)
    x += opened.asarray(1.0, "float32")  # a copy may be written to
    assert opened.to_numpy(opened.asarray(host)).tolist() == host.tolist() == [0, 1, 2, 3]
    assert opened.to_numpy(x).tolist() == [1, 2, 3, 4]
    assert not host.flags.writeable


def test_copy_true_shares_no_memory_with_its_source(backend: str) -> None:
    opened = open_backend(backend)
    host = np.zeros(3, dtype="float32")
    copied = opened.asarray(host, copy=True)
    again = opened.asarray(copied, copy=True)
    host += 1
    copied += opened.asarray(2.0, "float32")
    assert opened.to_numpy(again).tolist() == [0, 0, 0]
    assert opened.to_numpy(copied).tolist() == [2, 2, 2]


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_an_array_that_is_there_already_is_not_copied(name: str) -> None:
    pytest.importorskip(name)
    opened = open_backend(name)
    x = opened.asarray([1.0, 2.0])
    assert np.shares_memory(opened.to_numpy(opened.asarray(x)), opened.to_numpy(x))


def test_arrays_move_from_any_library_to_any_other(backend: str) -> None:
    opened = open_backend(backend)
    sources = [open_backend("numpy"), open_backend("strict:device2"), open_backend("strict:no_float64")]
    sources += [open_backend(row) for row in ("torch", "jax") if _importable(row)]
    for source in sources:
        x = source.asarray([[1.5, -2.0]], "float32")
        moved = opened.asarray(x)
        assert opened.owns(moved)
        assert array_api_compat.device(moved) == opened.device
        assert opened.to_numpy(moved).tolist() == [[1.5, -2.0]]
        assert str(opened.to_numpy(moved).dtype) == "float32"


def _importable(library: str) -> bool:
    try:
        __import__(library)
    except ImportError:
        return False
    return True


def test_a_backend_owns_its_own_arrays_only(backend: str) -> None:
    opened, other = open_backend(backend), open_backend("strict" if backend == "numpy" else "numpy")
    assert opened.owns(opened.asarray([1.0]))
    assert not opened.owns(other.asarray([1.0]))
    assert not opened.owns([1.0])
    assert not opened.owns(1.0)


def test_arrays_know_their_backend(backend: str) -> None:
    opened = open_backend(backend)
    x = opened.asarray([1.0])
    assert for_type(type(x)) is type(opened)
    found = of(x)
    assert (found.name, found.version, found.device) == (opened.name, opened.version, opened.device)
    assert found.xp is opened.xp


def test_the_index_dtype_indexes(backend: str) -> None:
    opened = open_backend(backend)
    rows = opened.asarray([1, 0, 1], opened.index_dtype)
    assert opened.to_numpy(opened.xp.take(opened.asarray([[1.0], [2.0]]), rows, axis=0)).tolist() == [[2], [1], [2]]


def test_the_hooks_are_the_portable_ones_or_agree_with_them(backend: str) -> None:
    opened = open_backend(backend)
    x = opened.asarray([1.0, 2.0], "float32")
    with opened.context():
        run = opened.compile(lambda a: a * 2)
        assert opened.to_numpy(run(x)).tolist() == [2, 4]
    opened.synchronize()


def test_it_tells_what_it_is(backend: str) -> None:
    opened = open_backend(backend)
    for word in (opened.name, opened.version, str(opened.device), opened.reason):
        assert word
        assert word in repr(opened)


@pytest.mark.parametrize("device", STRICT_DEVICES)
def test_strict_arrays_live_on_the_device_asked_for(device: str) -> None:
    opened = open_backend(f"strict:{device}")
    where = array_api_strict.Device(device)
    elsewhere = array_api_strict.asarray([1, 2], dtype=array_api_strict.int32)
    for x in (np.ones(2, dtype="float32"), [0.5], 1.0, [True], elsewhere):
        assert opened.asarray(x).device == where
    assert opened.asarray(elsewhere, copy=True).device == where
    assert opened.devices() == tuple(STRICT_DEVICES)


def test_strict_without_float64_says_so() -> None:
    opened = open_backend("strict:no_float64")
    with pytest.raises(BackendUnavailable, match="no dtype 'float64'"):
        opened.asarray([1.0], "float64")
    assert opened.asarray([1.0]).dtype == array_api_strict.float32


def test_jax_raises_where_it_would_round_or_cut_off() -> None:
    pytest.importorskip("jax")
    opened = open_backend("jax")
    for x, dtype in (
        ([1.0], "float64"),
        (np.ones(2), None),
        (np.ones(2, dtype="float32"), "float64"),
        (np.array([2**40]), None),
        (np.array([2**40], dtype="uint64"), None),
        (open_backend("numpy").asarray([0.1]), None),
    ):
        with pytest.raises(BackendUnavailable, match="jax_enable_x64"):
            opened.asarray(x, dtype)
    assert str(opened.asarray(np.ones(2), "float32").dtype) == "float32"
    assert opened.asarray(np.array([7, -7])).tolist() == [7, -7]  # small enough for 32 bits
    assert opened.asarray(np.zeros(0, dtype="int64")).shape == (0,)


def test_jax_gives_float64_under_x64(request: pytest.FixtureRequest) -> None:
    pytest.importorskip("jax")
    request.getfixturevalue("jax_x64")
    opened = open_backend("jax")
    assert str(opened.asarray(np.ones(2)).dtype) == str(opened.asarray([1.0], "float64").dtype) == "float64"


def test_jax_does_not_share_the_callers_memory() -> None:
    pytest.importorskip("jax")
    host = np.zeros(1000, dtype="float32")  # large enough that JAX would take it over as it is
    x = open_backend("jax").asarray(host)
    host += 1
    assert float(x.sum()) == 0


def test_torch_arrays_leave_their_tape_behind() -> None:
    torch = pytest.importorskip("torch")
    opened = open_backend("torch")
    x = torch.ones(2, requires_grad=True)
    assert not opened.asarray(x).requires_grad
    assert opened.to_numpy(x).tolist() == [1, 1]
    with opened.context():
        assert not (x * 2).requires_grad


def test_torch_opens_on_the_default_device_of_the_caller() -> None:
    torch = pytest.importorskip("torch")
    torch.set_default_device("meta")
    try:
        assert open_backend("torch").device.type == "meta"
        assert open_backend("torch:cpu").device.type == "cpu"
    finally:
        torch.set_default_device(None)


def test_numpy_runs_without_warnings_on_overflow() -> None:
    with open_backend("numpy").context():
        assert np.isinf(np.float32(1e38) * np.float32(10))  # a warning would be an error here


def test_arrays_that_inherit_from_numpys_are_numpys() -> None:
    class Tagged(np.ndarray):
        pass

    x = np.ones(2).view(Tagged)
    assert of(x).name == "numpy"
    assert open_backend("strict:device1").asarray(x).device == array_api_strict.Device("device1")


def test_a_backend_is_copied_and_pickled_as_name_and_device(backend: str) -> None:
    opened = open_backend(backend)
    assert copy.deepcopy(opened) is opened
    other = pickle.loads(pickle.dumps(opened))
    assert type(other) is type(opened)
    assert (other.name, other.device, other.version, other.reason) == (
        opened.name,
        opened.device,
        opened.version,
        opened.reason,
    )
    assert other.owns(opened.asarray([1.0]))
