"""The fixtures that every test file shares: `xp`, one kind of array after another; `backend`, the names that
`arraynn.backend` takes; `spy`, which sees arrays leave their device; `rng`; `run`, the command line.

PyTorch, JAX and dpnp are tested where they are installed, and so are ONNX, TensorBoard and MPI. What a machine is known
to have can be demanded: under ARRAYNN_REQUIRE_TORCH=1, …_JAX=1, …_ONNX=1, …_TENSORBOARD=1, …_MPI=1 and …_CUDA=1 absence
is a failure, not a skip.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import array_api_compat
import array_api_compat.numpy
import array_api_strict
import numpy as np
import pytest

from arraynn.backends.cores import available

os.environ.setdefault("ARRAYNN_STRICT_COMPILE", "1")  # an error inside the compiler is an error
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell does to what it starts behind an &
    signal.signal(signal.SIGINT, signal.default_int_handler)

# ---------------------------------------------------------------- what there is to test on


def required(library: str) -> bool:
    return os.environ.get(f"ARRAYNN_REQUIRE_{library.upper()}") == "1"


def installed(library: str) -> bool:
    return find_spec(library) is not None


@cache
def cuda() -> Any:
    """The status of CuPy, proved or not, with its reason."""
    from arraynn.backends.cupy.probe import probe

    return probe()


@cache
def dpnp_status() -> Any:
    """The status of dpnp: installed, it still needs a driver."""
    from arraynn.backends.dpnp import BACKEND

    return BACKEND.status()


CUPY = pytest.param("cupy", marks=pytest.mark.cuda)
EXTRAS = {  # what a machine can be asked to have, and what must be there then
    "torch": ["torch"],
    "jax": ["jax"],
    "onnx": ["ndonnx", "onnx", "onnxruntime"],
    "tensorboard": ["tensorboardX"],
    "mpi": ["mpi4py"],
}
INSTALLED = [library for library in ("torch", "jax", "dpnp") if installed(library)]
KINDS = ["numpy", "numpy-readonly", "strict", "strict-rebinding", "strict-no_float64", *INSTALLED, CUPY]
THOROUGH = ("strict-rebinding", "strict-no_float64")  #: kinds that take long, and seldom find what the others do not
BACKENDS = ["numpy", "array_api_strict:device1", *INSTALLED, CUPY]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads it
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole suite runs in two processes, as each takes half a minute to find its tests; -n says otherwise."""
    whole, option = config.args_source is pytest.Config.ArgsSource.TESTPATHS, config.option
    wanted = getattr(option, "numprocesses", 0) is None and not (option.collectonly or option.usepdb)
    inside = "PYTEST_XDIST_WORKER" in os.environ  # one of the two, which would start two more
    if whole and wanted and not inside and available() > 1:
        option.numprocesses = 2


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only",
        metavar="LIBRARY",
        choices=("numpy", "strict", "torch", "jax", "dpnp", "cupy"),
        help="of the tests that take each kind of arrays in turn, those of this library's; all others run, too",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help=f"also the tests marked 'thorough': those that take long, and the kinds {' and '.join(THOROUGH)}",
    )


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only, thorough = config.getoption("--only"), config.getoption("--thorough")
    left: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        chosen = getattr(item, "callspec", None)
        given = [chosen.params[name] for name in ("xp", "backend") if name in chosen.params] if chosen else []
        kinds = [kind for kind in given if isinstance(kind, str)]
        if any(kind in THOROUGH for kind in kinds):
            item.add_marker("thorough")
        late = item.get_closest_marker("thorough") is not None and not thorough and not _asked_for(config, item)
        (others if late or (only and kinds and not any(only in kind for kind in kinds)) else left).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = left


def _asked_for(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether the test was named on the command line, as by tests/test_tree.py::test_paths."""
    return any(argument.partition("::")[2] and item.nodeid.startswith(argument) for argument in config.args)


def pytest_configure(config: pytest.Config) -> None:
    for extra, libraries in EXTRAS.items():
        if required(extra) and (missing := [library for library in libraries if not installed(library)]):
            raise pytest.UsageError(
                f"ARRAYNN_REQUIRE_{extra.upper()}=1, but not installed: {', '.join(missing)}. "
                f'Run: pip install -e ".[{extra}]"'
            )
    os.environ.pop("ARRAYNN_BACKEND", None)  # a person's own choice must not steer the tests
    os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_report_header(config: pytest.Config) -> list[str]:
    found = []
    for package in ("numpy", "array-api-compat", "array-api-strict", "torch", "jax", "dpnp", "numba", "matplotlib"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} -")
    status = cuda()
    proved = f"{status.version} proved usable" if status.usable else f"not usable: {status.reason}"
    return ["arrays: " + ", ".join(found), f"CuPy: {proved}"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") is None or cuda().usable:
        return
    if not required("cuda"):
        pytest.skip(cuda().reason)
    # A fixture that raises is counted as an error; a test that cannot run where it must is a failure.
    item.setup = lambda: None  # type: ignore[method-assign]
    item.runtest = partial(  # type: ignore[method-assign]
        pytest.fail, f"ARRAYNN_REQUIRE_CUDA=1, but CuPy cannot be used: {cuda().reason}", pytrace=False
    )


# ---------------------------------------------------------------- xp: one kind of array after another


@dataclass(frozen=True)
class Kind:
    """A kind of array under test: how to make one, how to read it back, and what it can hold."""

    name: str
    namespace: Any
    put: Callable[[np.ndarray], Any]
    to_numpy: Callable[[Any], np.ndarray]
    has_float64: bool = True

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """values (a NumPy array, nested lists or a number) as an array of this kind, always a copy.

        float64 becomes float32 where there is no float64, so that one test serves all; `has_float64` tells which
        tolerance to ask for.
        """
        array = np.array(values, dtype=dtype, order="C")
        if array.dtype == np.float64 and not self.has_float64:
            array = array.astype(np.float32)
        return self.put(array)

    @property
    def float_dtype(self) -> str:
        """The name of the widest float dtype."""
        return "float64" if self.has_float64 else "float32"

    @property
    def device(self) -> Any:
        """Where the arrays of this kind live."""
        return array_api_compat.device(self.asarray(0.0))

    def __repr__(self) -> str:
        return f"<arrays of {self.name}>"


def _numpy(name: str) -> Kind:
    def read_only(array: np.ndarray) -> np.ndarray:
        array.flags.writeable = False  # any write into an argument raises
        return array

    put = read_only if name == "numpy-readonly" else lambda array: array
    return Kind(name, array_api_compat.numpy, put, np.asarray)


def _strict(name: str) -> Kind:
    device = array_api_strict.Device("no_float64" if name == "strict-no_float64" else "device1")
    host = array_api_strict.Device("CPU_DEVICE")
    return Kind(
        name,
        array_api_strict,
        partial(array_api_strict.asarray, device=device),
        lambda x: np.array(x.to_device(host)),
        has_float64=name != "strict-no_float64",
    )


def _torch(name: str) -> Kind:
    import array_api_compat.torch
    import torch

    return Kind(name, array_api_compat.torch, torch.from_numpy, lambda x: x.detach().cpu().resolve_neg().numpy())


def _jax(name: str) -> Kind:
    import jax.numpy

    return Kind(name, jax.numpy, jax.numpy.array, np.asarray)


def _dpnp(name: str) -> Kind:
    import dpnp

    if not dpnp_status().usable:
        pytest.skip(dpnp_status().reason)  # it installs, and imports, without any device it could run on
    return Kind(name, dpnp, dpnp.asarray, dpnp.asnumpy)


def _cupy(name: str) -> Kind:
    import array_api_compat.cupy
    import cupy

    return Kind(name, array_api_compat.cupy, cupy.asarray, cupy.asnumpy)


OPEN = {"numpy": _numpy, "strict": _strict, "torch": _torch, "jax": _jax, "dpnp": _dpnp, "cupy": _cupy}
STRICT_ARRAY = type(array_api_strict.asarray(0.0))
OPERATORS = ("add", "and", "floordiv", "lshift", "matmul", "mod", "mul", "or", "pow", "rshift", "sub", "truediv", "xor")


@pytest.fixture(params=KINDS)
def xp(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """Each kind of array in turn: see `Kind`.

    numpy, numpy-readonly (catches any write into an argument), strict (array-api-strict on a device that is not the
    host: catches calls outside the standard, and device leaks), strict-rebinding (its in-place methods removed, so
    that `y += b` rebinds: a JAX without JAX), strict-no_float64; torch, jax (with 64-bit numbers) and dpnp where
    they are installed; cupy where a GPU is proved.
    """
    library = request.param.partition("-")[0]
    if request.param == "strict-rebinding":
        for operator in OPERATORS:
            monkeypatch.delattr(STRICT_ARRAY, f"__i{operator}__")
    if library == "jax":
        request.getfixturevalue("jax_x64")
    return OPEN[library](request.param)


@pytest.fixture
def jax_x64() -> Iterator[None]:
    """64-bit numbers switched on in JAX, and afterwards as they were."""
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each name in turn that `arraynn.backend` and `Model(backend=…)` can open here."""
    name: str = request.param
    if name == "dpnp" and not dpnp_status().usable:
        pytest.skip(dpnp_status().reason)
    return name


# ---------------------------------------------------------------- spy, rng


class Spy:
    """What took strict arrays off their device, one line a time: "__float__ at arraynn/model.py:12"."""

    #: every way out of the device that Python, NumPy or another library may take
    EXITS = (
        *("__array__", "__bool__", "__buffer__", "__complex__", "__dlpack__"),
        *("__float__", "__index__", "__int__", "__iter__", "to_device"),
    )

    def __init__(self) -> None:
        self.calls: list[str] = []

    def clear(self) -> None:
        self.calls.clear()

    def watch(self, method: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1)
            if not caller.f_globals.get("__name__", "").startswith("array_api_strict"):  # not its own business
                self.calls.append(f"{method} at {caller.f_code.co_filename}:{caller.f_lineno}")
            return original(*args, **kwargs)

        return watched


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Counts how often array-api-strict arrays are made numbers, iterated, or moved: `spy.calls`, `spy.clear()`."""
    spy = Spy()
    for method in Spy.EXITS:
        if method in vars(STRICT_ARRAY):
            monkeypatch.setattr(STRICT_ARRAY, method, spy.watch(method, vars(STRICT_ARRAY)[method]))
    return spy


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers for every test, whatever ran before it."""
    return np.random.default_rng(0)


# ---------------------------------------------------------------- the command line


@pytest.fixture
def pictures() -> None:
    """Drawing takes most of a short run's time, so few tests do it."""
    pytest.importorskip("matplotlib")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """run(*words) -> exit code, stdout, stderr."""
    from arraynn.cli import main

    def called(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()  # what was shown before is not of this run
        code = main([str(word) for word in words])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return called
