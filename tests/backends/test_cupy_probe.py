"""The proof that CuPy works, against a stand-in that fails as the real one does; and the backend over it."""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arraynn
from arraynn.backends import backend, of
from arraynn.backends.cupy import reasons
from arraynn.backends.cupy.probe import forget, probe
from arraynn.errors import BackendUnavailable

ROOT = Path(arraynn.__file__).parents[1]


def error(name: str, text: str, base: type[BaseException] = RuntimeError) -> BaseException:
    """An exception as CuPy raises it: its class is known by name only."""
    return type(name, (base,), {})(text)


def cuda_error(name: str) -> BaseException:
    return error("CUDARuntimeError", f"{name}: what CUDA has to say")


IMPORT_PAGE = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels, make sure that the package matches with the version of CUDA installed.

Original error:
  ImportError: {}
================================================================
"""
NO_NVRTC_14 = 'Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file: libnvrtc.so.13'
NO_NVRTC_13 = "CuPy failed to load libnvrtc.so.12: OSError: libnvrtc.so.12: cannot open shared object file"
NO_HEADER = '/cupy/carray.cuh(9): catastrophic error: cannot open source file "vector_types.h"'
NO_CUBLAS = 'Failure finding "libcublasLt.so.13": No such file: libcublasLt.so.13'
OLD_ARCH = "nvrtc: error: invalid value for --gpu-architecture (-arch)"
LIBRARY = "libcudart.so.13: cannot open shared object file: No such file or directory"

FAILURES = {
    "a shared library is missing": ("import", ImportError(IMPORT_PAGE.format(LIBRARY)), "libcudart.so.13", "cuda13"),
    "the driver's library is missing": (
        "import",
        ImportError(IMPORT_PAGE.format("libcuda.so.1: cannot open shared object file")),
        "no NVIDIA driver found",
        "nvidia.com/drivers",
    ),
    "its NumPy does not fit": (
        "import",
        ImportError("numpy.core.multiarray failed"),
        "the import",
        "fresh pip install",
    ),
    "a part of it is missing": ("import", ModuleNotFoundError("No module named 'fastrlock'"), "fastrlock", "install"),
    "no device": ("count", cuda_error("cudaErrorNoDevice"), "CUDA finds no GPU", "CUDA_VISIBLE_DEVICES"),
    "a device count of 0": ("count", 0, "CUDA finds no GPU", "CUDA_VISIBLE_DEVICES"),
    "a driver that lacks a call": (
        "count",
        cuda_error("cudaErrorCallRequiresNewerDriver"),
        "driver (CUDA 13.0) is older than what this CuPy needs (CUDA 13.2)",
        "Update the driver",
    ),
    "a forked process": ("count", cuda_error("cudaErrorInitializationError"), "forked", "spawn"),
    "no memory": (
        "allocation",
        error("OutOfMemoryError", "Out of memory allocating 512 bytes", MemoryError),
        "no memory left",
        "nvidia-smi",
    ),
    "a GPU kept by another process": ("allocation", cuda_error("cudaErrorDevicesUnavailable"), "another", "cupy:1"),
    "no NVRTC (CuPy 14)": ("kernel", error("DynamicLibNotFoundError", NO_NVRTC_14), "NVRTC", "[ctk]"),
    "no NVRTC (CuPy 13)": ("kernel", RuntimeError(NO_NVRTC_13), "NVRTC", "CUDA_PATH"),
    "NVRTC without its parts": (
        "kernel",
        error("NVRTCError", "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE (7)"),
        "NVRTC",
        "ctk",
    ),
    "no headers": ("kernel", error("CompileException", NO_HEADER, Exception), "headers", "CUDA_PATH"),
    "a GPU newer than the wheel": (
        "kernel",
        cuda_error("cudaErrorNoKernelImageForDevice"),
        "makes no code for this GPU (compute capability 9.0)",
        "pip install -U",
    ),
    "no binary for the GPU": ("kernel", error("CUDADriverError", "CUDA_ERROR_NO_BINARY_FOR_GPU"), "no code", "cuda13"),
    "cuBLAS is missing": ("matmul", ImportError(NO_CUBLAS), "cuBLAS", "[ctk]"),
    "cuBLAS does not start": ("matmul", error("CUBLASError", "CUBLAS_STATUS_NOT_INITIALIZED"), "cuBLAS", "cuda13"),
    "cuBLAS has no memory": ("matmul", error("CUBLASError", "CUBLAS_STATUS_ALLOC_FAILED"), "no memory", "nvidia-smi"),
    "a wrong product": ("matmul", 1, "a matrix product gave wrong numbers", "suspect"),
    "a failing reduction": ("reduction", cuda_error("cudaErrorIllegalAddress"), "at a reduction", "Start the process"),
    "anything else": ("kernel", ValueError("odd"), "an elementwise kernel: ValueError: odd", "show_config"),
    "no words": ("kernel", ValueError(), "ValueError: no message", "show_config"),
    "an exit": ("count", SystemExit(3), "SystemExit(3)", "show_config"),
}


Arrange = Callable[[Any, pytest.MonkeyPatch], None]


def at(stage: str, what: Any) -> Arrange:
    return lambda cupy, patch: cupy.fail(stage, what)


def not_installed(cupy: Any, patch: pytest.MonkeyPatch) -> None:
    sys.modules["cupy"] = None  # type: ignore[assignment]  # the import system's own way to say "not there"


def driver(version: int | None) -> Arrange:
    def arrange(cupy: Any, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(reasons, "driver_cuda", lambda: version)
        cupy.fail("count", cuda_error("cudaErrorInsufficientDriver"))  # what the real one raises in both cases

    return arrange


def hang(cupy: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("ARRAYNN_PROBE_TIMEOUT", "0.05")
    cupy.fail("count", "hang")


def two_wheels(cupy: Any, patch: pytest.MonkeyPatch) -> None:
    cupy.add_wheel("cupy-cuda98x")
    cupy.add_wheel("cupy-cuda99x")


def broken_later(stage: str, what: Any) -> Arrange:
    def arrange(cupy: Any, patch: pytest.MonkeyPatch) -> None:
        assert backend("auto").name == "cupy"
        cupy.fail(stage, what)

    return arrange


NO_MEMORY, ILLEGAL = FAILURES["no memory"][1], FAILURES["a failing reduction"][1]

#: name : (what brings it about, what the reason says, what the remedy says)
FAULTS: dict[str, tuple[Arrange, str, str]] = {
    **{name: (at(stage, what), reason, remedy) for name, (stage, what, reason, remedy) in FAILURES.items()},
    "not installed": (not_installed, "CuPy is not installed", 'pip install "arraynn[cuda13]"'),
    "no driver": (driver(None), "no NVIDIA driver found", "nvidia.com/drivers"),
    "an old driver": (driver(12020), "driver (CUDA 12.2) is older than what this CuPy needs", "Update the driver"),
    "a hang": (hang, "no answer from CUDA within 0.05 s, at the device count", "ARRAYNN_PROBE_TIMEOUT"),
    "two wheels": (two_wheels, "2 CuPy packages are installed over each other", "pip uninstall cupy-cuda98x"),
    "broken after the proof": (
        broken_later("kernel", ILLEGAL),
        "it has worked in this process, and does no more",
        "Sta",
    ),
    "no memory after the proof": (
        broken_later("allocation", NO_MEMORY),
        "no more: the GPU has no memory",
        "nvidia-smi",
    ),
    "gone after the proof": (broken_later("count", 0), "no more: CUDA finds no GPU", "nvidia-smi must list"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_gives_numpy_under_auto_and_an_error_by_name(
    fault: str,
    cupy: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrange, reason, remedy = FAULTS[fault]
    arrange(cupy, monkeypatch)
    status = probe(again=True)
    assert (status.installed, status.usable) == (fault != "not installed", False)
    assert reason in status.reason
    assert remedy in status.remedy
    assert "\n" not in status.reason + status.remedy
    assert "{" not in status.reason + status.remedy
    with caplog.at_level(logging.INFO, "arraynn"):
        chosen = backend("auto")
    assert chosen.name == "numpy"
    assert status.reason in chosen.reason
    assert status.remedy in chosen.reason
    level = logging.WARNING if status.installed else logging.INFO
    assert [r.levelno for r in caplog.records if r.name == "arraynn"] == [level]
    for name in ("cupy", "gpu", "cuda:0"):
        with pytest.raises(BackendUnavailable) as caught:
            backend(name)
        assert (caught.value.reason, caught.value.remedy) == (status.reason, status.remedy)
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("driver", "reason", "remedy"),
    [
        (None, "no NVIDIA driver found", "With an NVIDIA GPU"),
        (13000, "takes CUDA 13.0", 'pip install "arraynn[cuda13]"'),
        (12040, "takes CUDA 12.4", 'pip install "arraynn[cuda12]"'),
        (11080, "takes CUDA 11.8", "update of the NVIDIA driver"),
    ],
)
def test_without_cupy_the_remedy_is_the_extra_for_the_driver(
    fresh: None, monkeypatch: pytest.MonkeyPatch, driver: int | None, reason: str, remedy: str
) -> None:
    monkeypatch.setattr(reasons, "driver_cuda", lambda: driver)
    status = probe()
    assert (status.installed, status.usable) == (False, False)
    assert "CuPy is not installed" in status.reason
    assert reason in status.reason
    assert remedy in status.remedy


@pytest.mark.parametrize(
    ("driver", "reason", "remedy"),
    [
        (None, "no NVIDIA driver found", "nvidia.com/drivers"),
        (12020, "driver (CUDA 12.2) is older than what this CuPy needs (CUDA 13.2)", 'pip install "arraynn[cuda12]"'),
        (11040, "driver (CUDA 11.4) is older", "Update the driver"),
    ],
)
def test_an_old_driver_and_no_driver_are_told_apart(
    cupy: Any, monkeypatch: pytest.MonkeyPatch, driver: int | None, reason: str, remedy: str
) -> None:
    monkeypatch.setattr(reasons, "driver_cuda", lambda: driver)
    cupy.fail("count", cuda_error("cudaErrorInsufficientDriver"))  # what the real one raises in both cases
    assert reason in probe().reason
    assert remedy in probe().remedy


def test_a_gpu_that_cuda_13_left_out_is_sent_to_cuda_12(cupy: Any) -> None:
    cupy.add_wheel("cupy-cuda99x")
    cupy.fail("kernel", error("CompileException", OLD_ARCH, Exception))
    cupy.fail("capability", "61")
    assert "compute capability 6.1" in probe().reason
    assert probe().remedy == 'pip uninstall cupy-cuda99x, then pip install -U "arraynn[cuda12]"'


def test_hidden_gpus_are_named(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    cupy.fail("count", 0)
    assert "(CUDA_VISIBLE_DEVICES is '-1')" in probe().reason


def test_two_wheels_are_refused_before_they_are_imported(cupy: Any) -> None:
    cupy.add_wheel("cupy-cuda98x")
    assert probe().usable
    cupy.add_wheel("cupy-cuda99x")
    forget()
    cupy.fail("import", AssertionError("imported"))
    assert "cupy-cuda98x, cupy-cuda99x" in probe().reason
    assert probe().remedy == 'pip uninstall cupy-cuda98x cupy-cuda99x, then pip install "arraynn[cuda13]"'
    assert "passed over" in backend().reason


def test_the_wheels_of_both_extras_are_known() -> None:
    assert {"cupy", "cupy-cuda12x", "cupy-cuda13x"} <= set(reasons.WHEELS)


@pytest.mark.parametrize("stage", ["count", "matmul"])
def test_a_hang_is_waited_for_only_so_long(cupy: Any, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    monkeypatch.setenv("ARRAYNN_PROBE_TIMEOUT", "0.05")
    cupy.fail(stage, "hang")
    assert "no answer from CUDA within 0.05 s" in probe().reason
    assert "ARRAYNN_PROBE_TIMEOUT" in probe().remedy
    assert backend().name == "numpy"
    waiting = [t for t in threading.enumerate() if t.name == "arraynn-cupy-probe"]
    assert all(t.daemon for t in waiting)  # none keeps the process from ending
    cupy.hangs.set()
    for thread in waiting:
        thread.join()


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_limit_that_is_none_is_a_reason(cupy: Any, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ARRAYNN_PROBE_TIMEOUT", text)
    assert f"ARRAYNN_PROBE_TIMEOUT is {text!r}" in probe().reason


def test_a_cupy_that_works_is_proved_and_taken(cupy: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "arraynn"):
        chosen = backend("auto")
    assert (chosen.name, chosen.version, chosen.device.id) == ("cupy", "14.2.0", 0)
    assert "GPU 0 (Stand-in) passed" in chosen.reason
    assert not [r for r in caplog.records if r.name == "arraynn"]  # nothing fell back, nothing to tell
    assert probe().devices == ("0", "1")


def test_a_first_proof_is_remembered_and_whoever_opens_the_gpu_proves_it_again(cupy: Any) -> None:
    assert probe() is probe()
    cupy.fail("count", 0)
    assert probe().usable
    assert not probe(again=True).usable
    assert backend().name == "numpy"
    forget()
    assert not probe().usable
    cupy.fail("count", None)
    assert not probe(again=True).usable  # what has never worked is not tried at each call


def test_a_gpu_that_works_again_is_taken_again(cupy: Any) -> None:
    assert backend().name == "cupy"
    cupy.fail("allocation", NO_MEMORY)
    assert backend().name == "numpy"
    cupy.fail("allocation", None)
    assert (backend().name, backend("gpu").name) == ("cupy", "cupy")


def test_a_hang_after_the_proof_is_waited_for_once(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend().name == "cupy"
    monkeypatch.setenv("ARRAYNN_PROBE_TIMEOUT", "0.05")
    cupy.fail("matmul", "hang")
    assert "does no more: no answer from CUDA" in backend().reason
    waiting = [t for t in threading.enumerate() if t.name == "arraynn-cupy-probe"]
    with pytest.raises(BackendUnavailable, match="no answer from CUDA"):
        backend("cupy")
    assert [t for t in threading.enumerate() if t.name == "arraynn-cupy-probe"] == waiting
    cupy.hangs.set()
    for thread in waiting:
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_proves_anew(cupy: Any) -> None:
    run = in_a_new_process(
        cupy,
        "import os; from arraynn.backends.cupy.probe import probe; first = probe().usable\n"
        "from cupy import _stage; _stage.failures['count'] = lambda: 0\n"
        "child = os.fork() or os._exit(10 + probe().usable)\n"
        "print(first, probe().usable, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))",
    )
    assert run.stdout.split() == ["True", "True", "10"]


@pytest.mark.parametrize(
    ("device", "said"), [("7", "there is no GPU 7, only 0, 1"), ("x", "not a number"), ("-1", "not")]
)
def test_a_gpu_that_is_not_there_is_named(cupy: Any, device: str, said: str) -> None:
    with pytest.raises(BackendUnavailable, match=said):
        backend(f"cupy:{device}")


def test_the_driver_is_asked_for_its_cuda_version_without_starting_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    class Driver:  # without a cuInit
        @staticmethod
        def cuDriverGetVersion(version: Any) -> int:  # noqa: N802
            version._obj.value = 12040
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver)
    assert reasons.driver_cuda() == 12040


@pytest.mark.parametrize("what", ["absent", "a stub"])
def test_a_driver_that_is_absent_or_a_stub_is_none(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    class Stub:
        cuDriverGetVersion = staticmethod(lambda version: 34)  # noqa: N815  # CUDA_ERROR_STUB_LIBRARY

    def load(name: str) -> Any:
        if what == "absent":
            raise OSError(f"{name}: cannot open shared object file")
        return Stub

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert reasons.driver_cuda() is None


def in_a_new_process(cupy: Any, code: str) -> subprocess.CompletedProcess[str]:
    """The code, run with the stand-in and this arraynn first on the path."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ARRAYNN_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(cupy.folder), str(ROOT)])
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)


def test_a_new_process_falls_back_with_one_line_and_no_traceback(cupy: Any) -> None:
    stage = cupy.folder / "cupy" / "_stage.py"
    stage.write_text(stage.read_text() + "def fail():\n    raise ValueError('odd')\nfailures['kernel'] = fail\n")
    run = in_a_new_process(cupy, "from arraynn.backends import backend; print(backend().name, backend(None).name)")
    assert run.stdout.split() == ["numpy", "numpy"]
    assert run.stderr.count("\n") == 1
    assert "ValueError: odd" in run.stderr


# The backend over it. Device numbers matter here; the arithmetic is NumPy's.


def test_arrays_are_put_on_the_named_gpu_and_the_callers_stays(cupy: Any) -> None:
    second = backend("cupy:1")
    import cupy as cp

    for x in ([1.0, 2.0], np.ones(3), cp.asarray(np.ones(2)), backend("numpy").asarray([1, 2])):
        assert second.asarray(x).device.id == 1
    with second.context():
        assert cp.cuda.Device().id == 1
    assert cp.cuda.Device().id == 0
    second.synchronize()
    assert sys.modules["cupy._stage"].synchronized == [1]


def test_without_a_number_the_current_gpu_is_taken(cupy: Any) -> None:
    import cupy as cp

    with cp.cuda.Device(1):
        assert backend("cupy").device.id == 1
        assert backend().device.id == 1
    assert backend("cupy").device.id == 0


def test_cupy_arrays_know_their_backend_and_come_back(cupy: Any) -> None:
    gpu = backend("gpu")
    x = gpu.asarray(np.arange(6).reshape(2, 3), "float32")
    assert (of(x).name, of(x).device, of(x).version) == ("cupy", x.device, "14.2.0")
    assert backend(x).xp is gpu.xp
    assert gpu.owns(x)
    assert not gpu.owns(np.ones(1))
    assert gpu.asarray(x) is x
    assert gpu.asarray(x, copy=True) is not x
    assert gpu.to_numpy(x).dtype == np.float32
    assert backend("numpy").asarray(x).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert gpu.index_dtype == np.int64
    assert gpu.devices() == ("0", "1")
