"""Whether CuPy works here, found out by letting it work: memory, a kernel, a product, a sum, and their numbers.

CuPy imports on a machine without a GPU, and `cupy.cuda.is_available()` says yes where no kernel can be compiled, so
only a run is proof. What goes wrong in it becomes a reason and a remedy (`_cupy_reasons`), never a traceback.
"""

from __future__ import annotations

import os
import threading
import warnings
from functools import cache
from typing import Any

import numpy as np

from . import _cupy_reasons
from ._base import Status, installed


class _Unusable(Exception):
    """(reason, remedy): the proof found this out by itself, not from an error of CuPy's."""


@cache
def probe(device: int | None = None) -> Status:
    """Whether CuPy can be used on that GPU (None is 0), proved by a small calculation and remembered.

    Raises nothing. The proof gives up after ARRAYNN_PROBE_TIMEOUT seconds (20), because a sick driver can hang in
    the first call; it then stays behind in a daemon thread, as a thread that waits inside the driver cannot be ended.
    `probe.cache_clear()` forgets, and so does a fork, because CUDA does not survive one.
    """
    if not installed("cupy"):
        reason, remedy = _cupy_reasons.absent()
        return Status("cupy", False, False, reason=reason, remedy=remedy)
    proof = _Proof(device or 0)
    try:
        seconds = _time_limit()
        proof.prepare()
        proof.run_within(seconds)
    except _Unusable as found:
        reason, remedy = found.args
    except Exception as error:
        reason, remedy = proof.explain(error)
    else:
        return Status("cupy", True, True, proof.version, proof.devices, proof.passed)
    return Status("cupy", True, False, proof.version, proof.devices, reason, remedy)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=probe.cache_clear)


class _Proof:
    """One run of the proof. `stage` says how far it came, also to the one who stopped waiting for it."""

    def __init__(self, device: int) -> None:
        self.device, self.stage, self.version, self.passed = device, "a look for its packages", "", ""
        self.devices: tuple[str, ...] = ()
        self.cupy: Any = None
        self.error: BaseException | None = None

    def prepare(self) -> None:
        """Import CuPy, in the caller's thread: an import that hangs in another one would hold the import lock."""
        wheels = _cupy_reasons.wheels_installed()
        if len(wheels) > 1:
            raise _Unusable(
                f"{len(wheels)} CuPy packages are installed over each other: {', '.join(wheels)}",
                f"pip uninstall {' '.join(wheels)}, then {_cupy_reasons.install(_cupy_reasons.driver_cuda())}",
            )
        self.stage = "the import"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of missing parts: the run finds out which of them matter
            import cupy

            self.version = str(cupy.__version__)
        self.cupy = cupy

    def run_within(self, seconds: float) -> None:
        thread = threading.Thread(target=self._run, name="arraynn-cupy-probe", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            raise _Unusable(
                f"no answer from CUDA within {seconds:g} s, at {self.stage}",
                "If nvidia-smi hangs too, restart the driver; if the machine is only slow, set ARRAYNN_PROBE_TIMEOUT "
                "to more seconds",
            )
        if self.error is not None:
            raise self.error if isinstance(self.error, Exception) else RuntimeError(repr(self.error))

    def _run(self) -> None:
        try:
            self._steps()
        except BaseException as error:  # one that left the thread would be printed with its traceback
            self.error = error

    def _steps(self) -> None:
        cupy, here = self.cupy, self.device
        self.stage = "the device count"  # the first call that reaches the driver
        count = cupy.cuda.runtime.getDeviceCount()
        if not count:
            raise RuntimeError("cudaErrorNoDevice: the device count is 0")
        self.devices = tuple(str(i) for i in range(count))
        if here >= count:
            raise _Unusable(f"there is no GPU {here}, only {', '.join(self.devices)}", 'Say "cupy:0" for the first')
        with cupy.cuda.Device(here):
            host = np.arange(6, dtype="float32").reshape(2, 3)  # small whole numbers: exact in any order, TF32 too
            self.stage = "an allocation"
            x = cupy.asarray(host)
            self.stage = "an elementwise kernel"
            y = x * 2 + 1
            self._check(y, host * 2 + 1)
            self.stage = "a matrix product"
            z = y @ x.T
            self._check(z, (host * 2 + 1) @ host.T)
            self.stage = "a reduction"
            self._check(z.sum(), np.sum((host * 2 + 1) @ host.T))
        name = cupy.cuda.runtime.getDeviceProperties(here)["name"]
        name = name.decode(errors="replace") if isinstance(name, bytes) else name
        self.passed = f"GPU {here} ({name}) passed: an allocation, an elementwise kernel, a matrix product, a reduction"

    def _check(self, got: Any, expected: Any) -> None:
        numbers = self.cupy.asnumpy(got)
        if not np.array_equal(numbers, expected):
            raise _Unusable(
                f"{self.stage} gave wrong numbers: {numbers.tolist()} instead of {expected.tolist()}",
                "Update the driver and CuPy; if the numbers stay wrong, the GPU itself is suspect",
            )

    def explain(self, error: Exception) -> tuple[str, str]:
        cuda = getattr(self.cupy, "cuda", None)
        return _cupy_reasons.explain(error, self.stage, cuda, self.device if self.devices else None)


def _time_limit() -> float:
    text = os.environ.get("ARRAYNN_PROBE_TIMEOUT") or "20"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        problem = f"ARRAYNN_PROBE_TIMEOUT is {text!r}, not a number of seconds above 0 and up to 3600"
        raise _Unusable(problem, "Unset it, or set it to 20")
    return seconds
