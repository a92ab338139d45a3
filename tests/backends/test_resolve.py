"""What `backend` makes of names, modules, arrays and the environment, and what `report` says of each library."""

from __future__ import annotations

import importlib.metadata
import logging
import pickle
import sys
from importlib import import_module
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace
from typing import Any

import array_api_compat.numpy
import array_api_strict
import numpy as np
import pytest

from arraynn.backends import Backend, Status, backend, for_type, registry, report
from arraynn.backends.base import Module
from arraynn.errors import BackendUnavailable


class ToyArray:
    """An array of a library that nobody has heard of: the least that the array API asks of one."""

    device, dtype = "toy-0", np.dtype("float64")

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return toy

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return np.array(self.values)


toy: Any = ModuleType("toyarrays")
toy.asarray = lambda x, dtype=None, device=None, copy=None: ToyArray(x)
ToyArray.__module__ = "toyarrays.core"


class ToyBackend(Backend):
    name = "toyarrays"

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        return cls(toy, device or "toy-0", version="3.1", reason="asked for by name")

    def devices(self) -> tuple[str, ...]:
        return ("toy-0",)


@pytest.fixture
def register(fresh: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """register(name, target): an entry point of another package, as `importlib.metadata` would find it."""
    found: list[EntryPoint] = []

    def register(name: str, target: str) -> None:
        found.append(EntryPoint(name, target, "arraynn.backends"))

    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: tuple(e for e in found if e.group == group))
    plugin: Any = ModuleType("toy_plugin")
    plugin.Toy = ToyBackend
    monkeypatch.setitem(sys.modules, "toy_plugin", plugin)
    return register


# Auto and the environment.


@pytest.mark.parametrize("spec", [None, "auto"])
def test_auto_without_cupy_is_numpy_and_says_why(fresh: None, spec: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "arraynn"):
        first, second = backend(spec), backend(spec)
    assert (first.name, first.device, first.version) == ("numpy", "cpu", np.__version__)
    assert "cupy passed over: CuPy is not installed" in first.reason
    assert second.reason == first.reason
    told = [r for r in caplog.records if r.name == "arraynn"]
    assert [r.levelno for r in told] == [logging.INFO]  # once, not at each call
    assert first.reason in told[0].getMessage()


def test_auto_never_raises_where_cupy_opens_and_breaks(
    cupy: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(device: str | None = None) -> Backend:
        raise AttributeError("module 'cupy' has no attribute 'matrix_transpose'")

    monkeypatch.setattr(registry.load("cupy"), "open", broken)
    assert backend().name == "numpy"
    assert "matrix_transpose" in backend().reason
    assert caplog.records[-1].levelno == logging.WARNING


@pytest.mark.parametrize("spec", [None, "auto"])
def test_the_variable_stands_in_for_auto(fresh: None, monkeypatch: pytest.MonkeyPatch, spec: Any) -> None:
    monkeypatch.setenv("ARRAYNN_BACKEND", "strict:device1")
    chosen = backend(spec)
    assert chosen.device == array_api_strict.Device("device1")
    assert "ARRAYNN_BACKEND=strict:device1" in chosen.reason
    assert backend("numpy").name == "numpy"  # a name given outright comes first


@pytest.mark.parametrize("text", ["", " ", "auto"])
def test_a_variable_that_says_nothing_leaves_auto(fresh: None, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ARRAYNN_BACKEND", text)
    assert "passed over" in backend().reason


@pytest.mark.parametrize("text", ["cupy", "gpu:1", "nonesuch"])
def test_a_name_in_the_variable_never_falls_back(fresh: None, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ARRAYNN_BACKEND", text)
    with pytest.raises(BackendUnavailable, match=f"ARRAYNN_BACKEND={text}"):
        backend()


# Names.


@pytest.mark.parametrize("name", ["numpy", "cpu", "numpy:cpu", "NumPy", " numpy "])
def test_names_of_numpy(name: str) -> None:
    chosen = backend(name)
    assert (chosen.name, chosen.device) == ("numpy", "cpu")
    assert chosen.reason == "asked for by name"


@pytest.mark.parametrize("name", ["strict", "array_api_strict"])
@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1", "device2"])
def test_a_device_stands_behind_a_colon(name: str, device: str) -> None:
    assert backend(f"{name}:{device}").device == array_api_strict.Device(device)


@pytest.mark.parametrize("name", ["torch", "pytorch:cpu", "jax", "jax:cpu:0"])
def test_names_of_libraries_that_may_be_there(name: str) -> None:
    pytest.importorskip("torch" if "torch" in name else "jax")
    assert backend(name).name in ("torch", "jax")


@pytest.mark.parametrize(
    "name", ["numpy:gpu", "strict:nonesuch", "torch:nonesuch", "torch:cuda:99", "jax:99", "cupy:x"]
)
def test_an_unknown_device_is_named(name: str) -> None:
    library, _, device = name.partition(":")
    pytest.importorskip({"strict": "array_api_strict", "cupy": "numpy"}.get(library, library))
    with pytest.raises(BackendUnavailable) as caught:
        backend(name)
    assert repr(device) in caught.value.reason


@pytest.mark.parametrize(
    ("name", "near"), [("nump", "numpy"), ("numpi:cpu", "numpy"), ("tourch", "torch"), ("jaxx", "jax")]
)
def test_an_unknown_name_lists_the_known_and_guesses(name: str, near: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"numpy, cupy, torch, jax, array_api_strict, dpnp") as caught:
        backend(name)
    assert f"did you mean {near!r}?" in str(caught.value)


@pytest.mark.parametrize("name", ["", ":", "zzzzzz"])
def test_a_name_like_no_other_gets_no_guess(name: str) -> None:
    with pytest.raises(BackendUnavailable, match="The names are numpy") as caught:
        backend(name)
    assert "did you mean" not in str(caught.value)


def test_a_library_that_breaks_when_it_opens_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: str | None = None) -> Backend:
        raise OSError("libtorch_cpu.so: undefined symbol\nand a page more")

    monkeypatch.setattr(registry.load("torch"), "open", broken)
    with pytest.raises(BackendUnavailable, match=r"OSError: libtorch_cpu.so: undefined symbol\. Does `import torch`"):
        backend("torch")
    row = next(r for r in report() if r.name == "torch")
    assert (row.usable, "undefined symbol" in row.reason) == (False, True)


# Modules, arrays, backends.


@pytest.mark.parametrize("module", [np, array_api_compat.numpy, array_api_strict])
def test_a_module_gives_its_library(module: Any) -> None:
    assert backend(module).name == module.__name__.removeprefix("array_api_compat.")


@pytest.mark.parametrize("name", ["torch", "array_api_compat.torch", "jax", "jax.numpy"])
def test_torch_and_jax_modules_give_their_library(name: str) -> None:
    library = name.removeprefix("array_api_compat.").partition(".")[0]
    pytest.importorskip(library)
    assert backend(import_module(name)).name == library


def test_a_vendored_compat_layer_is_seen_through() -> None:
    vendored: Any = ModuleType("elsewhere.externals.array_api_compat.numpy")
    assert backend(vendored).name == "numpy"


def test_an_unknown_library_gets_the_portable_class() -> None:
    opened = backend(toy)
    assert type(opened).__name__ == "Module"
    assert (opened.name, opened.device, opened.xp) == ("toyarrays", "toy-0", toy)
    assert opened.owns(ToyArray(1))
    assert not opened.owns(np.ones(1))
    assert backend(ToyArray([1.0])).device == "toy-0"


def test_any_other_module_is_refused() -> None:
    with pytest.raises(BackendUnavailable, match="module logging is no array-API namespace"):
        backend(logging)


@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
def test_an_array_gives_its_library_and_device(device: str) -> None:
    x = array_api_strict.asarray([1.0], device=array_api_strict.Device(device))
    assert (backend(x).name, backend(x).device) == ("array_api_strict", x.device)
    assert backend(np.ones(2)).name == "numpy"


def test_a_backend_is_returned_as_it_is() -> None:
    opened = backend("strict:device2")
    assert backend(opened) is opened


@pytest.mark.parametrize("spec", [3, [1.0, 2.0], object(), np.ndarray, True])
def test_anything_else_is_a_type_error(spec: Any) -> None:
    with pytest.raises(TypeError, match="backend takes a name, an array-API module, an array or a Backend"):
        backend(spec)


def test_backends_live_side_by_side() -> None:
    one, two = backend("strict:device1"), backend("strict:device2")
    assert (one.asarray([1.0]).device, two.asarray([1.0]).device) == (one.device, two.device)


# The report.


def test_the_report_has_a_row_for_each_library(fresh: None) -> None:
    rows = report()
    assert [row.name for row in rows] == ["numpy", "cupy", "torch", "jax", "array_api_strict", "dpnp"]
    for row in rows:
        assert isinstance(row, Status)
        assert row.reason
        assert row.usable <= row.installed
        assert bool(row.devices) == bool(row.version) == row.usable
        assert row.usable or row.remedy
    assert rows[0] == Status("numpy", True, True, np.__version__, ("cpu",), "opens on cpu")


def test_every_device_in_the_report_opens() -> None:
    for row in report():
        for device in row.devices:
            assert backend(f"{row.name}:{device}").name == row.name


# Third parties.


def test_a_third_partys_backend_is_found_by_name_array_and_module(register: Any) -> None:
    register("toyarrays", "toy_plugin:Toy")
    assert type(backend("toyarrays")) is ToyBackend
    assert backend("toyarrays:toy-9").device == "toy-9"
    assert type(backend(toy)) is ToyBackend
    assert for_type(ToyArray) is ToyBackend
    assert backend("toyarrays").owns(ToyArray(0))
    assert report()[-1] == Status("toyarrays", True, True, "3.1", ("toy-0",), "opens on toy-0")
    with pytest.raises(BackendUnavailable, match="did you mean 'toyarrays'"):
        backend("toyarray")


@pytest.mark.parametrize("name", ["numpy", "cpu", "gpu"])
def test_a_name_of_ours_is_not_given_away(register: Any, name: str) -> None:
    register(name, "toy_plugin:Toy")
    assert type(backend("cpu")) is not ToyBackend
    assert len(report()) == 6


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("toy_plugin:Missing", "does not load: AttributeError"),
        ("no_such_plugin:Toy", "does not load: ModuleNotFoundError"),
        ("toy_plugin:__name__", "not a subclass"),
        ("arraynn.backends.numpy:NumPy", "name = 'broken'"),
    ],
)
def test_a_third_partys_mistake_is_a_reason_and_no_one_elses_trouble(register: Any, target: str, reason: str) -> None:
    register("broken", target)
    with pytest.raises(BackendUnavailable) as caught:
        backend("broken")
    assert reason in caught.value.reason
    assert reason in report()[-1].reason
    assert backend("numpy").name == "numpy"


def test_a_backend_of_any_module_is_pickled_by_the_name_of_the_module() -> None:
    opened = Module(array_api_strict, array_api_strict.Device("device1"), name="array_api_strict", reason="mine")
    other = pickle.loads(pickle.dumps(opened))
    assert (other.xp, other.device, other.reason) == (opened.xp, opened.device, opened.reason)
    with pytest.raises(pickle.PicklingError, match="its namespace is no module"):
        pickle.dumps(Module(SimpleNamespace(), name="mine"))
