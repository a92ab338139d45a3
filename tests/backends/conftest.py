"""A stand-in for CuPy, so that what is done with a GPU, and without one that works, can be tested anywhere.

It is a package on disk, found by the import system as the real one would be. Its arrays are NumPy's behind a wall:
they live on numbered devices and cannot be read implicitly. At each stage of the probe it can fail, with the
exceptions of the real one (by class name, module and text).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import array_api_compat
import pytest

from arraynn.backends import registry, resolve
from arraynn.backends.cupy import probe as cupy_probe
from arraynn.backends.cupy import reasons

PACKAGE = {
    "cupy/__init__.py": """
import numpy as _np
from numpy import *
from numpy import abs, fft, linalg, max, min, round
from . import _stage
_stage.reach("import")
from . import cuda
__version__ = "14.2.0"

class ndarray:
    def __init__(self, host):
        self._host, self.device = _np.asarray(host), cuda.Device()
    dtype = property(lambda self: self._host.dtype)
    shape = property(lambda self: self._host.shape)
    T = property(lambda self: ndarray(self._host.T))
    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")
    def __mul__(self, other):
        _stage.reach("kernel")
        return ndarray(self._host * getattr(other, "_host", other))
    def __add__(self, other):
        return ndarray(self._host + getattr(other, "_host", other))
    def __matmul__(self, other):
        return ndarray(self._host @ other._host + (_stage.reach("matmul") or 0))
    def sum(self):
        _stage.reach("reduction")
        return ndarray(self._host.sum())
    def get(self):
        return self._host.copy()

def array(obj, dtype=None, copy=True):
    _stage.reach("allocation")
    if isinstance(obj, ndarray) and obj.device == cuda.Device() and not copy and dtype in (None, obj.dtype):
        return obj
    return ndarray(_np.array(getattr(obj, "_host", obj), dtype=dtype))

def asarray(obj, dtype=None):
    return array(obj, dtype, copy=False)

def asnumpy(x):
    return x.get()
""",
    "cupy/_stage.py": """
failures = {}  # stage -> what happens there; its result, if any, is what the stage makes of it
synchronized = []
def reach(stage):
    return failures[stage]() if stage in failures else None
""",
    "cupy/linalg.py": "from numpy.linalg import *\n",
    "cupy/fft.py": "from numpy.fft import *\n",
    "cupy/cuda/__init__.py": "from . import runtime\nfrom .device import Device\n",
    "cupy/cuda/runtime.py": """
from .. import _stage
def getDeviceCount():
    count = _stage.reach("count")
    return 2 if count is None else count
def runtimeGetVersion():
    return 13020
def getDeviceProperties(device):
    return {"name": b"Stand-in"}
""",
    "cupy/cuda/device.py": """
import threading
from .. import _stage
_here = threading.local()
class Device:
    def __init__(self, device=None):
        self.id = getattr(_here, "id", 0) if device is None else int(device)
    def __int__(self):
        return self.id
    def __eq__(self, other):  # and so no hash, as the real one
        return self.id == other.id
    def use(self):
        _here.id = self.id
    def __enter__(self):
        _here.back = [*getattr(_here, "back", []), getattr(_here, "id", 0)]
        self.use()
    def __exit__(self, *error):
        _here.id = _here.back.pop()
    def synchronize(self):
        _stage.synchronized.append(self.id)
    @property
    def compute_capability(self):
        return _stage.reach("capability") or "90"
""",
}


class StandIn:
    """The package on disk. `fail(stage, what)` says what happens at a stage; `release` ends its hangs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hangs = folder, threading.Event()
        self.failures: dict[str, Callable[[], Any]] = {}
        for name, source in PACKAGE.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(source)

    def fail(self, stage: str, what: Any) -> None:
        """At that stage: an exception is raised, anything else is the result; "hang" waits for `release`."""

        def happen() -> Any:
            if what == "hang":
                self.hangs.wait()
                return None
            if isinstance(what, BaseException):
                raise what
            return what

        self.failures[stage] = happen
        self.stage_module().failures = self.failures

    def stage_module(self) -> Any:
        """cupy._stage, put in place before the package that asks it: `import cupy` may be what fails."""
        module = sys.modules.get("cupy._stage")
        if module is None:
            module = sys.modules["cupy._stage"] = type(sys)("cupy._stage")
            exec(PACKAGE["cupy/_stage.py"], vars(module))
        return module

    def add_wheel(self, name: str) -> None:
        """Leave the trace of an installed package: what importlib.metadata finds."""
        info = self.folder / f"{name.replace('-', '_')}-14.2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 14.2.0\n")


def forget() -> None:
    """What was found out once in a process: forgotten, before and after a test that plays with it."""
    cupy_probe.forget()
    for cached in (resolve._tell, registry.third_parties, registry.load, registry.by_type):
        cached.cache_clear()
    for name in [m for m in sys.modules if m.partition(".")[0] == "cupy" or m.startswith("array_api_compat.cupy")]:
        del sys.modules[name]
    vars(array_api_compat).pop("cupy", None)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing found out yet, no choice in the environment, and no CuPy whatever this machine has; all put back."""
    saved = {m: sys.modules[m] for m in sys.modules if m.partition(".")[0] == "cupy" or "compat.cupy" in m}
    forget()
    monkeypatch.delenv("ARRAYNN_BACKEND", raising=False)
    monkeypatch.delenv("ARRAYNN_PROBE_TIMEOUT", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(reasons, "WHEELS", ())
    monkeypatch.setattr(reasons, "driver_cuda", lambda: None)
    sys.modules["cupy"] = None  # type: ignore[assignment]  # the import system's own way to say "not there"
    yield
    forget()
    sys.modules.update(saved)


@pytest.fixture
def cupy(fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A CuPy that works, on two GPUs under a CUDA 13.0 driver, until it is told to fail."""
    del sys.modules["cupy"]
    monkeypatch.setattr(reasons, "WHEELS", ("cupy-cuda98x", "cupy-cuda99x"))
    monkeypatch.setattr(reasons, "driver_cuda", lambda: 13000)
    stand_in = StandIn(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield stand_in
    stand_in.hangs.set()
